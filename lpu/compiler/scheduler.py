"""The scheduler: flows in, cycles out. Greedy in the order given, into any gap that resources and state allow.

A program is a row of segments with counted loops between them, whose counts are known only at run time. Every resource (a
queue, a stage, a diagonal of a stream) has its own moment at which a loop begins for it, so that the pipeline is not
drained: what comes before a loop uses the resource earlier, what comes after it later, and the loop repeats a
window of ``period`` cycles in between. Cycles are those of a run in which every loop goes round exactly once; each
further iteration moves everything behind by one period, none at all moves it forward by one. So state made before a
loop has to be ready for what follows even without the loop, which :meth:`Timeline.loop` sees to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lpu.arch import TileConfig
from lpu.compiler.access import Place
from lpu.compiler.flow import Flow, Step, Variant
from lpu.compiler.graph import GraphError
from lpu.isa import Instruction, queue_names
from lpu.timing import LOOP_CYCLES, last_effect

#: Cycles for which the scheduler looks for a gap before it gives up.
_PATIENCE = 200_000


@dataclass(frozen=True)
class Placed:
    """A queue word in its cycle. ``step``: where it comes from."""

    cycle: int
    queue: str
    instruction: Instruction
    label: str
    step: Step


@dataclass(frozen=True)
class Loop:
    """A counted loop: for each queue the first cycle of its body's window; ``select``: the index select of its count."""

    select: int
    period: int
    starts: dict[str, int]
    body: tuple[Placed, ...]


@dataclass
class _State:
    """When a place was last written (first cycle that sees it) and last read."""

    seen: int = -(1 << 30)
    read: int = -(1 << 30)


@dataclass
class Timeline:
    """A schedule under construction.

    Parameters
    ----------
    config : the tile.

    Attributes
    ----------
    segments : placed words between the loops, one list more than ``loops``. end : cycle behind the last effect.
    """

    config: TileConfig
    segments: list[list[Placed]] = field(default_factory=lambda: [[]])
    loops: list[Loop] = field(default_factory=list)
    end: int = 0
    _busy: dict[Place, int] = field(default_factory=dict)
    _low: dict[Place, int] = field(default_factory=dict)
    _high: dict[Place, int] = field(default_factory=dict)
    _state: dict[Place, _State] = field(default_factory=dict)

    def place(self, flow: Flow, *, not_before: int = 0) -> int:
        """Put a flow into the earliest cycle there is room from ``not_before`` on; returns that of its first step."""
        cycle, variant = self._find(flow, not_before)
        self.segments[-1] += self._commit(flow, variant, cycle)
        return cycle

    def seen(self, place: Place) -> int:
        """First cycle from which reads see everything written to a place so far."""
        state = self._state.get(place)
        return max(0, state.seen) if state else 0

    def loop(self, select: int, flows: Sequence[Flow]) -> int:
        """Put ``flows``, one iteration of a loop, behind everything placed so far; returns its period."""
        before, old_low, end = dict(self._high), dict(self._low), self.end
        queues = queue_names(self.config)
        for resource, high in before.items():
            self._low[resource] = max(self._low.get(resource, 0), high)
        count = self._state.setdefault(("x", select), _State())
        for queue in queues:
            # The LOOP word, which reads its count, and the cycles it takes.
            self._low[queue] = max(self._low.get(queue, 0), before.get(queue, 0), count.seen) + LOOP_CYCLES
        was = {place: _State(s.seen, s.read) for place, s in self._state.items()}
        body: list[Placed] = []
        touched: list[tuple[Flow, int]] = []
        used: dict[Place, tuple[int, int]] = {}
        for flow in flows:
            cycle, variant = self._compact(flow, used)
            body += self._commit(flow, variant, cycle)
            touched.append((flow, cycle))
            used = _windows(used, variant, cycle)
        period = max(stop - start for start, stop in used.values())
        period = max(period, self._carried(touched))
        starts = {}
        for resource in {*before, *used, *queues}:
            low = max(before.get(resource, 0), old_low.get(resource, 0))
            if resource in queues:
                low = max(low, count.seen) + LOOP_CYCLES
            start = used[resource][0] if resource in used else low
            if resource in queues:
                starts[str(resource)] = start
            self._low[resource] = self._high[resource] = start + period
        count.read = max(count.read, max(starts.values()) - LOOP_CYCLES)
        # Without the loop, what follows comes a period earlier.
        for place, state in was.items():
            now = self._state[place]
            now.seen = max(now.seen, state.seen + period)
            now.read = max(now.read, state.read + period)
        self.end = max(self.end, end + period)
        self.loops.append(Loop(select, period, starts, tuple(body)))
        self.segments.append([])
        return period

    # Search --------------------------------------------------------------------------------------

    def _find(self, flow: Flow, not_before: int) -> tuple[int, Variant]:
        """The earliest cycle and the streams with which the flow fits."""
        best: tuple[int, Variant] | None = None
        bound: int | None = None
        for variant in flow.variants():
            if bound is None:
                # State does not depend on the choice of streams.
                bound = max(not_before, self._ready(flow))
            cycle = self._gap(variant, bound, None if best is None else best[0])
            if cycle is not None and (best is None or cycle < best[0]):
                best = cycle, variant
                if cycle == bound:
                    break
        if best is None and flow.polite:
            flow.polite = False
            return self._find(flow, not_before)
        if best is None:
            raise self._crowded(flow)
        return best

    def _compact(self, flow: Flow, used: dict[Place, tuple[int, int]]) -> tuple[int, Variant]:
        """The streams with which a loop's windows stay shortest, in the earliest cycle for them."""
        found: list[tuple[int, int, int, Variant]] = []
        bound: int | None = None
        for variant in flow.variants():
            if bound is None:
                bound = max(0, self._ready(flow))
            cycle = self._gap(variant, bound, None)
            if cycle is not None:
                windows = _windows(used, variant, cycle)
                found.append((max(b - a for a, b in windows.values()), cycle, len(found), variant))
        if not found:
            raise self._crowded(flow)
        _, cycle, _, variant = min(found)
        return cycle, variant

    def _ready(self, flow: Flow) -> int:
        """First cycle in which everything the flow reads is there and nothing it writes is still wanted."""
        bound = 0
        for at, touch, _ in flow.touches():
            state = self._state.get(touch.place)
            if state is None:
                continue
            if touch.write:
                bound = max(
                    bound, state.read + 1 + touch.apart - at - touch.at, state.seen + 1 - at - touch.at
                )
            else:
                bound = max(bound, state.seen - at - touch.at)
        return bound

    def _gap(self, variant: Variant, bound: int, limit: int | None) -> int | None:
        """The first cycle from ``bound`` on with room on every resource; None from ``limit`` on."""
        cycle = bound
        for resource, first, _ in variant.uses:
            cycle = max(cycle, self._low.get(resource, 0) - first)
        uses = [
            (busy, first + _SHIFT, bits, not bits & (bits + 1))
            for resource, first, bits in variant.uses
            if (busy := self._busy.get(resource, 0)) >> (cycle + first + _SHIFT)
        ]
        stop = cycle + _PATIENCE if limit is None else limit
        # Who said no last is asked until it says yes; then everybody has to agree once more.
        agreed, n = 0, 0
        while agreed < len(uses):
            busy, first, bits, solid = uses[n]
            met = busy >> (cycle + first) & bits
            if not met:
                agreed, n = agreed + 1, (n + 1) % len(uses)
                continue
            # A run without holes meets the last busy cycle until it begins behind it.
            cycle += met.bit_length() if solid else 1
            agreed = 0
            if cycle >= stop:
                return None
        return cycle if cycle < stop else None

    def _crowded(self, flow: Flow) -> GraphError:
        return GraphError(
            f"{flow.label}: on the streams of {self.config.name} its values meet each other; use more streams or wider taps"
        )

    # Bookkeeping ---------------------------------------------------------------------------------

    def _commit(self, flow: Flow, variant: Variant, cycle: int) -> list[Placed]:
        for resource, first, bits in variant.uses:
            at = cycle + first
            self._busy[resource] = self._busy.get(resource, 0) | bits << (at + _SHIFT)
            self._high[resource] = max(self._high.get(resource, 0), at + bits.bit_length())
        for at, touch, _ in flow.touches():
            state = self._state.setdefault(touch.place, _State())
            when = cycle + at + touch.at
            if touch.write:
                state.seen = max(state.seen, when)
            else:
                state.read = max(state.read, when)
        placed = []
        for at, step, x in variant.steps:
            placed.append(Placed(cycle + at, step.queue, x, flow.label, step))
            last = cycle + at + (x.count - 1) * x.interval
            self.end = max(self.end, last + last_effect(x, self.config) + 1)
        return placed

    def _carried(self, touched: Sequence[tuple[Flow, int]]) -> int:
        """The shortest period at which no iteration disturbs the one before it."""
        reads: dict[Place, tuple[int, int]] = {}
        writes: dict[Place, tuple[int, int, bool]] = {}
        for flow, cycle in touched:
            for at, touch, step in flow.touches():
                if step.varies and step.region == touch.place:
                    continue
                when = cycle + at + touch.at
                if touch.write:
                    low, high, apart = writes.get(touch.place, (when, when, False))
                    writes[touch.place] = (min(low, when), max(high, when), apart or touch.apart)
                else:
                    low, high = reads.get(touch.place, (when, when))
                    reads[touch.place] = (min(low, when), max(high, when))
        period = 1
        for place, (first, last, apart) in writes.items():
            period = max(period, last - first + 1)
            if place in reads:
                low, high = reads[place]
                # The next iteration writes behind this one's last read, and reads what this one wrote.
                period = max(period, high + 1 + apart - first, last - low)
        return period


def _windows(
    used: dict[Place, tuple[int, int]], variant: Variant, cycle: int
) -> dict[Place, tuple[int, int]]:
    """First cycle, and cycle behind the last, in which each resource is taken, with one more flow."""
    used = dict(used)
    for resource, first, bits in variant.uses:
        start, stop = cycle + first, cycle + first + bits.bit_length()
        low, high = used.get(resource, (start, stop))
        used[resource] = (min(low, start), max(high, stop))
    return used


#: Bit of cycle 0 in the sets of busy cycles: diagonals may be negative.
_SHIFT = 128
