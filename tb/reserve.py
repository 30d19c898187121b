"""The reservation model of the program generator: what is taken when. Built from lpu.timing alone, so that
it is a third reading of docs/architecture.md beside golden model and RTL: what fits here must run without a
violation."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import Destination, Instruction


class Clash(Exception):
    """What was asked for does not fit; nothing was reserved."""


@dataclass(frozen=True)
class Dispatch:
    """One dispatch with its addresses resolved. ``lanes``: per-lane addresses of GATHER and SCATTER, if
    known."""

    queue: str
    cycle: int
    instruction: Instruction
    lanes: tuple[int, ...] | None = None

    @property
    def slice(self) -> str:
        return self.queue.split(".")[0]


class Registers:
    """Index registers and lane masks over time; a value of None is one that the generator does not know."""

    def __init__(self, initial: dict[int, int], masks: dict[int, int]):
        self._times: dict[tuple[str, int], list[int]] = {}
        self._values: dict[tuple[str, int], list[int | None]] = {}
        for kind, values in (("x", initial), ("m", masks)):
            for number, value in values.items():
                self._times[kind, number], self._values[kind, number] = [-(1 << 30)], [value]

    def write(self, kind: str, number: int, cycle: int, value: int | None) -> None:
        """``kind`` "x" or "m", written by a dispatch at ``cycle``; writes come in order of time."""
        self._times.setdefault((kind, number), [-(1 << 30)]).append(cycle + timing.INDEX_VISIBLE)
        self._values.setdefault((kind, number), [0]).append(value)

    def at(self, kind: str, number: int, cycle: int) -> int | None:
        """The value visible to a dispatch at ``cycle``."""
        times = self._times.get((kind, number))
        if times is None:
            return 0
        return self._values[kind, number][bisect.bisect_right(times, cycle) - 1]

    def latest(self, number: int) -> int | None:
        """X[number] as the next dispatch of the host port queue reads it as an operand."""
        return self._values.get(("x", number), [0])[-1]


class Track:
    """The dispatch times of one queue: non-overlapping spans, each with what is in it."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, object]] = []

    def free(self, start: int, end: int) -> bool:
        """Whether [start, end) is free."""
        if start < 0:
            return False
        at = bisect.bisect_left(self.spans, end, key=lambda s: s[0])
        return at == 0 or self.spans[at - 1][1] <= start

    def add(self, start: int, end: int, item: object) -> None:
        """Reserve; raises Clash."""
        if not self.free(start, end):
            raise Clash
        bisect.insort(self.spans, (start, end, item), key=lambda s: s[0])

    def remove(self, item: object) -> None:
        """Undo :meth:`add`."""
        self.spans = [s for s in self.spans if s[2] is not item]

    @property
    def end(self) -> int:
        """First cycle behind everything."""
        return self.spans[-1][1] if self.spans else 0


Lanes = tuple[int | None, ...]


@dataclass
class Claims:
    """What a set of dispatches takes."""

    results: dict[tuple[int, int], int] = field(default_factory=dict)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    reads: dict[tuple[str, int], Lanes] = field(default_factory=dict)
    writes: dict[tuple[str, int], Lanes] = field(default_factory=dict)
    passes: dict[tuple[str, int], int] = field(default_factory=dict)
    weights: dict[tuple[str, int], int] = field(default_factory=dict)
    stages: set[tuple[str, str, int]] = field(default_factory=set)
    fifo: Counter = field(default_factory=Counter)


#: Address of a lane that is not written. Never equal to one that is read.
OFF = -1


class Board:
    """Everything but the queues' dispatch times.

    Members
    -------
    claims : what is taken. words : word results so far, as (code, position, cycle at the slice output).
    limits : FIFO operations that there may be of a kind. last : the last cycle in which anything placed
    still changes state."""

    def __init__(self, config: TileConfig, registers: Registers, limits: dict[str, int]):
        self.config, self.registers, self.limits = config, registers, limits
        self.position = {n: config.position(n) for n in config.slice_names}
        self.claims = Claims()
        self.words: list[tuple[int, int, int]] = []
        self.last = 0

    def place(self, dispatches: Iterable[Dispatch]) -> None:
        """Reserve all or raise Clash and reserve nothing."""
        dispatches = list(dispatches)
        new, words = Claims(), []
        for d in dispatches:
            self._claim(d, new, words)
        for code, diagonal, position in new.samples:
            source = new.results.get((code, diagonal))
            if source is None:
                source = self.claims.results.get((code, diagonal))
            if source is None or (source >= position if code & 1 == 0 else source <= position):
                raise Clash
        self._collisions(new)
        for name, used in new.fifo.items():
            if self.claims.fifo[name] + used > self.limits[name]:
                raise Clash
        for name in ("results", "reads", "writes", "passes", "weights", "stages", "fifo"):
            getattr(self.claims, name).update(getattr(new, name))
        self.words += words
        for d in dispatches:
            self.last = max(self.last, d.cycle + timing.last_effect(d.instruction, self.config))

    def diagonal(self, code: int, position: int, cycle: int) -> int:
        """Values of one stream that are the same in time and place share this number."""
        return cycle + position if code & 1 else cycle - position

    def _take(self, name: str, new: Claims, key: tuple, value: object) -> None:
        if key in getattr(self.claims, name) or key in getattr(new, name):
            raise Clash
        getattr(new, name)[key] = value

    def _claim(self, d: Dispatch, new: Claims, words: list) -> None:
        config, a, t = self.config, d.instruction.args, d.cycle
        position = self.position[d.slice]
        for access in timing.results(d.instruction, config):
            for b in range(access.bytes):
                code = access.stream + 2 * b
                self._take("results", new, (code, self.diagonal(code, position, t + access.at)), position)
            if access.bytes == 4:
                words.append((access.stream, position, t + access.at))
        for access in timing.operands(d.instruction, config):
            for b in range(access.bytes):
                code = access.stream + 2 * b
                new.samples.append((code, self.diagonal(code, position, t + access.at), position))
        match d.instruction.op:
            case "READ" | "READB":
                word = a["addr"] >> 2 if d.instruction.op == "READB" else a["addr"]
                self._take("reads", new, (d.slice, t), (word,) * config.lanes)
            case "GATHER":
                lanes = d.lanes or (None,) * config.lanes
                self._take("reads", new, (d.slice, t + timing.GATHER_LATE), lanes)
            case "WRITE" | "WRITEB" | "SCATTER":
                word = a["addr"] >> 2 if d.instruction.op == "WRITEB" else a["addr"]
                lanes = d.lanes or (word,) * config.lanes
                mask = self.mask(a["mask"], t)
                if mask is not None:
                    lanes = tuple(n if mask >> i & 1 else OFF for i, n in enumerate(lanes))
                self._take("writes", new, (d.slice, t + timing.WRITE_VISIBLE - 1), lanes)
            case "PASS":
                self._take("passes", new, (d.slice, t), a["ctx"])
            case "LWR" | "LWC":
                self._take("weights", new, (d.slice, t + timing.WEIGHTS_VISIBLE - 1), a["ctx"])
            case "CHAIN":
                self._chain(d, new)
            case "POP" | "PUSH" | "VPOP" | "VPUSH":
                new.fifo[d.instruction.op] += 1

    def mask(self, number: int, cycle: int) -> int | None:
        """Lanes of a mask seen by a dispatch at ``cycle``, None if unknown."""
        return (1 << self.config.lanes) - 1 if number == 0 else self.registers.at("m", number, cycle)

    def _chain(self, d: Dispatch, new: Claims) -> None:
        a, beats = d.instruction.args, self.config.beats
        t = timing.chain(a, self.config)
        stages: dict[str, int | None] = {
            "dispatch": 0,
            "convert": t.convert,
            "multiply": t.multiply,
            "add": t.add,
            "special": t.special,
            "multiply2": t.multiply2,
            "quantise": t.quantise,
            "out": t.out if a["to"] != Destination.NONE else None,
        }
        for stage, at in stages.items():
            for beat in range(beats if at is not None else 0):
                key = (d.slice, stage, d.cycle + at + beat)
                if key in self.claims.stages or key in new.stages:
                    raise Clash
                new.stages.add(key)

    def _collisions(self, new: Claims) -> None:
        for fresh, other in ((new.reads, "writes"), (new.writes, "reads")):
            for key, lanes in fresh.items():
                meets = getattr(new, other).get(key) or getattr(self.claims, other).get(key)
                if meets and any(
                    a != OFF and b != OFF and (a is None or b is None or a == b)
                    for a, b in zip(lanes, meets, strict=True)
                ):
                    raise Clash
        for fresh, other in ((new.passes, "weights"), (new.weights, "passes")):
            for key, context in fresh.items():
                if context in (getattr(new, other).get(key), getattr(self.claims, other).get(key)):
                    raise Clash
