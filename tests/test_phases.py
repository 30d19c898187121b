"""From a timeline to queue words: every placed instruction is dispatched in its cycle, and the labels say by whom."""

import pytest

from lpu.arch import PRESETS
from lpu.asm import format_instruction
from lpu.compiler.builder import QueueOverflow
from lpu.compiler.expand import expand
from lpu.compiler.lower.program import Entry, Model
from lpu.compiler.phases import emit
from lpu.compiler.scheduler import Timeline
from lpu.isa import LOOP_INDEX, queue_names
from lpu.program import Program
from lpu.timing import LOOP_CYCLES
from tests.quantised_tools import Shape, random_quantised, tile_config
from tests.test_scheduler import copy, host, looped

CONFIG = tile_config(4, 2)


def network():
    return Entry(Model(random_quantised(Shape(positions=16)), CONFIG, 1), 1, True).lower()


def elements(config, queue, cycle, x):
    """Every dispatch of a word as (queue, cycle, text) with the fields it has then."""
    for k in range(x.count):
        args = {n: v + k * x.strides.get(n, 0) for n, v in x.args.items()}
        single = type(x)(x.op, args, index=x.index)
        yield queue, cycle + k * x.interval, format_instruction(config, queue, single)


def placed(timeline, iterations):
    """What the timeline says for so many iterations of each loop: segments move with the loops before them."""
    config, shift, out = timeline.config, 0, []
    for n, segment in enumerate(timeline.segments):
        if n:
            loop = timeline.loops[n - 1]
            for turn in range(iterations):
                for p in loop.body:
                    out += elements(config, p.queue, p.cycle + shift + turn * loop.period, p.instruction)
            shift += (iterations - 1) * loop.period
        for p in segment:
            out += elements(config, p.queue, p.cycle + shift, p.instruction)
    return sorted(out)


@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("make", [looped, network])
def test_every_instruction_in_its_cycle(make, iterations):
    timeline = make()
    words = emit(timeline)
    made = Program(timeline.config, dict(words.queues), {}, {"main": 0})
    position = iterations if make is looped else iterations * CONFIG.lanes
    run = expand(made, registers={2: position}, loaded=[0])
    found = [e for d in run.dispatches for e in elements(timeline.config, d.queue, d.cycle, d.instruction)]
    assert not run.faults
    assert sorted(found) == placed(timeline, iterations)
    assert run.cycles == words.cycles + iterations * sum(period for _, period in words.loops)


def test_a_repeated_timeline_starts_anew_in_all_queues_at_once():
    timeline = looped()
    words = emit(timeline, 7)
    made = Program(timeline.config, dict(words.queues), {}, {"main": 0})
    run = expand(made, registers={2: 2, 7: 3})
    length = words.cycles + 2 * sum(period for _, period in words.loops)
    once = {e[1:] for e in placed(timeline, 2)}
    for turn in range(3):
        start = LOOP_CYCLES + turn * length
        part = {
            (c - start, text)
            for d in run.dispatches
            for _, c, text in elements(timeline.config, d.queue, d.cycle, d.instruction)
            if start <= c < start + length
        }
        assert part == once
    assert run.cycles == LOOP_CYCLES + 3 * length
    assert set(words.queues) == set(queue_names(timeline.config))


def test_neighbours_become_runs():
    timeline = Timeline(PRESETS["tiny"])
    for n in range(5):
        timeline.place(copy(timeline.config, n, 20 + n))
    words = emit(timeline).queues
    assert [(w.op, w.count) for w in words["mem0.read"]] == [("READ", 5), ("HALT", 1)]
    assert words["mem0.read"][0].strides == {"addr": 1}


@pytest.mark.parametrize("repeat", [None, 7])
def test_a_label_for_every_word(repeat):
    words = emit(network(), repeat)
    for queue, found in words.queues.items():
        assert len(words.labels[queue]) == len(found)
        for word, label in zip(found, words.labels[queue], strict=True):
            assert bool(label) == (word.op not in ("NOP", "LOOP", "HALT")), (queue, word)
    assert any("softmax" in label for label in words.labels["vxm0.chain"])


def test_the_loop_index_grows_by_the_step():
    timeline = Timeline(PRESETS["tiny"])
    host(timeline, "CONFIG", x=3, value=3)
    body = copy(timeline.config, 0, 20, count=3, index=LOOP_INDEX, region=("r",), loop_step=3, varies=True)
    timeline.loop(3, [body])
    timeline.place(copy(timeline.config, 50, 51))
    words = emit(timeline)
    (loop,) = (w for w in words.queues["mem0.read"] if w.op == "LOOP")
    assert (loop.args["index"], loop.args["step"]) == (3, 3)
    run = expand(Program(timeline.config, dict(words.queues), {}, {"main": 0}))
    visits = [d.loops for d in run.dispatches if d.queue == "mem0.read" and d.loops]
    assert visits == [(0,), (3,), (6,)]


def test_a_queue_that_overflows():
    config = tile_config(4, 4, queue_depth=16)
    timeline = Timeline(config)
    for n in range(20):
        timeline.place(copy(config, n * n, n + 512), not_before=7 * n * n)
    with pytest.raises(QueueOverflow, match=r"queue mem0\.read needs \d+ words, 4 lanes has room for 16"):
        emit(timeline)
