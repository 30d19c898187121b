"""When everything in a matrix product happens: order of passes, timeline, instructions.

Columns of blocks are taken in groups; within a group every row of activations goes once through the array. Rows repeat
the same passes, so that a loop holds them. An activation is loaded just in time for its first pass, over the one that
had its buffer entry in the pass before; an accumulator is drained in the cycle in which its last pass is visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lpu.arch import TileConfig
from lpu.compiler.builder import Schedule
from lpu.compiler.matmul_layout import Layout, Shape, Span, locate
from lpu.timing import (
    ACTIVATION_VISIBLE,
    DRAIN_RESULT,
    LOOP_CYCLES,
    READ_RESULT,
    SAMPLE,
    WEIGHTS_VISIBLE,
    WRITE_VISIBLE,
    pass_visible,
)


class Run(NamedTuple):
    """Passes at consecutive positions of a row: from block ``k`` and local column ``n`` on, stepping one of them."""

    at: int
    length: int
    k: int
    n: int
    along_k: bool
    clear: bool
    accumulator: int


class Row(NamedTuple):
    """The passes of one activation row through a group of columns.

    ``order[p]``: (block k, local column) at position p; ``loads``: (position, k) of activations not in the buffer yet;
    ``done[n]``: position of the last pass of local column n; ``accumulators[n]``.
    """

    runs: tuple[Run, ...]
    order: tuple[tuple[int, int], ...]
    loads: tuple[tuple[int, int], ...]
    done: tuple[int, ...]
    accumulators: tuple[int, ...]


def row_order(config: TileConfig, blocks_k: int, columns: int, *, inner: str) -> Row:
    """Order of the passes of a row; ``inner`` "k": a column after the other, "n": a k block after the other."""
    runs: list[Run] = []
    order: list[tuple[int, int]] = []
    done, accumulators = [0] * columns, [0] * columns
    whole = inner == "k" and blocks_k <= config.activations
    width = columns if whole else config.accumulators
    depth = config.activations if inner == "k" else 1

    def run(k: int, n: int, count: int, along_k: bool, clear: bool) -> None:
        runs.append(Run(len(order), count, k, n, along_k, clear, accumulators[n]))
        order.extend((k + i, n) if along_k else (k, n + i) for i in range(count))

    for left in range(0, columns, width):
        group = range(left, min(left + width, columns))
        for n in group:
            accumulators[n] = 0 if whole else n - left
        for k in range(0, blocks_k, depth):
            if inner == "n":
                run(k, left, len(group), False, k == 0)
                continue
            for n in group:
                count = min(depth, blocks_k - k)
                if k == 0:
                    run(k, n, 1, True, True)
                if rest := count - (k == 0):
                    run(k + (k == 0), n, rest, True, False)
    held: dict[int, int] = {}
    loads = []
    for position, (k, n) in enumerate(order):
        done[n] = position
        if held.get(k % config.activations) != k:
            held[k % config.activations] = k
            loads.append((position, k))
    return Row(tuple(runs), tuple(order), tuple(loads), tuple(done), tuple(accumulators))


@dataclass(frozen=True)
class Variant:
    """A way to arrange the product: columns a group, inner order, idle cycles that leave room for loops."""

    columns: int
    inner: str
    row_gap: int
    group_gap: int
    lead: int


@dataclass
class Timeline:
    """Start cycles of one variant.

    ``rows[g]``: order of group g; ``starts[g][m]``: cycle of the first pass of a row; ``contexts[g]``: first context;
    ``weights``: (cycle of the read, group, line, position) of streamed weight rows.
    """

    config: TileConfig
    shape: Shape
    layout: Layout
    variant: Variant
    streamed: bool
    resident: bool = False
    rows: list[Row] = field(default_factory=list)
    starts: list[list[int]] = field(default_factory=list)
    contexts: list[int] = field(default_factory=list)
    weights: list[tuple[int, int, int, int]] = field(default_factory=list)
    _arrivals: set[int] = field(default_factory=set)

    @property
    def cycles(self) -> int:
        """Cycles up to the last result's write."""
        last = self.starts[-1][-1] + max(self.rows[-1].done)
        written = last + pass_visible(self.config) + DRAIN_RESULT - SAMPLE + WRITE_VISIBLE
        return written + self.config.hops(self.layout.array, self.layout.results[-1].slice)

    def input_lead(self, span: Span) -> int:
        """Cycles from the read of an activation to its first pass."""
        hops = self.config.hops(span.slice, self.layout.array)
        return READ_RESULT + hops - SAMPLE + ACTIVATION_VISIBLE

    def plan(self) -> Timeline:
        """Fill in everything; returns itself."""
        shape, v = self.shape, self.variant
        # With few activations each has an entry to itself, loaded once, before the first pass.
        self.resident = self.streamed and shape.m * shape.blocks_k <= self.config.activations
        lead = max(self.input_lead(s) for s in self.layout.activations)
        groups = list(range(0, shape.blocks_n, v.columns))
        slots = max(1, self.config.contexts // (v.columns * shape.blocks_k))
        busy: dict[str, set[int]] = {s.slice: set() for s in (*self.layout.activations, *self.layout.weights)}
        if self.resident:
            for item in range(shape.m * shape.blocks_k):
                busy[locate(self.layout.activations, item // shape.blocks_k).slice].add(item)
        cursor, plane, start = 0, 0, max(lead, v.lead)
        for g, left in enumerate(groups):
            row = row_order(self.config, shape.blocks_k, min(v.columns, shape.blocks_n - left), inner=v.inner)
            self.rows.append(row)
            self.contexts.append(
                (g % slots) * v.columns * shape.blocks_k if self.streamed else left * shape.blocks_k
            )
            if self.streamed:
                free = 0
                if g >= slots:
                    free = self.starts[g - slots][-1] + len(self.rows[g - slots].order)
                ready, cursor = self._load(g, row, max(cursor, free - WEIGHTS_VISIBLE), plane, busy)
                plane += len(row.order) * shape.lanes
                start = max(start, ready)
                while not self.resident and self._meets(row, start, busy):
                    start += 1
            period = len(row.order) + v.row_gap
            self.starts.append([start + m * period for m in range(shape.m)])
            if self.streamed and not self.resident:
                cursor = max(cursor, self._reserve(row, g, busy))
            if self.streamed:
                cursor += v.group_gap
            start += shape.m * period + v.group_gap
        return self

    def _load(
        self, group: int, row: Row, cursor: int, plane: int, busy: dict[str, set[int]]
    ) -> tuple[int, int]:
        """Read a group's weight rows, line by line, in free cycles from ``cursor`` on: (first start, next cycle)."""
        ready = 0
        at = cursor
        for line in range(self.shape.lanes):
            for position in range(len(row.order)):
                span = locate(self.layout.weights, plane)
                hops = self.config.hops(span.slice, self.layout.array)
                # Rows from two memories, one further away, must not arrive together.
                while at in busy[span.slice] or at + hops in self._arrivals:
                    at += 1
                busy[span.slice].add(at)
                self._arrivals.add(at + hops)
                self.weights.append((at, group, line, position))
                ready = max(ready, at + READ_RESULT + hops - SAMPLE + WEIGHTS_VISIBLE - position)
                at, plane = at + 1, plane + 1
        return ready, at

    def _meets(self, row: Row, start: int, busy: dict[str, set[int]]) -> bool:
        """Whether the first row's activation reads want a cycle that weights have."""
        span = locate(self.layout.activations, 0)
        return any(start + p - self.input_lead(span) in busy[span.slice] for p, _ in row.loads)

    def _reserve(self, row: Row, group: int, busy: dict[str, set[int]]) -> int:
        """Take the activation reads of a group; returns the cycle behind the first burst of them."""
        for m, start in enumerate(self.starts[group]):
            span = locate(self.layout.activations, m)
            busy[span.slice].update(start + p - self.input_lead(span) for p, _ in row.loads)
        first = locate(self.layout.activations, 0)
        if all(s.slice != first.slice for s in self.layout.weights):
            return 0
        at = self.starts[group][0] + row.loads[0][0] - self.input_lead(first)
        while at in busy[first.slice]:
            at += 1
        return at

    # Instructions --------------------------------------------------------------------------------

    def entry(self, m: int, k: int) -> int:
        """Activation buffer entry of a block."""
        return m * self.shape.blocks_k + k if self.resident else k % self.config.activations

    def schedule(self) -> Schedule:
        """Every instruction in its cycle."""
        schedule = Schedule(self.config)
        if self.resident:
            for m in range(self.shape.m):
                span = locate(self.layout.activations, m)
                for k in range(self.shape.blocks_k):
                    item = m * self.shape.blocks_k + k
                    self._activation(schedule, span, m, k, item + self.input_lead(span))
        self._weights(schedule)
        for group, row in enumerate(self.rows):
            for m, start in enumerate(self.starts[group]):
                if not self.resident:
                    span = locate(self.layout.activations, m)
                    for position, k in row.loads:
                        self._activation(schedule, span, m, k, start + position)
                self._passes(schedule, row, m, start, self.contexts[group])
                self._results(schedule, row, m, start, group * self.variant.columns)
        return schedule

    def _activation(self, schedule: Schedule, span: Span, m: int, k: int, needed: int) -> None:
        stream = self.layout.streams["activations", span.slice]
        schedule.op(
            f"{span.slice}.read",
            needed - self.input_lead(span),
            "READB",
            addr=span.address(m) + k,
            dst=stream,
        )
        load = f"{self.layout.array}.load"
        schedule.op(load, needed - ACTIVATION_VISIBLE, "LA", act=self.entry(m, k), src=stream, mask=0)

    def _weights(self, schedule: Schedule) -> None:
        for plane, (cycle, group, line, position) in enumerate(self.weights):
            span = locate(self.layout.weights, plane)
            stream = self.layout.streams["weights", span.slice]
            schedule.op(f"{span.slice}.read", cycle, "READB", addr=span.address(plane), dst=stream)
            arrival = cycle + READ_RESULT + self.config.hops(span.slice, self.layout.array) - SAMPLE
            context = self.contexts[group] + position
            schedule.op(
                f"{self.layout.array}.weights", arrival, "LWR", ctx=context, line=line, src=stream, mask=0
            )

    def _passes(self, schedule: Schedule, row: Row, m: int, start: int, context: int) -> None:
        for run in row.runs:
            schedule.op(
                f"{self.layout.array}.passes",
                start + run.at,
                "PASS",
                count=run.length,
                strides={"ctx": 1, "act": 1} if run.along_k else {"ctx": 1, "acc": 1},
                ctx=context + run.at,
                act=self.entry(m, run.k),
                acc=run.accumulator,
                clear=int(run.clear),
            )

    def _results(self, schedule: Schedule, row: Row, m: int, start: int, left: int) -> None:
        span = locate(self.layout.results, m)
        stream = self.layout.streams["results", span.slice]
        for n, position in enumerate(row.done):
            drain = start + position + pass_visible(self.config)
            schedule.op(f"{self.layout.array}.drain", drain, "DRAIN", acc=row.accumulators[n], dst=stream)
            write = drain + DRAIN_RESULT + self.config.hops(span.slice, self.layout.array) - SAMPLE
            schedule.op(
                f"{span.slice}.write", write, "WRITE", addr=span.address(m) + left + n, src=stream, mask=0
            )


def variants(config: TileConfig, shape: Shape, layout: Layout, *, streamed: bool) -> Iterator[Timeline]:
    """Timelines to try, the fastest first; the slower ones leave idle cycles in which a queue can enter a loop."""
    room = LOOP_CYCLES + 1
    if streamed:
        widths = [c for c in (2**i for i in range(16)) if c < shape.blocks_n] + [shape.blocks_n]
        choices = [Variant(w, "k", r, g, 0) for w in widths for r, g in ((0, 0), (0, room), (room, room))]
    else:
        choices = [
            Variant(shape.blocks_n, inner, gap, 0, lead * LOOP_CYCLES)
            for inner in ("k", "n")
            for gap in (0, room)
            for lead in range(3)
        ]
    fitting = [v for v in choices if v.columns * shape.blocks_k <= config.contexts]
    timelines = [Timeline(config, shape, layout, v, streamed).plan() for v in fitting]
    return iter(sorted(timelines, key=lambda t: t.cycles))
