"""Systems of tiles in RTL: exchanges and networks as on the golden system, errors on the wires, faults of chips and cables."""

from functools import cache

import numpy as np
import pytest

from golden.system import System
from lpu.arch import PRESETS
from lpu.compiler.builder import Schedule, link
from lpu.compiler.chips import compile_system
from lpu.runtime.links import LinkedMachines
from lpu.runtime.machine import MachineError, ViolationKind
from lpu.runtime.protocol import Space
from lpu.runtime.system import SystemSession
from lpu.timing import READ_RESULT, link_cycles, link_latency
from lpu.topology import Cable, End, Topology, line, ring
from rtl.system import Plug, directions
from tb.systemsim import SystemSimulation
from tests.models_tools import trained_model
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
    # The same command takes the same cycles on every chip: asked in a cycle of the shared clock, all give the same difference.
    skews = set()
    for chip in linked.chips:
        asked = linked.simulation.cycles(0)
        skews.add(int(chip.read_space(Space.LINK, 1, 1, "time")[0, 0]) - asked)
    assert len(skews) == 1
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


def test_a_chip_reset_within_a_run(linked):
    """Its neighbours miss its words and say in which cycle; it has no result; and all of it ends."""
    config, words = TINY, 40
    schedule = Schedule(config)
    for n in range(words):
        at = n * link_cycles(config)
        read = READ_RESULT + config.hops("mem0", "c2c1") - 1
        schedule.op("mem0.read", at, "READ", addr=3, dst=0)
        schedule.op("c2c1.link", at + read, "SEND", src=0)
        schedule.op("c2c0.link", at + read + link_latency(config), "RECEIVE", dst=0)
    linked.load([link(config, {"main": schedule.build()})] * 3)
    moment = linked.states()[-1].time + 2000
    for chip in linked.chips:
        chip.start("main", moment)
    linked.simulation.step(2400)
    linked.simulation.reset(1)
    results = [linked.chips[n].finish("main") for n in (0, 2)]
    # Chip 2 gets nothing any more; chip 0 hears what a chip says that learns its wires.
    assert results[1].violation.kind is ViolationKind.UNDERFLOW and results[1].violation.position == 0
    assert results[0].violation is None or results[0].violation.position == TINY.position("c2c1")
    with pytest.raises(MachineError):
        linked.run()
    linked.align()


def test_ten_thousand_words_when_they_are_due(linked):
    """Taken in the first cycle they can be, and in the last one before the next is due: so they come in just that cycle."""
    config, count, runs = TINY, 250, 40
    hop = READ_RESULT + config.hops("mem0", "c2c1") - 1
    every = {"count": count, "interval": link_cycles(config)}
    for late in (0, link_cycles(config) - 1):
        schedule = Schedule(config)
        schedule.op("mem0.read", 0, "READ", addr=3, dst=0, **every)
        schedule.op("c2c1.link", hop, "SEND", src=0, **every)
        schedule.op("c2c0.link", hop + link_latency(config) + late, "RECEIVE", dst=0, **every)
        linked.load([link(config, {"main": schedule.build()})] * 3)
        for _ in range(runs // 2):
            assert all(r.violation is None for r in linked.run())


def test_wires_in_any_order():
    """Two chips whose cable swaps wires and turns some over, one way and the other."""
    two = line(2)
    plugs = {0: Plug((3, 0, 7, 1, 2, 6, 5, 4), 0b10110010), 1: Plug(tuple(reversed(range(8))), 0xFF)}
    made = SystemSimulation(TINY, two, plugs)
    system = machines(made, two)
    graph = random_quantised(Shape(4, 4, 1, 1, 4, vocabulary=7, positions=12, layers=2), 3)
    program = compile_system(graph, TINY, 2, topology=two, cut="layers")
    told = []
    for chips in (system, System(TINY, two)):
        session = SystemSession(chips, program)
        told.append((session.start([[1, 2]]), [session.step() for _ in range(5)]))
    assert told[0] == told[1]


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_network_over_four_chips():
    """Four tiles in RTL, four sequences."""
    four = ring(4)
    system = machines(SystemSimulation(TINY, four), four)
    graph = random_quantised(Shape(4, 4, 1, 1, 4, vocabulary=7, positions=12, layers=2), 3)
    told = []
    program = compile_system(graph, TINY, 4, topology=four, sequences=4)
    for chips in (system, System(TINY, four)):
        session = SystemSession(chips, program)
        told.append((session.start([[1, 2], [3], [4], [5, 6]]), [session.step() for _ in range(6)]))
    assert told[0] == told[1]


@pytest.mark.slow
def test_stories260k_on_two_ecp5_tiles():
    """A hundred tokens as on one sim16, every cycle as predicted."""
    from golden.calibrate import quantised_model
    from golden.tile import Tile
    from lpu.compiler.frontend import load_model, load_tokenizer
    from lpu.compiler.model import compile_model
    from lpu.runtime.session import Session
    from tb.systemsim import linked_chips

    path = trained_model("stories260K")
    quantised, prompt = quantised_model(load_model(path)), load_tokenizer(path).encode("Once upon")
    config = PRESETS["ecp5-85f"].linked()
    program = compile_system(quantised, config, 2)
    session = SystemSession(linked_chips(config, program.topology), program)
    cycles, predicted = session.start([prompt])
    steps = [session.step() for _ in range(100)]
    assert cycles == predicted and all(s.cycles == s.predicted for s in steps)
    alone = Session(Tile(PRESETS["sim16"]), compile_model(quantised, PRESETS["sim16"]))
    alone.start(prompt)
    assert [s.tokens[0] for s in steps] == [alone.step().token for _ in range(100)]


@pytest.mark.slow
def test_two_cores_simulate_the_same():
    made = SystemSimulation(TINY, RING, threads=2)
    rtl, golden = both(machines(made), exchange(sends=(0, link_cycles(TINY))))
    assert rtl == golden
