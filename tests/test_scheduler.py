"""The scheduler: no resource twice, state in order, and loops that are legal for every number of iterations."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest

from lpu import timing
from lpu.arch import PRESETS
from lpu.compiler.check import check_program
from lpu.compiler.flow import Flow
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.program import Entry, Model
from lpu.compiler.phases import emit
from lpu.compiler.scheduler import Timeline
from lpu.isa import LOOP_INDEX, Destination, Operand, Source
from lpu.program import Program
from tests.quantised_tools import Shape, random_quantised, tile_config

TINY = PRESETS["tiny"]


def host(timeline, op, **args):
    flow = Flow(timeline.config, "host")
    flow.step("host0.port", op, **args)
    return timeline.place(flow)


def copy(config, source, target, *, count=1, index=0, **loop):
    """Words of mem0 from ``source`` through the VXM to ``target``; slots indexed by ``index``."""
    flow = Flow(config, "copy", config.beats)
    slots = {"count": count, "strides": {"addr": 1}, "index": {"addr": index} if index else {}, **loop}
    read = flow.step("mem0.read", "READ", addr=source, dst=0, **slots)
    chain = flow.step("vxm0.chain", "CHAIN", count=count, to=Destination.STREAM)
    write = flow.step("mem0.write", "WRITE", addr=target, src=0, mask=0, **slots)
    flow.net(read, (chain, "a_at"))
    flow.net(chain, (write, "src"))
    return flow


def one(config, queue, op, **args):
    """A flow of a step that meets nobody's stream."""
    flow = Flow(config, op)
    flow.step(queue, op, **args)
    return flow


def load(config, act):
    """An activation from mem0."""
    flow = Flow(config, "load")
    read = flow.step("mem0.read", "READB", addr=0, dst=0)
    flow.net(read, (flow.step("mxm0.load", "LA", act=act, src=0, mask=0), "src"), bytes=1)
    return flow


def store(config, addr):
    """An accumulator to mem0."""
    flow = Flow(config, "store")
    drain = flow.step("mxm0.drain", "DRAIN", acc=0, dst=0)
    flow.net(drain, (flow.step("mem0.write", "WRITE", addr=addr, src=0, mask=0), "src"))
    return flow


def cycles(timeline, op):
    return [p.cycle for s in timeline.segments for p in s if p.instruction.op == op]


def program(timeline, repeat=None):
    words = emit(timeline, repeat)
    return Program(timeline.config, dict(words.queues), {}, {"main": 0})


# Resources ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [tile_config(4, 2), tile_config(8, 8)], ids=lambda c: c.name)
def test_nothing_is_used_twice(config):
    """Brute force over every placed word of a network: queues, stages, and every stream register it passes."""
    timeline = Entry(Model(random_quantised(Shape()), config, 1), 1, True).lower()
    queues, stages, streams = Counter(), Counter(), Counter()
    placed = [p for s in timeline.segments for p in s] + [p for loop in timeline.loops for p in loop.body]
    for p in placed:
        x, (unit, _) = p.instruction, p.queue.split(".")
        for at in range(p.cycle, p.cycle + (x.count - 1) * x.interval + 1):
            queues[p.queue, at] += 1
        for k in range(x.count):
            at = p.cycle + k * x.interval
            if x.op == "CHAIN":
                t = timing.chain(x.args, config)
                for stage in ("convert", "multiply", "add", "special", "multiply2", "quantise"):
                    offset = getattr(t, stage)
                    if offset is not None:
                        stages.update((stage, at + offset + beat) for beat in range(config.beats))
            for result in timing.results(x, config):
                place = config.position(unit)
                way = -1 if result.stream & 1 else 1
                steps = place + 1 if way < 0 else len(config.floorplan) - place
                for byte in range(result.bytes):
                    code = result.stream + 2 * byte
                    streams.update((code, place + way * n, at + result.at + n) for n in range(steps))
    assert len(placed) > 100
    for found in (queues, stages, streams):
        assert max(found.values()) == 1


def test_gaps_are_filled():
    """A later flow goes in front of an earlier one that waits."""
    timeline = Timeline(TINY)
    late = timeline.place(copy(TINY, 0, 1), not_before=50)
    early = timeline.place(copy(TINY, 8, 9))
    assert (early, late) == (0, 50)
    assert timeline.place(copy(TINY, 16, 17), not_before=50) == 50 + TINY.beats


# State -------------------------------------------------------------------------------------------


def test_memory_read_after_write():
    """The word just written is read as soon as it is there, not a cycle before."""
    timeline = Timeline(TINY)
    timeline.place(copy(TINY, 0, 1))
    timeline.place(copy(TINY, 1, 2))
    (write, _), (_, read) = cycles(timeline, "WRITE"), cycles(timeline, "READ")
    assert read == write + timing.WRITE_VISIBLE
    assert check_program(program(timeline)) == []


def test_memory_write_after_read():
    """A write shows after the read of the old word, and does not collide with it."""
    timeline = Timeline(TINY)
    timeline.place(copy(TINY, 5, 6), not_before=40)
    timeline.place(store(TINY, 5))
    (read,), write = cycles(timeline, "READ"), min(cycles(timeline, "WRITE"))
    assert write + timing.WRITE_VISIBLE - 1 > read
    assert check_program(program(timeline)) == []


def test_accumulator_and_activation():
    timeline = Timeline(TINY)
    timeline.place(load(TINY, 2))
    timeline.place(one(TINY, "mxm0.passes", "PASS", ctx=0, act=2, acc=0, clear=1))
    timeline.place(store(TINY, 0))
    timeline.place(one(TINY, "mxm0.passes", "PASS", ctx=0, act=2, acc=0, clear=0))
    timeline.place(load(TINY, 2))
    (la, again), (first, second), (drain,) = (cycles(timeline, op) for op in ("LA", "PASS", "DRAIN"))
    visible = timing.pass_visible(TINY)
    assert first == la + timing.ACTIVATION_VISIBLE
    assert drain == first + visible
    # The second pass shows behind the drain; the entry is loaded anew once it has been read.
    assert second == drain + 1 - visible
    assert again + timing.ACTIVATION_VISIBLE > second


def test_registers_of_the_vxm():
    def chain(**args):
        flow = Flow(TINY, "chain")
        made = flow.step("vxm0.chain", "CHAIN", **args)
        if args.get("a", Source.FLOAT) == Source.FLOAT:
            flow.net(flow.step("mem0.read", "READ", addr=0, dst=0), (made, "a_at"))
        return flow

    timeline = Timeline(TINY)
    timeline.place(chain(to=Destination.REG, to_at=3))
    timeline.place(chain(b=Operand.REG, b_at=3, to=Destination.REG, to_at=4))
    timeline.place(chain(to=Destination.REG, to_at=3))
    first, second, third = cycles(timeline, "CHAIN")
    plain = timing.chain(timeline.segments[0][0].instruction.args, TINY)
    read = second + plain.b
    assert read == first + plain.out + 1
    assert third + plain.out + 1 > read


def test_running_accumulators():
    def reduce(clear, emit):
        flow = Flow(TINY, "reduce")
        args = {"acc": 1, "how": 0, "clear": clear, "emit": emit, "dst": 0, "mask": 0}
        made = flow.step("sxm0.reduce", "REDUCE", src=0, **args)
        flow.net(flow.step("mem0.read", "READ", addr=0, dst=0), (made, "src"))
        return flow

    timeline = Timeline(TINY)
    for clear in (1, 0, 1):
        timeline.place(reduce(clear, 0))
    found = cycles(timeline, "REDUCE")
    # Read and written in one cycle: one a cycle, in order.
    assert [b - a for a, b in itertools.pairwise(found)] == [1, 1]


def test_weights():
    timeline = Timeline(TINY)
    place = ("cache", "k")
    flow = Flow(TINY, "row")
    write = flow.step("mxm0.weights", "LWR", region=place, ctx=0, line=0, src=0, mask=0)
    flow.net(flow.step("mem0.read", "READB", addr=0, dst=0), (write, "src"), bytes=1)
    timeline.place(flow)
    timeline.place(one(TINY, "mxm0.passes", "PASS", region=place, ctx=0, act=0, acc=0, clear=1))
    assert cycles(timeline, "PASS")[0] == cycles(timeline, "LWR")[0] + timing.WEIGHTS_VISIBLE


def test_index_registers_and_masks():
    timeline = Timeline(TINY)
    host(timeline, "CONFIG", x=3, value=5)
    host(timeline, "INDEX", x=4, src=3, add=1, shift=0, bits=16)
    host(timeline, "TAIL", mask=2, src=4)
    timeline.place(one(TINY, "mxm0.passes", "PASS", index={"ctx": 4}, ctx=0, act=0, acc=0, clear=1))
    flow = store(TINY, 0)
    flow.steps[1].instruction = replace(
        flow.steps[1].instruction, args={**flow.steps[1].instruction.args, "mask": 2}
    )
    timeline.place(flow)
    host(timeline, "CONFIG", x=4, value=1)
    config, again = cycles(timeline, "CONFIG")
    (index,), (tail,), (passes,) = (cycles(timeline, op) for op in ("INDEX", "TAIL", "PASS"))
    # The port's own queue sees a register one dispatch later, others INDEX_VISIBLE.
    assert (index, tail) == (config + 1, index + 1)
    assert passes == index + timing.INDEX_VISIBLE
    assert cycles(timeline, "WRITE")[0] >= tail + timing.INDEX_VISIBLE
    assert again + timing.INDEX_VISIBLE > passes


# Loops -------------------------------------------------------------------------------------------


def looped():
    """A count from the host, work before, a loop that goes on with it, and work behind that wants both results."""
    timeline = Timeline(TINY)
    host(timeline, "INDEX", x=3, src=2, add=0, shift=0, bits=16)
    timeline.place(copy(TINY, 0, 1))
    body = copy(TINY, 10, 20, count=2, index=LOOP_INDEX, region=("words",), loop_step=2, varies=True)
    timeline.loop(3, [body])
    timeline.place(copy(TINY, 1, 2))
    timeline.loop(3, [copy(TINY, 1, 40)])
    timeline.place(copy(TINY, 2, 3))
    return timeline


@pytest.mark.parametrize("repeat", [None, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_loop_is_legal_for_every_number_of_iterations(count, repeat):
    timeline = looped()
    made = program(timeline, repeat)
    once = timeline.end + (count - 1) * sum(loop.period for loop in timeline.loops)
    expected = once if repeat is None else 2 * once + timing.LOOP_CYCLES
    assert check_program(made, registers={2: count, 7: 2}, cycles=expected) == []


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_check_sees_a_flow_that_is_broken_by_a_cycle(count):
    timeline = looped()
    last = timeline.segments[-1]
    at = next(n for n, p in enumerate(last) if p.instruction.op == "CHAIN")
    last[at] = replace(last[at], cycle=last[at].cycle + 1)
    assert any("NO_OPERAND" in f for f in check_program(program(timeline), registers={2: count}))


@pytest.mark.parametrize("count", [2, 5])
def test_the_check_sees_one_queue_with_another_period(count):
    """A wait of one cycle more in one queue's body: nothing without a second iteration, then out of step."""
    made = program(looped())
    words = made.queues["vxm0.chain"]
    at = next(n for n, w in enumerate(words) if w.op == "LOOP")
    last = at + words[at].args["length"]
    words[last] = replace(words[last], gap=words[last].gap + 1)
    assert any("NO_OPERAND" in f for f in check_program(made, registers={2: count}))


def test_no_queue_reads_a_count_before_it_is_there():
    """Queues without work before their first LOOP wait for the register, too."""
    timeline = looped()
    seen = cycles(timeline, "INDEX")[0] + timing.INDEX_VISIBLE
    assert min(timeline.loops[0].starts.values()) - timing.LOOP_CYCLES >= seen


def test_windows_are_apart():
    """Every resource: what comes before a loop, its window, what comes behind."""
    timeline = looped()
    for n, loop in enumerate(timeline.loops):
        for queue, start in loop.starts.items():
            ends = [
                p.cycle + (p.instruction.count - 1) * p.instruction.interval
                for segment in timeline.segments[: n + 1]
                for p in segment
                if p.queue == queue
            ]
            assert all(end < start - timing.LOOP_CYCLES for end in ends)
            inside = [p.cycle for p in loop.body if p.queue == queue]
            assert all(start <= c < start + loop.period for c in inside)
            behind = [p.cycle for segment in timeline.segments[n + 1 :] for p in segment if p.queue == queue]
            assert all(c >= start + loop.period for c in behind)


def test_state_from_before_a_loop_is_ready_without_it():
    timeline = Timeline(TINY)
    host(timeline, "INDEX", x=3, src=2, add=0, shift=0, bits=16)
    timeline.place(copy(TINY, 0, 1))
    period = timeline.loop(3, [copy(TINY, 30, 40, count=4)])
    timeline.place(copy(TINY, 1, 2))
    (write, _), (_, read) = cycles(timeline, "WRITE"), cycles(timeline, "READ")
    assert read - period >= write + timing.WRITE_VISIBLE


def test_a_loop_waits_for_what_it_carries():
    """An iteration that reads what the one before wrote: the period spans from the read to the next one."""
    timeline = Timeline(TINY)
    period = timeline.loop(3, [copy(TINY, 30, 31), copy(TINY, 31, 30)])
    read = min(p.cycle for p in timeline.loops[0].body if p.instruction.op == "READ")
    write = max(p.cycle for p in timeline.loops[0].body if p.instruction.op == "WRITE")
    assert read + period >= write + timing.WRITE_VISIBLE


def test_two_steps_of_one_queue_cannot_count_differently():
    timeline = Timeline(TINY)
    parts = [
        copy(TINY, a, a + 8, index=LOOP_INDEX, region=(a,), loop_step=step, varies=True)
        for a, step in ((0, 1), (20, 2))
    ]
    timeline.loop(3, parts)
    timeline.place(copy(TINY, 40, 41))
    with pytest.raises(ValueError, match=r"one loop index cannot grow by \[1, 2\] at once"):
        emit(timeline)


def test_no_streams_left():
    config = tile_config(4, 1, "host mem:64 sxm mxm vxm mem:64", streams=4)
    flow = Flow(config, "crowded", 1)
    reads = [flow.step("mem0.read", "READ", at=0, addr=0, dst=0)]
    drain = flow.step("mxm0.drain", "DRAIN", at=3, acc=0, dst=0)
    flow.net(reads[0], (flow.step("mem1.write", "WRITE", addr=0, src=0, mask=0), "src"))
    flow.net(drain, (flow.step("vxm0.chain", "CHAIN", to=Destination.REG), "a_at"))
    with pytest.raises(GraphError, match="crowded: on the streams of 4 lanes its values meet each other"):
        Timeline(config).place(flow)
