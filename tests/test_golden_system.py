"""Golden tiles joined by links: words arrive when they are due, and nowhere else."""

import itertools

import numpy as np
import pytest

from golden.system import System
from golden.tile import Deadlock
from lpu.arch import PRESETS
from lpu.compiler.builder import Schedule, link
from lpu.isa import Instruction
from lpu.runtime.machine import MachineError, ViolationKind
from lpu.timing import READ_RESULT, RECEIVE_RESULT, link_cycles, link_latency
from lpu.topology import Cable, End, Topology, TopologyError, line, load_topology, mesh, ring

TINY = PRESETS["tiny"].linked()
SENT = READ_RESULT + TINY.hops("mem0", "c2c1") - 1  # dispatch of a SEND behind a READ in cycle 0


def exchange(config=TINY, *, sends=(0,), late=0, out="c2c1", back="c2c0"):
    """Words 3, 4 ... of mem0 leave by one port, ``sends`` cycles after the first; words 5, 6 ... come by the other."""
    schedule = Schedule(config)
    for n, at in enumerate(sends):
        east = int(out == config.ports[0])
        read = READ_RESULT + config.hops("mem0", out) - 1
        schedule.op("mem0.read", at, "READ", addr=3 + n, dst=east)
        schedule.op(f"{out}.link", at + read, "SEND", src=east)
        due = at + read + link_latency(config) + late
        west = int(back != config.ports[0])
        schedule.op(f"{back}.link", due, "RECEIVE", dst=west)
        write = due + RECEIVE_RESULT + config.hops(back, "mem0") - 1
        schedule.op("mem0.write", write, "WRITE", addr=5 + n, src=west, mask=0)
    return link(config, {"main": schedule.build()})


def run(program, topology, config=TINY):
    system = System(config, topology)
    system.load([program] * topology.chips)
    for n, tile in enumerate(system.chips):
        tile.write_memory("mem0", 3, np.arange(8).reshape(2, 4).astype(np.uint32) + 100 * n)
    return system, system.run()


def test_words_go_round_a_ring():
    system, results = run(exchange(sends=(0, link_cycles(TINY))), ring(3))
    assert all(r.violation is None for r in results)
    for n, tile in enumerate(system.chips):
        before = (n - 1) % 3
        assert (tile.read_memory("mem0", 5, 2) == np.arange(8).reshape(2, 4) + 100 * before).all()


def test_results_are_the_same_everywhere():
    _, results = run(exchange(), ring(4))
    assert len(set(results)) == 1 and results[0].violation is None
    assert results[0].cycles > link_latency(TINY)


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_a_word_is_due_after_the_latency(late):
    _, results = run(exchange(late=late), ring(2))
    if late < 0:
        assert results[0].violation.kind is ViolationKind.UNDERFLOW
        assert results[0].violation.cycle == SENT + link_latency(TINY) - 1
    else:
        assert results[0].violation is None


@pytest.mark.parametrize("apart", [link_cycles(TINY) - 1, link_cycles(TINY)])
def test_a_link_is_busy_with_a_word(apart):
    _, results = run(exchange(sends=(0, apart)), ring(2))
    if apart < link_cycles(TINY):
        assert results[0].violation.kind is ViolationKind.OVERFLOW
        assert results[0].violation.cycle == SENT + apart
    else:
        assert results[0].violation is None


def test_one_word_may_wait_and_no_more():
    """The second of two words becomes due while the first waits."""
    _, results = run(exchange(sends=(0, link_cycles(TINY)), late=link_cycles(TINY) - 1), ring(2))
    assert results[0].violation is None
    _, results = run(exchange(sends=(0, link_cycles(TINY)), late=link_cycles(TINY)), ring(2))
    assert results[0].violation.kind is ViolationKind.OVERFLOW
    assert results[0].violation.cycle == SENT + link_latency(TINY) + link_cycles(TINY)


def test_a_word_nobody_takes_is_no_violation():
    schedule = Schedule(TINY)
    schedule.op("mem0.read", 0, "READ", addr=3, dst=0)
    schedule.op("c2c1.link", SENT, "SEND", src=0)
    _, results = run(link(TINY, {"main": schedule.build()}), ring(2))
    assert results[0].violation is None


def test_nothing_comes_from_an_open_end():
    _, results = run(exchange(), line(2))
    assert [r.violation and r.violation.kind for r in results] == [ViolationKind.UNDERFLOW, None]


def test_a_program_per_chip_and_ports_enough():
    system = System(TINY, ring(2))
    with pytest.raises(MachineError, match="1 programs for 2 chips"):
        system.load([exchange()])
    with pytest.raises(MachineError, match="mesh of 4 chips needs 3 links a chip, tiny-linked has 2"):
        System(TINY, mesh(4))
    with pytest.raises(MachineError, match="chip 0: the program was made for configuration"):
        system.load([exchange(PRESETS["tiny"].linked(3))] * 2)


def test_a_mesh():
    config = PRESETS["tiny"].linked(3)
    shape = mesh(4)
    for a, b in itertools.permutations(range(4), 2):
        out, back = shape.cable(a, b)
        assert shape.peer(out) == back and (out.chip, back.chip) == (a, b)
    system = System(config, shape)
    system.load([exchange(config, out="c2c0", back="c2c0")] * 4)
    for n, tile in enumerate(system.chips):
        tile.write_memory("mem0", 3, np.full((1, 4), n, np.uint32))
    system.run()
    for n, tile in enumerate(system.chips):
        assert tile.read_memory("mem0", 5, 1)[0, 0] == shape.peer(End(n, 0)).chip


def test_a_chip_that_waits_for_ever_is_named():
    halting, waiting = exchange(), exchange()
    waiting.queues["vxm0.chain"] = [Instruction("SYNC"), Instruction("HALT")]
    system = System(TINY, ring(2))
    system.load([halting, waiting])
    with pytest.raises(Deadlock, match=r"chip 1: deadlock .* vxm0.chain wait in SYNC"):
        system.run()


# Topologies --------------------------------------------------------------------------------------


def test_shapes():
    assert [len(line(4).cables), len(ring(4).cables), len(mesh(4).cables)] == [3, 4, 6]
    assert [line(4).ports, ring(2).ports, mesh(4).ports, line(1).ports] == [2, 2, 3, 0]
    assert line(3).neighbours(1) == [0, 2]
    assert line(4).hops(0, 3) == [0, 1, 2, 3]
    assert ring(4).hops(0, 3) == [0, 3]
    assert ring(2).cable(0, 1) == (End(0, 1), End(1, 0))
    assert Topology.from_dict(ring(3).to_dict()) == ring(3)


@pytest.mark.parametrize(
    ("cables", "complaint"),
    [
        ([(0, 0, 1, 0), (0, 0, 1, 1)], "port 0 of chip 0 has a cable already"),
        ([(0, 0, 0, 1)], "a chip cannot be its own neighbour"),
        ([(0, 0, 2, 0)], "odd has chips 0 to 1"),
        ([], "no cables lead from chip 0 to chip 1"),
    ],
)
def test_cables_that_cannot_be(cables, complaint):
    with pytest.raises(TopologyError, match=complaint):
        Topology("odd", 2, tuple(Cable(End(a, p), End(b, q)) for a, p, b, q in cables))


def test_topologies_from_files(tmp_path):
    file = tmp_path / "two.json"
    file.write_text('{"name": "two", "chips": 2, "cables": [[0, 1, 1, 0]]}')
    assert load_topology(str(file), 2).hops(0, 1) == [0, 1]
    for text, chips, complaint in (
        ('{"name": "two", "chips": 2, "cables": [[0, 1, 1, 0]]}', 3, "joins 2 chips, not 3"),
        ("{", 2, "is not JSON"),
        ('{"chips": 2}', 2, "topology cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(TopologyError, match=complaint):
            load_topology(str(file), chips)
    with pytest.raises(TopologyError, match="no topology 'star': use line, ring, mesh"):
        load_topology("star", 4)
    with pytest.raises(TopologyError, match="cannot read topology"):
        load_topology(str(tmp_path / "none.json"), 4)
