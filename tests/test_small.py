"""The tiles that leave slices out: what the host feeds them comes back multiplied, on golden model and RTL."""

import numpy as np
import pytest

from golden.tile import Tile
from lpu import timing
from lpu.isa import Instruction, IsaError, east, west
from lpu.program import Program
from lpu.runtime.driver import RtlMachine
from lpu.runtime.machine import MachineError
from lpu.small import SMALL
from tb.designs import tile_verilog
from tb.fastsim import Simulation
from tb.regress import NARROW


def product(config, weights):
    """A program: of a vector from the host the lowest byte of each lane, times two contexts, to the host."""
    load = timing.VPOP_RESULT + config.hops("host0", "mxm0") - timing.SAMPLE
    passes = load + timing.ACTIVATION_VISIBLE
    drain = passes + 1 + timing.pass_visible(config)
    push = drain + timing.DRAIN_RESULT + config.hops("mxm0", "host0") - timing.SAMPLE

    def at(cycle, *words):
        return [Instruction("NOP", count=cycle), *words, Instruction("HALT")]

    def one_pass(ctx):
        return Instruction("PASS", {"ctx": ctx, "act": 1, "acc": 1, "clear": int(ctx == 0)})

    return Program(
        config,
        queues={
            "host0.port": [
                Instruction("VPOP", {"dst": east(0)}),
                *at(push - 1, Instruction("VPUSH", {"src": west(0)})),
            ],
            "mxm0.load": at(load, Instruction("LA", {"act": 1, "src": east(0), "mask": 0})),
            "mxm0.passes": at(passes, one_pass(0), one_pass(1)),
            "mxm0.drain": at(drain, Instruction("DRAIN", {"acc": 1, "dst": west(0)})),
        },
        images={"mxm0": weights.tobytes()},
        entries={"main": 0},
    )


@pytest.mark.parametrize("name", ["matrix2", "matrix4"])
def test_products_of_what_the_host_sends(name):
    config = SMALL[name]
    rng = np.random.default_rng(name == "matrix2")
    weights = rng.integers(-128, 128, (2, config.lanes, config.lanes), np.int8)
    program = product(config, weights)
    sides = Tile(config), RtlMachine(Simulation(tile_verilog(config), f"tile-{name}"), config)
    for side in sides:
        side.load(program)
    for _ in range(3):
        vector = rng.integers(0, 1 << 32, (1, config.lanes), np.uint32)
        expected = (vector.astype(np.uint8).view(np.int8).astype(int) @ weights.astype(int)).sum(0)
        cycles = []
        for side in sides:
            side.push_vectors(vector)
            result = side.run()
            assert result.violation is None
            assert side.pop_vectors().view(np.int32).tolist() == expected.tolist()
            cycles.append(result.cycles)
        assert cycles[0] == cycles[1]


def test_without_a_vector_fifo_there_are_no_vectors():
    """Not in the instruction set, and the host neither drives streams nor has others than its lane 0 come to it."""
    config = SMALL["whole16"]
    for op in ("VPOP", "VPUSH"):
        program = Program(config, {"host0.port": [Instruction(op, {})]}, {}, {"main": 0})
        with pytest.raises(IsaError, match=rf"no instruction '{op}'; it has HALT, .*, TAIL$"):
            program.words("host0.port")
    assert config.reachable("host0", "inject") == ()
    assert config.arriving("host0", "tap") == {("e", 0)}
    assert config.arriving("host0", "tap", vectors=True) == frozenset()
    assert config.arriving("mem1", "tap", vectors=True) == {("e", 0)}
    rtl = RtlMachine(Simulation(tile_verilog(NARROW), f"tile-{NARROW.name}"), NARROW)
    assert not NARROW.vector_fifo
    for side in (Tile(NARROW), rtl):
        with pytest.raises(MachineError, match="room"):
            side.push_vectors(np.zeros((1, NARROW.lanes), np.uint32))
        assert side.pop_vectors().size == 0


def test_without_loops_there_is_no_loop():
    """Not in the instruction set, so the assembler says what there is."""
    config = SMALL["matrix2"]
    program = Program(config, {"host0.port": [Instruction("LOOP", {})]}, {}, {"main": 0})
    with pytest.raises(IsaError, match=r"no instruction 'LOOP'; it has HALT, NOP, SYNC, NOTIFY, CONFIG"):
        program.words("host0.port")
