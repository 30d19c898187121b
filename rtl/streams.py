"""What slices are wired with: stream bundles, operand samplers, the hop register, instruction ports, the load bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.isa import CONTROL_BITS, OP_BITS, layout
from lpu.runtime.machine import ViolationKind

#: A slice's ``violation`` output, one cycle after the event's cycle.
VIOLATION = data.StructLayout({"valid": 1, "kind": 3})


def report(m: Module, violation: data.View, events: Mapping[ViolationKind, Value]) -> None:
    """Drive a ``violation`` output from registered event bits, each set one cycle after its event; the smallest kind counts."""
    chosen: Value | int = 0
    for kind in sorted(events, reverse=True):
        chosen = Mux(events[kind], int(kind), chosen)
    m.d.comb += [violation.valid.eq(Cat(events.values()).any()), violation.kind.eq(chosen)]


def stream_bundle(config: TileConfig) -> wiring.Signature:
    """All byte streams of one direction between two slices.

    Members: ``data[s]``: lanes x 8 bits of byte stream s, lane 0 lowest, all zero unless ``valid[s]``: a result may be
    ORed into a stream that carries nothing, which takes a LUT a bit less than replacing what passes.
    """
    return wiring.Signature(
        {
            "data": Out(data.ArrayLayout(config.lanes * 8, config.streams)),
            "valid": Out(config.streams),
        }
    )


def slice_streams(config: TileConfig) -> dict[str, wiring.Member]:
    """The stream ports that every slice has."""
    return {
        "east_in": In(stream_bundle(config)),
        "west_in": In(stream_bundle(config)),
        "east_out": Out(stream_bundle(config)),
        "west_out": Out(stream_bundle(config)),
    }


def through(m: Module, config: TileConfig, outer: wiring.Component, inner: wiring.Component) -> None:
    """Give ``inner`` (a :class:`Sampler` or :class:`Hop`) the streams of the slice around it."""
    for name in slice_streams(config):
        if name in inner.signature.members:
            source, sink = (outer, inner) if name.endswith("in") else (inner, outer)
            for part in ("data", "valid"):
                m.d.comb += getattr(getattr(sink, name), part).eq(getattr(getattr(source, name), part))


def delayed(m: Module, value: Value, cycles: int, *, reset_less: bool = True) -> Value:
    """``value`` so many cycles later. ``reset_less=False`` for valid bits."""
    for _ in range(cycles):
        register = Signal(Value.cast(value).shape(), reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def one_of(select: Value, values: Sequence[Value]) -> Value:
    """The value whose select bit is set, zero if none is."""
    return reduce(or_, [Mux(select[n], value, 0) for n, value in enumerate(values)], Const(0))


def pick(m: Module, wanted: Sequence[Value], values: Sequence[Value]) -> Value:
    """The value whose ``wanted`` bit was set one cycle ago (at most one was), zero if none.

    Half a LUT4 a bit and value, where AND-OR takes three quarters: one LUT4 passes the first or the second value or a
    constant, the next passes that on or lets it choose between the third and the fourth.
    """
    groups = []
    for n in range(0, len(values), 4):
        a, b, c, d = (*wanted[n : n + 4], *[Const(0)] * 3)[:4]
        first, second, later = (
            Signal(reset_less=True, name=f"{name}{n}") for name in ("first", "second", "later")
        )
        m.d.sync += [first.eq(a | c), second.eq(b | c), later.eq(c | d)]
        four = (*values[n : n + 4], *[Const(0, len(values[0]))] * 3)[:4]
        first, second, later = (bit.replicate(len(values[0])) for bit in (first, second, later))
        low = _named(m, (first & four[0]) | (second & four[1]) | (first & second))
        groups.append((~later & low) | (later & low & four[2]) | (later & ~low & four[3]))
    return _named(m, reduce(or_, groups, Const(0)))


def _named(m: Module, value: Value) -> Signal:
    """``value`` as a signal: an expression is written out anew for each of its uses, which makes long netlists."""
    signal = Signal(len(value), name="picked")
    m.d.comb += signal.eq(value)
    return signal


def injection(config: TileConfig, *, lanes: int | None = None) -> wiring.Signature:
    """A result at a slice's output, all of it from registers.

    Members: ``enable``: bit 2*s + direction set for each byte stream driven (all four of a word); ``data``: lanes x 32
    bits, lane 0 lowest (of fewer ``lanes``, if given). A byte result stands in all four bytes of every lane.
    """
    return wiring.Signature({"enable": Out(2 * config.streams), "data": Out((lanes or config.lanes) * 32)})


def destinations(config: TileConfig, code: Value, *, narrow: Value | int) -> Value:
    """``injection.enable`` of a result: ``code`` decoded to one bit a byte stream, for ``narrow`` one, else the word's four."""
    number = code[1:]
    return Cat(
        (code[0] == direction) & (number[2:] == s // 4) & (~Value.cast(narrow)[0] | (number[:2] == s % 4))
        for s in range(config.streams)
        for direction in range(2)
    )


def instruction_port(config: TileConfig, queue: str) -> wiring.Signature:
    """One queue's dispatch, from registers: ``valid``, ``op``, and ``payload``, the queue word above CONTROL_BITS with
    each slot's value already stepped and indexed. Read fields with :func:`fields`."""
    return wiring.Signature(
        {"valid": Out(1), "op": Out(OP_BITS), "payload": Out(layout(config, queue).width - CONTROL_BITS)}
    )


def fields(config: TileConfig, queue: str, payload: Value, op: str) -> dict[str, Value]:
    """Named slices of ``payload`` for one op."""
    return {
        name: payload[offset - CONTROL_BITS : offset - CONTROL_BITS + width]
        for name, (offset, width) in layout(config, queue).fields[op].items()
    }


#: Cycles from ``read`` on the load bus to ``read_data``.
LOAD_READ_LATENCY = 3


def load_bus() -> wiring.Signature:
    """The host's path into memories and queues, idle while a program runs.

    Members: ``write``, ``read``: strobes; ``space``, ``entry``, ``word``: which word of which entry (docs/architecture.md,
    host port); ``data``: 32 bits written. Slices answer ``read`` on a ``read_data`` output of their own, LOAD_READ_LATENCY
    cycles later, and hold it at zero otherwise.
    """
    return wiring.Signature(
        {"write": Out(1), "read": Out(1), "space": Out(8), "entry": Out(24), "word": Out(6), "data": Out(32)}
    )


class Sampler(wiring.Component):
    """Operand of one instruction: selects a stream and registers it.

    Cycle 0 (dispatch): ``enable`` and ``code`` are decoded into registers. Cycle 1: the stream is sampled (SAMPLE) and
    stands on ``now``. Cycle 2: ``data`` holds it, until the next sample; ``missing`` is set for that cycle if it was not
    valid.

    Parameters
    ----------
    config, slice_name : whose taps are built.
    word : sample words (lanes x 32) or bytes (lanes x 8).
    planes : a word sampler which ``narrow`` makes take the word around a byte stream; only that byte need be valid.
    hold : keep ``data`` until the next sample; without, it is zero in all cycles but cycle 2 (and costs no clock enable).
    split : in place of ``now`` and ``data`` there are ``parts``, to be ORed, zero in all cycles but cycle 2. Two streams
        share one, which is a LUT a bit; a stream alone needs none. For users whose first LUT takes in the OR.

    Members
    -------
    enable, code : In, stream code of lpu.isa (2 * number + direction). narrow : In, only with ``planes``.
    east_in, west_in : In, the slice's streams.
    now, data, each of parts : Out, lanes x 32 or lanes x 8 bits, lane 0 lowest. missing : Out.
    """

    def __init__(
        self,
        config: TileConfig,
        slice_name: str,
        *,
        word: bool,
        planes: bool = False,
        hold: bool = True,
        split: bool = False,
    ):
        if planes and not word:
            raise ValueError("planes=True selects within words: use word=True")
        self._config, self._word, self._planes, self._hold, self._split = config, word, planes, hold, split
        self._taps = config.reachable(slice_name, "tap")
        bits = config.lanes * (32 if word else 8)
        sources = len(self._taps) * (1 if word else 4)
        whole = {"now": Out(bits), "data": Out(bits)}
        super().__init__(
            {
                "enable": In(1),
                "code": In(range(2 * config.streams)),
                **({"narrow": In(1)} if planes else {}),
                "east_in": In(stream_bundle(config)),
                "west_in": In(stream_bundle(config)),
                **({"parts": Out(data.ArrayLayout(bits, max(1, -(-sources // 2))))} if split else whole),
                "missing": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        bundles = {"e": self.east_in, "w": self.west_in}
        step = 4 if self._word else 1
        sources = [("ew".index(d), 4 * w + b, bundles[d]) for d, w in self._taps for b in range(0, 4, step)]
        # Cycle 0: decode, so that the wide selection starts from registers.
        select = Signal(max(1, len(sources)))
        sampling = Signal()
        number, wanted = self.code[1:], Signal(4, reset_less=True)
        if self._planes:
            m.d.sync += wanted.eq(Mux(self.narrow, 1 << number[:2], 15))
            number = Cat(self.narrow & 0, 0, number[2:])
        else:
            m.d.comb += wanted.eq(15)
        m.d.sync += sampling.eq(self.enable)
        matches = [
            self.enable & (self.code[0] == direction) & (number == stream) for direction, stream, _ in sources
        ]
        m.d.sync += select.eq(Cat(matches))
        # Cycle 1: selection.
        vectors, valids = [], []
        for n, (_, stream, bundle) in enumerate(sources):
            if self._word:
                lanes = [
                    bundle.data[stream + b].word_select(i, 8) for i in range(config.lanes) for b in range(4)
                ]
                value, valid = Cat(lanes), (bundle.valid[stream : stream + 4] | ~wanted).all()
            else:
                value, valid = bundle.data[stream], bundle.valid[stream]
            vectors.append(value)
            valids.append(select[n] & valid)
        if self._split:
            for n in range(0, len(vectors), 2):
                part = Signal(len(vectors[n]), name=f"part{n // 2}", reset_less=True)
                m.d.sync += part.eq(one_of(select[n : n + 2], vectors[n : n + 2]))
                m.d.comb += self.parts[n // 2].eq(part)
        else:
            m.d.comb += self.now.eq(pick(m, matches, vectors))
            register = Signal.like(self.data, reset_less=True)
            m.d.comb += self.data.eq(register)
            with m.If(sampling if self._hold else Const(1)):
                m.d.sync += register.eq(self.now)
        m.d.sync += self.missing.eq(sampling & ~reduce(or_, valids, 0))
        return m


class Hop(wiring.Component):
    """The stream registers behind one slice, both directions, with its injections.

    One cycle. ``conflict`` is registered: set one cycle after two results met on one stream.

    Parameters
    ----------
    config, slice_name : whose injections are built. injections : results that the slice may have at once.
    early : there is one more, a word for all lanes, known a cycle before the others.

    Members
    -------
    east_in, west_in : In, streams arriving at the slice. inject0, inject1 ... : In, its results.
    early : In, ``enable`` as of the others, ``data`` 32 bits; both one cycle before they stand at the slice's output.
    east_out, west_out : Out, streams leaving. conflict : Out.
    """

    def __init__(self, config: TileConfig, slice_name: str, *, injections: int, early: bool = False):
        self._config, self._count, self._early = config, injections, early
        self._inject = set(config.reachable(slice_name, "inject"))
        super().__init__(
            {
                "east_in": In(stream_bundle(config)),
                "west_in": In(stream_bundle(config)),
                "east_out": Out(stream_bundle(config)),
                "west_out": Out(stream_bundle(config)),
                "conflict": Out(1),
                **{f"inject{n}": In(injection(config)) for n in range(injections)},
                **({"early": In(injection(config, lanes=1))} if early else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        injections = [getattr(self, f"inject{n}") for n in range(self._count)]
        conflicts = []
        for direction, (source, sink) in enumerate(
            ((self.east_in, self.east_out), (self.west_in, self.west_out))
        ):
            passed = Signal.like(sink.data, reset_less=True)
            m.d.comb += sink.data.eq(passed)
            for s in range(config.streams):
                if ("ew"[direction], s // 4) not in self._inject:
                    m.d.sync += [passed[s].eq(source.data[s]), sink.valid[s].eq(source.valid[s])]
                    continue
                hits = [i.enable[2 * s + direction] for i in injections]
                value = source.data[s]
                for hit, i in zip(hits, injections, strict=True):
                    lanes = Cat(
                        i.data.word_select(lane, 32).word_select(s % 4, 8) for lane in range(config.lanes)
                    )
                    value = value | Mux(hit, lanes, 0)
                if self._early:
                    # Gated a cycle before, so that the OR needs no gate.
                    hit = self.early.enable[2 * s + direction]
                    byte = delayed(m, Mux(hit, self.early.data.word_select(s % 4, 8), 0), 1)
                    value = value | byte.replicate(config.lanes)
                    hits.append(delayed(m, hit, 1, reset_less=False))
                present = [*hits, source.valid[s]]
                m.d.sync += [passed[s].eq(value), sink.valid[s].eq(Cat(present).any())]
                conflicts += [a & b for n, a in enumerate(present) for b in present[n + 1 :]]
        m.d.sync += self.conflict.eq(Cat(conflicts).any() if conflicts else 0)
        return m
