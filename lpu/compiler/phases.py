"""From a timeline to queue words: runs merged, waits as gaps and NOPs, loops with their windows, HALT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpu.compiler.builder import QueueOverflow, wait
from lpu.compiler.runs import Placed as Run
from lpu.compiler.runs import SlotMap, merge_runs
from lpu.compiler.scheduler import Loop, Placed, Timeline
from lpu.isa import LOOP_INDEX, Instruction, encode, queue_names
from lpu.timing import LOOP_CYCLES


@dataclass(frozen=True)
class Words:
    """Words of one entry: per queue, and the label of each; ``cycles`` without the loops; (select, period) of each loop."""

    queues: dict[str, list[Instruction]]
    labels: dict[str, list[str]]
    cycles: int
    loops: tuple[tuple[int, int], ...]


def emit(timeline: Timeline, repeat: int | None = None) -> Words:
    """Queue words of a timeline, run once, or as often as the index select ``repeat`` says. Raises QueueOverflow.

    Repeated, every queue goes through all of the timeline, so that all of them start it anew in the same cycle.
    """
    config, end = timeline.config, timeline.end
    holder = _holder(timeline)
    queues: dict[str, list[Instruction]] = {}
    labels: dict[str, list[str]] = {}
    for queue in queue_names(config):
        emitter = _Emitter(timeline, queue)
        if repeat is None:
            words, names = emitter.run(end if queue == holder else None)
        else:
            words, names = emitter.run(end)
            words, names = _repeated(words[:-1], repeat), ["", *names[:-1], "", ""]
            names += [""] * (len(words) - len(names))
        if len(words) > config.queue_depth:
            raise QueueOverflow(config, queue, len(words))
        for word in words:
            encode(config, queue, word)
        queues[queue], labels[queue] = words, names[: len(words)]
    once = end - sum(loop.period for loop in timeline.loops)
    loops = tuple((loop.select, loop.period) for loop in timeline.loops)
    return Words(queues, labels, once, loops)


def queue_words(timeline: Timeline, queue: str) -> tuple[list[Instruction], list[str]]:
    """One queue's words up to its last one, without HALT, and the label of each."""
    words, labels = _Emitter(timeline, queue).run(None)
    return words[:-1], labels[:-1]


def _repeated(body: list[Instruction], select: int) -> list[Instruction]:
    """LOOP around a body which ends in a wait, and HALT."""
    args = {"count": 0, "index": select, "length": len(body), "step": 0}
    return [Instruction("LOOP", args), *body, Instruction("HALT")]


def _holder(timeline: Timeline) -> str:
    """The queue whose HALT waits for the end: the one with the last word of the last segment."""
    last = [p for p in timeline.segments[-1]] or [p for s in timeline.segments for p in s]
    return max(last, key=lambda p: p.cycle).queue


class _Emitter:
    """Words of one queue."""

    def __init__(self, timeline: Timeline, queue: str):
        self._timeline, self._queue = timeline, queue
        self._slots = SlotMap(timeline.config, queue)
        self._words: list[Instruction] = []
        self._labels: list[str] = []
        self._at = 0
        self._absorbs = False

    def run(self, end: int | None) -> tuple[list[Instruction], list[str]]:
        """All segments and loops, and HALT in cycle ``end`` or at once."""
        mine = [[p for p in s if p.queue == self._queue] for s in self._timeline.segments]
        used = [n for n, s in enumerate(mine) if s] + [
            n + 1
            for n, loop in enumerate(self._timeline.loops)
            if any(p.queue == self._queue for p in loop.body)
        ]
        last = len(mine) - 1 if end is not None else max(used, default=-1)
        for n in range(last + 1):
            if n:
                self._loop(self._timeline.loops[n - 1])
            self._straight(mine[n])
        if end is not None:
            # A loop's body must not end on the word on which an inner one does: the wait behind a loop is a NOP.
            self._wait(end)
        self._add(Instruction("HALT"), "")
        return self._words, self._labels

    def _straight(self, placed: Sequence[Placed]) -> None:
        """Words between loops."""
        labels = {p.cycle: p.label for p in placed}
        runs = merge_runs(
            self._slots, [Run(p.cycle, p.instruction) for p in sorted(placed, key=lambda p: p.cycle)]
        )
        for run in runs:
            self._wait(run.cycle)
            self._add(run.instruction, labels[run.cycle])
            self._at, self._absorbs = run.last + 1, True

    def _loop(self, loop: Loop) -> None:
        """LOOP, the body in its window, and the cycle behind one iteration."""
        start = loop.starts[self._queue]
        self._wait(start - LOOP_CYCLES)
        body = [p for p in loop.body if p.queue == self._queue]
        steps = {p.step.loop_step for p in body if LOOP_INDEX in p.instruction.index.values()}
        if len(steps) > 1:
            raise ValueError(f"{self._queue}: one loop index cannot grow by {sorted(steps)} at once")
        at = len(self._words)
        self._add(Instruction("LOOP"), "")
        self._at, self._absorbs = start, False
        self._straight(body)
        self._wait(start + loop.period)
        length = len(self._words) - at - 1
        args = {"count": 0, "index": loop.select, "length": length, "step": steps.pop() if steps else 0}
        self._words[at] = Instruction("LOOP", args)
        # The gap of the last word belongs to every iteration: a wait behind the loop takes a NOP.
        self._absorbs = False

    def _wait(self, cycle: int) -> None:
        before = len(self._words)
        wait(self._words, cycle - self._at, self._absorbs)
        self._labels += [""] * (len(self._words) - before)
        self._at = cycle

    def _add(self, word: Instruction, label: str) -> None:
        self._words.append(word)
        self._labels.append(label)
