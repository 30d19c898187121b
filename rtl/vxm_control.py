"""What steers the vector lanes: every CHAIN's way through the stages, one token a beat."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu import timing
from lpu.arch import TileConfig, clog2
from lpu.isa import Destination, Operand, Quantise, Source, Special, layout
from rtl.floating import ORIGIN_BITS, quantise_origin
from rtl.streams import delayed, destinations, fields, instruction_port

#: Stages in order, with their cycles. `source` is the one in which A is sampled or read.
STAGES = {
    "source": timing.SAMPLE,
    "convert": timing.CONVERT,
    "multiply": timing.MULTIPLY,
    "add": timing.ADD,
    "special": timing.SPECIAL,
    "multiply2": timing.MULTIPLY,
    "quantise": timing.QUANTISE,
}
#: Where tokens come to each stage from; `out` is the slice's output register.
BEFORE = {
    "convert": ("source",),
    "multiply": ("source", "convert"),
    "add": ("multiply",),
    "special": ("multiply", "add"),
    "multiply2": ("multiply", "add", "special"),
    "quantise": ("multiply", "add", "special", "multiply2"),
    "out": ("multiply", "add", "special", "multiply2", "quantise"),
}


def register_address(config: TileConfig) -> int:
    """Address bits of a lane's vector registers, a word for each beat."""
    return clog2(config.vxm_registers * config.beats)


def accumulator_address(config: TileConfig) -> int:
    """Address bits of a lane's accumulators, a word for each beat."""
    return clog2(config.vxm_accumulators * config.beats)


def lane_control(config: TileConfig) -> wiring.Signature:
    """What all lanes are told. Every member belongs to the cycle before a value stands at the stage named, but `end_*`
    and `out_address`, which belong to the cycle of the write.

    Members: ``*_from``: one bit for each place the value may come from, at most one set, as BEFORE lists them; for
    ``source_from`` int32, int8 and accumulator, for ``multiply_from`` stream, register and convert, for ``b_from``,
    ``c_from`` and ``d_from`` register and the constant one (streams are zero if not wanted), for ``d_itself`` what
    entered the special function stage, what enters this one. ``a_byte``: byte taken of a sampled
    vector's words. ``*_address``: register or accumulator read or written.
    """
    register, accumulator = register_address(config), accumulator_address(config)
    return wiring.Signature(
        {
            "a_byte": Out(2),
            "a_address": Out(register),
            "a_accumulator": Out(accumulator),
            "source_from": Out(3),
            "multiply_from": Out(3),
            "b_address": Out(register),
            "b_from": Out(2),
            "c_address": Out(register),
            "c_from": Out(2),
            "mode": Out(2),
            "special_from": Out(2),
            "function": Out(3),
            "multiply2_from": Out(3),
            "d_address": Out(register),
            "d_from": Out(2),
            "d_itself": Out(2),
            "quantise_from": Out(4),
            "target": Out(2),
            "origin": Out(ORIGIN_BITS),
            "out_address": Out(register),
            "end_address": Out(accumulator),
            "end_add": Out(1),
        }
    )


def sample_request(config: TileConfig) -> data.StructLayout:
    """A sample wanted in the next cycle, as rtl.streams.Sampler takes it."""
    return data.StructLayout({"enable": 1, "code": clog2(2 * config.streams)})


class Control(wiring.Component):
    """Dispatch and routing of chains.

    A dispatch at t makes tokens that enter stage ``source`` at t + 1 (+ beat). A token is in each stage as long as its
    value, and holds what later stages need to know.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    chain : In, instruction port. masks : In.
    a, b0, b1, c, d0, d1, d2 : Out, samples of the operands; several of b or d only where two chains collide.
    narrow : Out, a is a byte.
    lanes : Out, see lane_control. out_from, out_write, end_write : Out, of each vector lane and masked: the way
    into the output register, BEFORE["out"] and then int8; register and accumulator write enables.
    out_beat : Out, beat in the output register's cycle. inject : Out, as rtl.streams.injection has it.
    collision : Out, one cycle after two chains wanted one unit.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        request, lanes = sample_request(config), config.vxm_lanes
        super().__init__(
            {
                "chain": In(instruction_port(config, f"{name}.chain")),
                "masks": In(data.ArrayLayout(config.lanes, config.masks)),
                **{n: Out(request) for n in ("a", "b0", "b1", "c", "d0", "d1", "d2")},
                "narrow": Out(1),
                "lanes": Out(lane_control(config)),
                "out_from": Out(data.ArrayLayout(len(BEFORE["out"]) + 1, lanes)),
                "out_write": Out(lanes),
                "end_write": Out(lanes),
                "out_beat": Out(clog2(config.beats)),
                "inject": Out(2 * config.streams),
                "collision": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        args = fields(config, f"{self._name}.chain", self.chain.payload, "CHAIN")
        self._token = data.StructLayout(
            {
                **{name: len(value) for name, value in args.items() if name not in ("shift", "mask")},
                "origin": ORIGIN_BITS,
                "beat": clog2(config.beats),
                "mask": config.vxm_lanes,
                **dict.fromkeys(self._uses(args), 1),
            }
        )
        dispatch = Signal()
        opcode = layout(config, f"{self._name}.chain").ops["CHAIN"].code
        m.d.comb += dispatch.eq(self.chain.valid & (self.chain.op == opcode))

        self._tokens: dict[str, list[tuple[Value, data.View]]] = {}
        busy = self._source(m, dispatch, args)
        collisions = [self._stage(m, stage) for stage in list(STAGES)[1:]]
        collisions.append(self._out(m))
        self._end(m)
        self._samples(m, dispatch, args)
        self._steer(m)
        overlap, shared = Signal(), Signal(2)
        m.d.sync += [overlap.eq(dispatch & busy), shared.eq(Cat(Cat(collisions).any(), shared[0]))]
        m.d.comb += self.collision.eq(overlap | shared[1])
        return m

    # Tokens --------------------------------------------------------------------------------------

    def _source(self, m: Module, dispatch: Value, args: dict[str, Value]) -> Value:
        """The first stage: a token for each beat. Returns whether beats remain to be sent."""
        config = self._config
        valid = Signal(name="source_valid")
        token = Signal(self._token, name="source_token", reset_less=True)
        later = Signal(config.lanes, reset_less=True)
        mask = Signal(config.lanes)
        m.d.comb += mask.eq(self.masks[args["mask"]])
        more = valid & (token.beat != config.beats - 1)
        m.d.sync += valid.eq(dispatch | more)
        with m.If(dispatch):
            m.d.sync += [getattr(token, n).eq(args[n]) for n in args if n not in ("shift", "mask")]
            m.d.sync += [
                *(getattr(token, name).eq(used) for name, used in self._uses(args).items()),
                token.origin.eq(quantise_origin(config.float_format, args["shift"].as_signed())),
                token.beat.eq(0),
                Cat(token.mask, later).eq(mask),
            ]
        with m.Else():
            m.d.sync += [token.beat.eq(token.beat + 1), Cat(token.mask, later).eq(later)]
        self._tokens["source"] = [(valid, token)]
        return more

    def _stage(self, m: Module, stage: str) -> Value:
        """The tokens in a stage, one a cycle of it. Returns whether two come at once."""
        came, coming = self._coming(stage)
        valid, value = Cat(came).any(), coming
        positions = []
        for n in range(STAGES[stage]):
            next_valid = Signal(name=f"{stage}_valid_{n}")
            token = Signal(self._token, name=f"{stage}_token_{n}", reset_less=True)
            m.d.sync += [next_valid.eq(valid), token.eq(value)]
            positions.append((next_valid, token))
            valid, value = next_valid, token.as_value()
        self._tokens[stage] = positions
        return _several(came)

    def _coming(self, stage: str) -> tuple[list[Value], Value]:
        """Tokens that enter ``stage`` in the next cycle: from which of BEFORE, and the token's bits."""
        came, bits = [], []
        for origin in BEFORE[stage]:
            valid, token = self._tokens[origin][-1]
            goes = valid & self._goes(origin, stage, token)
            came.append(goes)
            bits.append(Mux(goes, token.as_value(), 0))
        return came, reduce(or_, bits)

    def _goes(self, origin: str, stage: str, token: data.View) -> Value:
        """Whether a token that leaves ``origin`` enters ``stage``."""
        uses = {
            stage: getattr(token, f"in_{stage}") if stage != "multiply" else Const(1, 1)
            for stage in list(STAGES)[1:]
        }
        order = list(STAGES)
        if stage != "out":
            between = order[order.index(origin) + 1 : order.index(stage)]
            return reduce(lambda goes, skipped: goes & ~uses[skipped], between, uses[stage])
        ends = ~reduce(or_, [uses[s] for s in order[order.index(origin) + 1 :]], Const(0, 1))
        if origin == "multiply":
            ends |= token.tap & ~uses["add"]
        elif origin == "add":
            ends |= token.tap
        else:
            ends &= ~token.tap
        return ends & (token.to != Destination.NONE)

    @staticmethod
    def _uses(args: dict[str, Value]) -> dict[str, Value]:
        """Stages that a chain passes, of those that one may leave out. Its tokens carry them, as they decide by that."""
        return {
            "in_convert": Cat(args["a"] == kind for kind in (Source.INT32, Source.INT8, Source.ACC)).any(),
            "in_add": args["c"] != Operand.NONE,
            "in_special": args["f"] != Special.NONE,
            "in_multiply2": args["d"] != Operand.NONE,
            "in_quantise": args["q"] != Quantise.NONE,
        }

    # What tokens do ------------------------------------------------------------------------------

    def _samples(self, m: Module, dispatch: Value, args: dict[str, Value]) -> None:
        """Stream operands, decided two cycles before their stage: a cycle before the sample."""
        a_kind = args["a"]
        m.d.comb += [
            self.a.enable.eq(
                dispatch & ((a_kind == Source.INT32) | (a_kind == Source.INT8) | (a_kind == Source.FLOAT))
            ),
            self.a.code.eq(args["a_at"]),
            self.narrow.eq(a_kind == Source.INT8),
        ]
        at_once = (a_kind == Source.FLOAT) | (a_kind == Source.REG)
        m.d.comb += [
            self.b1.enable.eq(dispatch & at_once & (args["b"] == Operand.STREAM)),
            self.b1.code.eq(args["b_at"]),
        ]
        for port, operand, origin, stage in (
            ("b0", "b", "convert", "multiply"),
            ("c", "c", "multiply", "add"),
            ("d0", "d", "multiply", "multiply2"),
            ("d1", "d", "add", "multiply2"),
            ("d2", "d", "special", "multiply2"),
        ):
            valid, token = self._tokens[origin][-2]
            streamed = (getattr(token, operand) == Operand.STREAM) & (token.beat == 0)
            request = getattr(self, port)
            m.d.comb += [
                request.enable.eq(valid & streamed & self._goes(origin, stage, token)),
                request.code.eq(getattr(token, f"{operand}_at")),
            ]

    def _steer(self, m: Module) -> None:
        """The lanes' controls."""
        lanes, source = self.lanes, self._tokens["source"][-1][1]
        from_source = [source.a == kind for kind in (Source.INT32, Source.INT8, Source.ACC)]
        m.d.comb += [
            lanes.a_byte.eq(source.a_at[1:3]),
            lanes.a_address.eq(self._address(source, source.a_at)),
            lanes.a_accumulator.eq(self._address(source, source.a_at, accumulator=True)),
            lanes.source_from.eq(Cat(from_source)),
        ]
        came, bits = self._coming("multiply")
        from_b = self._operand(m, "b", bits)
        m.d.comb += [
            lanes.multiply_from.eq(
                Cat(came[0] & (source.a == Source.FLOAT), came[0] & (source.a == Source.REG), came[1])
            ),
            lanes.b_from.eq(Cat(from_b.b == Operand.REG, from_b.b == Operand.NONE)),
        ]
        came, bits = self._coming("add")
        to_add = self._operand(m, "c", bits)
        m.d.comb += [
            lanes.c_from.eq(Cat(to_add.c == Operand.REG, to_add.c == Operand.SELF)),
            lanes.mode.eq(to_add.add),
        ]
        came, bits = self._coming("special")
        m.d.comb += [lanes.special_from.eq(Cat(came)), lanes.function.eq(data.View(self._token, bits).f)]
        came, bits = self._coming("multiply2")
        to_second = self._operand(m, "d", bits)
        itself = to_second.d == Operand.SELF
        m.d.comb += [
            lanes.multiply2_from.eq(Cat(came)),
            lanes.d_from.eq(Cat(to_second.d == Operand.REG, 0)),
            lanes.d_itself.eq(Cat(itself & came[2], itself & ~came[2])),
        ]
        came, bits = self._coming("quantise")
        to_quantise = data.View(self._token, bits)
        m.d.comb += [
            lanes.quantise_from.eq(Cat(came)),
            lanes.target.eq(to_quantise.q),
            lanes.origin.eq(to_quantise.origin),
        ]

    def _operand(self, m: Module, name: str, bits: Value) -> data.View:
        """Register address of an operand, from the token that enters its stage next. Returns the token."""
        token = Signal(self._token, name=f"with_{name}")
        m.d.comb += [
            token.eq(bits),
            getattr(self.lanes, f"{name}_address").eq(self._address(token, getattr(token, f"{name}_at"))),
        ]
        return token

    def _address(self, token: data.View, at: Value, *, accumulator: bool = False) -> Value:
        """Word of a lane's registers or accumulators."""
        config = self._config
        count = config.vxm_accumulators if accumulator else config.vxm_registers
        return Cat(token.beat[: (config.beats - 1).bit_length()], at[: clog2(count)])

    def _out(self, m: Module) -> Value:
        """Results on their way out. Returns whether two come at once."""
        config = self._config
        came, bits = self._coming("out")
        masks = [self._tokens[origin][-1][1].mask for origin in BEFORE["out"]]
        narrow = self._tokens["quantise"][-1][1].q == Quantise.INT8
        ways = [
            *zip(came[:-1], masks[:-1], strict=True),
            (came[-1] & ~narrow, masks[-1]),
            (came[-1] & narrow, masks[-1]),
        ]
        for lane in range(config.vxm_lanes):
            m.d.comb += self.out_from[lane].eq(Cat(way & mask[lane] for way, mask in ways))
        # The output register's cycle.
        valid = Signal()
        byte = Signal(reset_less=True)
        token = Signal(self._token, name="out_token", reset_less=True)
        m.d.sync += [valid.eq(Cat(came).any()), byte.eq(came[-1] & narrow), token.eq(bits)]
        to_stream = valid & (token.to == Destination.STREAM) & (token.beat == config.beats - 1)
        enable = Mux(to_stream, destinations(config, token.to_at, narrow=byte), 0)
        m.d.comb += [
            self.out_write.eq(Mux(valid & (token.to == Destination.REG), token.mask, 0)),
            self.lanes.out_address.eq(self._address(token, token.to_at)),
            self.out_beat.eq(token.beat),
            self.inject.eq(delayed(m, enable, 1, reset_less=False)),
        ]
        return _several(came)

    def _end(self, m: Module) -> None:
        """Accumulators."""
        came, last = self._tokens["quantise"][-1]
        valid = delayed(m, came & (last.accumulate != 0), 1, reset_less=False)
        token = Signal(self._token, name="end_token", reset_less=True)
        m.d.sync += token.eq(last)
        m.d.comb += [
            self.end_write.eq(Mux(valid, token.mask, 0)),
            self.lanes.end_address.eq(self._address(token, token.acc, accumulator=True)),
            self.lanes.end_add.eq(token.accumulate[1]),
        ]


def _several(bits: list[Value]) -> Value:
    """Whether more than one bit is set."""
    pairs = [a & b for n, a in enumerate(bits) for b in bits[n + 1 :]]
    return Cat(pairs).any() if pairs else Const(0, 1)
