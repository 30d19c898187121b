"""Systems of tiles in RTL: exchanges and networks as on the golden system, errors on the wires, faults of chips and cables."""

import itertools
from functools import cache

import numpy as np
import pytest

from golden.system import System
from lpu.arch import PRESETS
from lpu.compiler.chips import compile_system
from lpu.runtime.links import LinkedMachines
from lpu.runtime.machine import MachineError
from lpu.runtime.system import SystemSession
from lpu.timing import link_cycles, link_latency
from lpu.topology import Cable, End, Topology, ring
from rtl.system import directions
from tb.systemsim import SystemSimulation
from tests.quantised_tools import Shape, random_quantised
from tests.test_golden_system import TINY, exchange

RING = ring(3)


@cache
def simulation():
    return SystemSimulation(TINY, RING)


@pytest.fixture
def linked():
    """The ring, powered on and aligned."""
    made = simulation()
    made.power_on()
    return machines(made)


def machines(made, topology=RING, **options):
    transports = [made.transport(chip) for chip in range(made.topology.chips)]
    return LinkedMachines(transports, TINY, topology, simulation=made, **options)


def fill(system):
    for n, chip in enumerate(system.chips):
        chip.write_memory("mem0", 3, np.arange(8).reshape(2, 4).astype(np.uint32) * 0x01234567 + n)


def both(linked, program):
    """Results and received words on RTL and golden system."""
    found = []
    for system in (linked, System(TINY, RING)):
        system.load([program] * 3)
        fill(system)
        results = system.run()
        found.append((results, [chip.read_memory("mem0", 5, 2).tolist() for chip in system.chips]))
    return found


@pytest.mark.parametrize("apart", [link_cycles(TINY), 2 * link_cycles(TINY) + 3])
@pytest.mark.parametrize("late", [-1, 0, 1, link_cycles(TINY) - 1, link_cycles(TINY)])
def test_words_are_there_when_golden_has_them(linked, apart, late):
    rtl, golden = both(linked, exchange(sends=(0, apart), late=late))
    assert rtl == golden


def test_a_busy_link_is_a_violation_in_the_same_cycle(linked):
    rtl, golden = both(linked, exchange(sends=(0, link_cycles(TINY) - 1)))
    assert rtl[0] == golden[0] and rtl[0][0].violation


def test_chips_count_alike(linked):
    """Reset one after the other, they agree on the time to the cycle, and on who is next to whom."""
    states = linked.states()
    assert [s.distance for s in states] == [0, 1, 1]
    # Chips are asked one after the other; the differences are those of a single counter read three times.
    gaps = [b.time - a.time for a, b in itertools.pairwise(states)]
    assert gaps[0] == gaps[1]
    assert all(link.transit == states[0].links[0].transit for s in states for link in s.links)


def test_latency_is_constant_over_many_words(linked):
    """A word is there at link_latency and not a cycle before, over and over."""
    early, due = exchange(late=-1), exchange(late=0)
    for program, fails in ((early, True), (due, False)):
        linked.load([program] * 3)
        for _ in range(10):
            assert all((r.violation is not None) is fails for r in linked.run())
    assert link_latency(TINY) == link_cycles(TINY) + 24


@pytest.mark.parametrize("bits", [1, 2])
def test_errors_on_the_wires(linked, bits):
    """One wrong bit in every flit changes nothing, no cycle; two are told with chip and port."""
    sim = linked.simulation
    program = exchange(sends=tuple(n * link_cycles(TINY) for n in range(2)))
    linked.load([program] * 3)
    fill(linked)
    clean = linked.run()
    # From chip 0 to chip 1.
    way = directions(RING).index((End(0, 1), End(1, 0)))
    before = linked.states()
    sim.errors(way, bits, seed=7)
    if bits == 1:
        for _ in range(20):
            assert linked.run() == clean
        assert (
            linked.chips[1].read_memory("mem0", 5, 2).tolist()
            == (np.arange(8).reshape(2, 4) * 0x01234567).tolist()
        )
        after = linked.states()
        assert after[1].links[0].corrected > before[1].links[0].corrected + 40
        assert [s.links[0].bad for s in after] == [s.links[0].bad for s in before]
    else:
        with pytest.raises(
            MachineError, match=r"port 0 of chip 1: .* came with errors that could not be corrected"
        ):
            linked.run()
    sim.errors(way, 0)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 2])
def test_a_hundred_thousand_errors(linked, bits):
    """Every frame of 100,000 damaged flits is corrected, or told: control frames between runs count, too."""
    sim, way = linked.simulation, directions(RING).index((End(0, 1), End(1, 0)))
    before = linked.states()[1].links[0]
    sim.errors(way, bits, seed=3)
    while sim.flits(way) < 100_000:
        sim.step(20_000)
    sim.errors(way, 0)
    sim.step(200)
    after = linked.states()[1].links[0]
    frames = sim.flits(way) // 2
    told = (after.corrected - before.corrected, after.bad - before.bad)
    assert abs(told[bits - 1] - frames) <= 2 and told[2 - bits] <= 1


def test_a_dead_wire(linked):
    """All frames of a cable are wrong: the next run says so, at whatever chip."""
    linked.load([exchange()] * 3)
    way = directions(RING).index((End(1, 1), End(2, 0)))
    linked.simulation.hold(way, 0b100)
    try:
        with pytest.raises(MachineError, match=r"chip 2|port 0 of chip 2"):
            for _ in range(3):
                results = linked.run()
                if any(r.violation for r in results):
                    raise MachineError(f"chip 2: {results[2].violation}")
    finally:
        linked.simulation.hold(way, 0)


def test_a_cable_that_is_not_plugged_in():
    made = simulation()
    made.power_on()
    way = directions(RING).index((End(0, 1), End(1, 0)))
    made.hold(way, 0xFF)
    try:
        with pytest.raises(
            MachineError, match=r"hears nothing: its cable should lead to|has no common time with"
        ):
            machines(made)
    finally:
        made.hold(way, 0)


def test_cables_plugged_in_elsewhere():
    made = simulation()
    made.power_on()
    turned = Topology("turned", 3, tuple(Cable(End(c.a.chip, 0), End(c.b.chip, 1)) for c in RING.cables))
    with pytest.raises(MachineError, match=r"leads to .*, not to .*: cables are plugged in elsewhere"):
        machines(made, turned)


def test_a_chip_that_was_reset_is_found(linked):
    """It has forgotten its number and the time; the run does not begin, and alignment mends it."""
    linked.load([exchange()] * 3)
    linked.simulation.reset(2)
    linked.simulation.step(3000)
    with pytest.raises(MachineError, match=r"leads to|does not know|no common time|chip 2"):
        linked.run()
    linked.align()
    linked.load([exchange()] * 3)
    assert all(r.violation is None for r in linked.run())


def test_a_chip_that_is_late(linked):
    """Told to start at a time that is past, a chip says so, and nobody goes on."""
    linked.load([exchange()] * 3)
    with pytest.raises(MachineError, match=r"chip time .* past or too near"):
        linked.chips[1].start("main", linked.states()[1].time - 5)
    assert all(r.violation is None for r in linked.run())


def test_clocks_apart():
    """Phases of their own and a hundred millionths: starts within two cycles, words when they are due."""
    made = SystemSimulation(TINY, RING)
    for chip, (ppm, phase) in enumerate(((0, 0), (100, 3100), (-100, 7700))):
        made.clock(chip, ppm=ppm, phase=phase)
    system = machines(made)
    system.load([exchange(sends=(0, link_cycles(TINY)))] * 3)
    fill(system)
    for _ in range(10):
        assert all(r.violation is None for r in system.run())
        made.step(5000)
    assert system.chips[0].read_memory("mem0", 5, 1).tolist() == [
        [(v * 0x01234567 + 2) & 0xFFFFFFFF for v in range(4)]
    ]


@pytest.mark.parametrize("sequences", [1, 3])
def test_a_network_over_three_chips(linked, sequences):
    graph = random_quantised(Shape(4, 4, 1, 1, 4, vocabulary=7, positions=12, layers=2), 3)
    program = compile_system(graph, TINY, 3, topology=RING, sequences=sequences)
    prompts = [[1, 2], [3], [4, 5, 6]][:sequences]
    told = []
    for system in (linked, System(TINY, RING)):
        session = SystemSession(system, program)
        start = session.start(prompts)
        told.append((start, [session.step() for _ in range(4)], session.rounds(2)))
    assert told[0] == told[1]
    assert told[0][2].cycles == told[0][2].predicted


def test_a_tile_with_links_runs_alone(fast_linked):
    """Without a neighbour, and started at once."""
    from golden.tile import Tile

    program = exchange()
    found = []
    for machine in (fast_linked, Tile(TINY)):
        machine.load(program)
        found.append(machine.run())
    assert found[0] == found[1] and found[0].violation is not None


@pytest.fixture
def fast_linked():
    from tb.fastsim import fast_machine

    return fast_machine(PRESETS["tiny"].linked())
