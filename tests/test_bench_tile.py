"""The whole tile against golden: under cocotb with stalls and resets, and more of the same on the fast simulator."""

import numpy as np
import pytest

from lpu.isa import Instruction
from lpu.program import Program
from lpu.runtime import MachineError, RtlMachine
from lpu.runtime.protocol import Op
from tb.cocotb_runner import BenchFailure, run_bench, top_ports
from tb.hostport import HostPort
from tb.scenarios import SCENARIOS
from tb.session import Mismatch, Session
from tests.conftest import SMALL, cocotb_build

#: Odds that a command word is offered and that a response word is taken, in a cycle.
STALLS = [(1.0, 1.0), (0.3, 1.0), (1.0, 0.3), (0.5, 0.5)]


def bench(request, test, config="tiny", **parameters):
    repeat = f"python -m pytest '{request.node.nodeid}'"
    build = cocotb_build(config)
    return run_bench(build, "tb.tile", {"config": config, **parameters}, tests=[test], repeat=repeat)


@pytest.mark.parametrize("scenario", ["product", "random", "illegal", "commands", "while running"])
@pytest.mark.parametrize("seed", range(2))
def test_cocotb(request, scenario, seed):
    offer, take = STALLS[(seed + len(scenario)) % len(STALLS)]
    bench(request, "scenario", scenario=scenario, seed=seed, offer=offer, take=take)


@pytest.mark.parametrize("seed", range(3))
def test_cocotb_reset_in_any_cycle(request, seed):
    bench(request, "reset_while_running", scenario="product", seed=seed, within=1500)


def test_a_failure_says_where_and_how_to_repeat_it(request, monkeypatch):
    with pytest.raises(BenchFailure) as failure:
        bench(request, "scenario", scenario="wrong", seed=3)
    text = str(failure.value)
    assert "tile, cycle" in text and "seed 3" in text
    assert "READ mem0, 4 words from entry 5" in text
    assert "mem0 word 5 lane 2: expected 0x00000063, actual 0x00000003" in text
    assert "repeat: python -m pytest 'tests/test_bench_tile.py::test_a_failure_says" in text


@pytest.mark.parametrize(
    "config,scenario", [(c, s) for c in SMALL for s in SCENARIOS if s != "product"] + [("tiny", "product")]
)
def test_fast(fast, config, scenario):
    for seed in range(100, 112):
        session = Session(SMALL[config])
        SCENARIOS[scenario](session, seed)
        simulation = fast(config)
        offer, take = STALLS[seed % len(STALLS)]
        simulation.stall(offer, take, seed)
        try:
            session.replay(simulation)
        except Mismatch as mismatch:
            raise AssertionError(f"{scenario}, seed {seed}: {mismatch}") from None


def test_the_driver_on_rtl(fast):
    machine = RtlMachine(fast("tiny"), SMALL["tiny"])
    machine.write_memory("mem1", 3, np.arange(8, dtype=np.int32).reshape(2, 4))
    assert machine.read_memory("mem1", 2, 3).tolist() == [[0] * 4, [0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(MachineError, match="past the end"):
        machine.read_memory("mem1", 63, 2)
    with pytest.raises(MachineError, match="not narrow"):
        RtlMachine(fast("tiny"), SMALL["narrow"])


def test_a_program_that_waits_for_ever_is_given_up(fast):
    machine = RtlMachine(fast("tiny"), SMALL["tiny"])
    machine.load(Program(SMALL["tiny"], {"mem0.read": [Instruction("SYNC"), Instruction("HALT")]}))
    with pytest.raises(MachineError, match="not idle after 300 cycles"):
        machine.run(max_cycles=300)
    assert not machine.status().busy
    machine.load(Program(SMALL["tiny"]))
    assert machine.run().cycles == 0


def test_sessions_see_what_differs():
    session = Session(SMALL["tiny"])
    SCENARIOS["random"](session, 1)
    session.replay(HostPort(SMALL["tiny"]))
    changed = next(e for e in session.exchanges if e.command[0] >> 16 == Op.READ << 8 | 1)
    changed.answer[-1] ^= 1
    with pytest.raises(Mismatch, match=r"READ mem0, 256 words from entry 0\nmem0 word 63 lane 3: expected"):
        session.replay(HostPort(SMALL["tiny"]))


def test_top_ports():
    below = "module \\top.a (x);\n  input x;\nendmodule\n"
    top = "module top(a, b);\n  wire [3:0] c;\n  input a;\n  output [1:0] b;\nendmodule\n"
    assert top_ports(below + top) == ["a", "b"]
    with pytest.raises(ValueError, match="no module top"):
        top_ports("module other(); endmodule")
