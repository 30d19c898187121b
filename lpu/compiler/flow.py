"""Flows: instructions tied together in time by the streams between them, placed as one.

A flow is written as steps and nets. A step is a queue word (an instruction with its count, interval and strides); a net
leads a step's result to the steps that sample it. From the instructions' timing and the hops between their slices every
step's cycle follows from the first one's; which streams the nets take is left open, and each choice is a variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from lpu import timing
from lpu.arch import TileConfig
from lpu.compiler.access import Place, Touch, touches
from lpu.compiler.graph import GraphError
from lpu.isa import Instruction, Operand, Quantise, Source, Special, east, west

#: Fields of a CHAIN where nothing else is said.
PLAIN_CHAIN = {
    "a": Source.FLOAT,
    "a_at": 0,
    "b": Operand.NONE,
    "b_at": 0,
    "c": Operand.NONE,
    "c_at": 0,
    "add": 0,
    "f": Special.NONE,
    "d": Operand.NONE,
    "d_at": 0,
    "q": Quantise.NONE,
    "shift": 0,
    "tap": 0,
    "to": 0,
    "to_at": 0,
    "accumulate": 0,
    "acc": 0,
    "mask": 0,
}


#: (resource, first cycle, bits from that cycle on).
Use = tuple[Place, int, int]


@dataclass
class Step:
    """A queue word within a flow.

    Parameters
    ----------
    queue, instruction : what is dispatched; stream fields are filled in by the variant.
    first : which element of the flow's run its first dispatch handles.
    region : the place that stands for its indexed memory words or contexts. loop_step : growth of the loop's index.
    varies : its indexed places differ from iteration to iteration.
    at : cycle of its first dispatch within the flow.
    """

    queue: str
    instruction: Instruction
    first: int = 0
    region: Place | None = None
    loop_step: int = 0
    varies: bool = False
    at: int | None = None

    @property
    def slice(self) -> str:
        return self.queue.split(".")[0]


@dataclass(frozen=True)
class Sink:
    """A step that samples a net, the field that names the stream, and whether elements pair up."""

    step: Step
    field: str
    paired: bool


@dataclass(frozen=True)
class Net:
    """A result on its way: ``bytes`` 1 or 4 of the stream; all sinks lie in one direction."""

    source: Step
    field: str
    sinks: tuple[Sink, ...]
    bytes: int


@dataclass(frozen=True)
class Variant:
    """A flow with its streams chosen.

    Parameters
    ----------
    flow : whose it is. codes : the stream of each net.
    uses : (resource, first cycle, bits): bit n is set if the resource is taken n cycles behind the first.
    """

    flow: Flow
    codes: tuple[int, ...]
    uses: tuple[Use, ...]

    @property
    def steps(self) -> list[tuple[int, Step, Instruction]]:
        """(cycle in the flow, step, word with its streams). Made on demand: most variants are tried and dropped."""
        fields: dict[int, dict[str, int]] = {}
        for net, code in zip(self.flow.nets, self.codes, strict=True):
            fields.setdefault(id(net.source), {})[net.field] = code
            for sink in net.sinks:
                fields.setdefault(id(sink.step), {})[sink.field] = code
        return [
            (s.at or 0, s, replace(s.instruction, args={**s.instruction.args, **fields.get(id(s), {})}))
            for s in self.flow.steps
        ]


@dataclass
class Flow:
    """Steps with nets.

    Parameters
    ----------
    config : the tile. label : for reports. interval : cycles from one element of the run to the next.
    polite : leave the last word stream of each direction to others, where there is another way.
    """

    config: TileConfig
    label: str
    interval: int = 1
    polite: bool = False
    steps: list[Step] = field(default_factory=list)
    nets: list[Net] = field(default_factory=list)
    _touches: list[tuple[int, Touch, Step]] | None = None

    def step(
        self,
        queue: str,
        op: str,
        *,
        count: int = 1,
        first: int = 0,
        interval: int | None = None,
        strides: dict[str, int] | None = None,
        index: dict[str, int] | None = None,
        region: Place | None = None,
        loop_step: int = 0,
        varies: bool = False,
        at: int | None = None,
        **args: int,
    ) -> Step:
        """Add a step. ``at``: its cycle, where no net gives it."""
        every = self.interval if interval is None else interval
        strides = {k: v for k, v in (strides or {}).items() if v and count > 1}
        if op == "CHAIN":
            args = PLAIN_CHAIN | args
        word = Instruction(
            op, args, count=count, interval=every if count > 1 else 1, strides=strides, index=index or {}
        )
        made = Step(queue, word, first, region, loop_step, varies, at)
        self.steps.append(made)
        return made

    def net(self, source: Step, *sinks: tuple[Step, str] | tuple[Step, str, bool], bytes: int = 4) -> None:
        """Lead the result of ``source`` to ``(step, field)`` sinks; ``(step, field, False)`` if a scalar begins there."""
        name = "to_at" if source.instruction.op == "CHAIN" else "dst"
        made = tuple(Sink(s[0], s[1], s[2] if len(s) > 2 else True) for s in sinks)
        self.nets.append(Net(source, name, made, bytes))

    # Time ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give every step its cycle; the earliest is 0. Raises ValueError if the nets contradict each other."""
        if all(s.at is None for s in self.steps):
            self.steps[0].at = 0
        known = {id(s): s for s in self.steps if s.at is not None}
        while True:
            before = len(known)
            for net in self.nets:
                for sink in net.sinks:
                    delay = self._delay(net, sink)
                    if id(net.source) in known and id(sink.step) not in known:
                        sink.step.at = net.source.at + delay  # type: ignore[operator]
                        known[id(sink.step)] = sink.step
                    elif id(sink.step) in known and id(net.source) not in known:
                        net.source.at = sink.step.at - delay  # type: ignore[operator]
                        known[id(net.source)] = net.source
            if len(known) == before:
                break
        for step in self.steps:
            if step.at is None:
                raise ValueError(f"{self.label}: {step.queue} {step.instruction.op} is tied to nothing")
        for net in self.nets:
            for sink in net.sinks:
                if sink.step.at != net.source.at + self._delay(net, sink):  # type: ignore[operator]
                    raise ValueError(
                        f"{self.label}: {sink.step.queue} {sink.step.instruction.op} is asked for twice"
                    )
        start = min(s.at for s in self.steps)  # type: ignore[type-var]
        for step in self.steps:
            step.at -= start  # type: ignore[operator]

    def _delay(self, net: Net, sink: Sink) -> int:
        """Cycles from the first dispatch of a net's source to that of a sink."""
        (result,) = timing.results(net.source.instruction, self.config) or (None,)
        if result is None:
            raise ValueError(f"{self.label}: {net.source.instruction.op} has no result")
        hops = self.config.hops(net.source.slice, sink.step.slice)
        delay = result.at + hops - _sampled(self.config, sink)
        if sink.paired:
            delay += (sink.step.first - net.source.first) * self.interval
        return delay

    # Variants ------------------------------------------------------------------------------------

    def variants(self) -> Iterator[Variant]:
        """Every choice of streams, best first. Raises ValueError if the floorplan has no route for a net."""
        self.settle()
        fixed = tuple(_packed(self._uses()))
        choices = [[(code, self._diagonals(net, code)) for code in self._routes(net)] for net in self.nets]
        for chosen in _apart(choices, {}):
            taken: dict[Place, int] = {}
            for _, diagonals in chosen:
                for key, bits in diagonals:
                    taken[key] = taken.get(key, 0) | bits
            yield Variant(self, tuple(code for code, _ in chosen), fixed + tuple(_packed(taken)))

    def _uses(self) -> dict[Place, int]:
        """Cycles taken of queues and of the VXM's stages, bit _BASE + n for cycle n."""
        uses: dict[Place, int] = {}
        for step in self.steps:
            x = step.instruction
            # A queue's word runs to its end before the next one starts: the holes of a run are taken, too.
            length = (x.count - 1) * x.interval + 1
            bits = (1 << length) - 1 << (_BASE + (step.at or 0))
            if uses.get(step.queue, 0) & bits:
                raise ValueError(f"{self.label}: two words of one flow meet in {step.queue}")
            uses[step.queue] = uses.get(step.queue, 0) | bits
            if x.op == "CHAIN":
                t = timing.chain(x.args, self.config)
                stages = {
                    "dispatch": 0,
                    "convert": t.convert,
                    "multiply": t.multiply,
                    "add": t.add,
                    "special": t.special,
                    "multiply2": t.multiply2,
                    "quantise": t.quantise,
                    "out": t.out if x.args["to"] else None,
                }
                for stage, offset in stages.items():
                    if offset is not None:
                        cycles = ((step.at or 0) + offset + beat for beat in range(self.config.beats))
                        _take(uses, (step.slice, stage), cycles, x)
        return uses

    def _diagonals(self, net: Net, code: int) -> Diagonals:
        """(byte stream, bits) of the diagonals that a net takes, bit _BASE + n for that of cycle n."""
        x, position = net.source.instruction, self.config.position(net.source.slice)
        (result,) = timing.results(x, self.config)
        start = (net.source.at or 0) + result.at + (position if code & 1 else -position)
        bits = 0
        for k in range(x.count):
            bits |= 1 << (_BASE + start + k * x.interval)
        return tuple((("stream", code + 2 * byte), bits) for byte in range(net.bytes))

    def _routes(self, net: Net) -> list[int]:
        """Stream codes a net may take."""
        found = routes(self.config, net.source.slice, tuple(s.step.slice for s in net.sinks))
        if not found:
            ends = ", ".join(s.step.slice for s in net.sinks)
            raise GraphError(
                f"{self.config.name} has no stream from {net.source.slice} to {ends}, which {self.label} needs: widen their taps"
            )
        if self.polite:
            found = [code for code in found if code >> 3 < self.config.words - 1] or found
        if net.bytes == 1:
            found = [code + 2 * byte for byte in (0, 2) for code in found]
        return found

    def touches(self) -> list[tuple[int, Touch, Step]]:
        """(cycle in the flow of the dispatch, touch, step) of all state the flow uses, whatever its streams."""
        if self._touches is None:
            self._touches = [
                ((step.at or 0) + k * step.instruction.interval, touch, step)
                for step in self.steps
                for k, touch in touches(self.config, step.queue, step.instruction, step.region)
            ]
        return self._touches


#: Bit of cycle 0 in the sets of cycles while they are built: streams count from the row's far end.
_BASE = 64


Diagonals = tuple[tuple[Place, int], ...]


def _apart(
    choices: Sequence[Sequence[tuple[int, Diagonals]]], taken: dict[Place, int]
) -> Iterator[tuple[tuple[int, Diagonals], ...]]:
    """One of each of the choices, in the order of itertools.product, such that no diagonal is taken twice."""
    if not choices:
        yield ()
        return
    for choice in choices[0]:
        if any(taken.get(key, 0) & bits for key, bits in choice[1]):
            continue
        more = taken | {key: taken.get(key, 0) | bits for key, bits in choice[1]}
        for rest in _apart(choices[1:], more):
            yield (choice, *rest)


def _take(uses: dict[Place, int], resource: Place, cycles: Iterable[int], x: Instruction) -> None:
    for cycle in cycles:
        for k in range(x.count):
            bit = 1 << (_BASE + cycle + k * x.interval)
            uses[resource] = uses.get(resource, 0) | bit


def _packed(uses: dict[Place, int]) -> Iterator[Use]:
    """Bit sets without the zeros in front."""
    for resource, bits in uses.items():
        low = (bits & -bits).bit_length() - 1
        yield resource, low - _BASE, bits >> low


def _sampled(config: TileConfig, sink: Sink) -> int:
    """d_skew of a sink's field."""
    x = sink.step.instruction
    if x.op == "CHAIN":
        t = timing.chain(x.args, config)
        at = {"a_at": t.source, "b_at": t.b, "c_at": t.c, "d_at": t.d}[sink.field]
        assert at is not None, f"{sink.field} names an operand of a stage not used"
        return at
    return timing.SAMPLE


@cache
def routes(config: TileConfig, source: str, sinks: tuple[str, ...]) -> list[int]:
    """Codes of the word streams which ``source`` may inject and all ``sinks`` tap."""
    common = [r for r in config.routes(source, sinks[0]) if all(r in config.routes(source, s) for s in sinks)]
    return [east(4 * word) if direction == "e" else west(4 * word) for direction, word in common]
