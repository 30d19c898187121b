"""MXM: weight-resident systolic array of int8 multipliers with int32 accumulators."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig, clog2
from lpu.isa import layout
from lpu.runtime.machine import ViolationKind
from lpu.timing import pass_visible
from rtl.adder import gated_add
from rtl.mxm_array import Array
from rtl.sram import RegisterFile
from rtl.streams import (
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    destinations,
    fields,
    instruction_port,
    load_bus,
    report,
    slice_streams,
    through,
)


class Mxm(wiring.Component):
    """An MXM slice.

    LA: cycle 1 from the stream into the activation buffer. LWR, LWC: cycle 1 sample, cycle 2 + r into row r. PASS: cycle 0
    activation buffer, cycle r weights of row r, cycle pass_visible - 1 accumulator. DRAIN: cycle 0 accumulator, cycle 1
    on the slice's output. Load bus: a write is in effect for passes as that of an LW in its cycle.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams.
    load, weights, passes, drain : In, instruction ports. masks : In, as visible in the dispatch cycle.
    bus : In, load bus; entry = context * lanes + row, word = group of columns (TileConfig.weight_group); write only.
    violation : Out, one cycle after the event's cycle.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        super().__init__(
            {
                **slice_streams(config),
                **{
                    unit: In(instruction_port(config, f"{name}.{unit}"))
                    for unit in ("load", "weights", "passes", "drain")
                },
                "masks": In(data.ArrayLayout(config.lanes, config.masks)),
                "bus": In(load_bus()),
                "violation": Out(VIOLATION),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, name = self._config, self._name
        m.submodules.hop = hop = Hop(config, name, injections=1)
        m.submodules.array = array = Array(config)
        through(m, config, self, hop)
        passing = Signal()
        m.d.comb += passing.eq(self._is("passes", "PASS"))

        activations, activation_missing = self._activations(m)
        writing, weight_missing = self._weights(m, array)
        self._passes(m, passing, array, activations, hop.inject0)

        collision = Signal()
        m.d.sync += collision.eq(passing & writing & (array.context == array.write.context))
        report(
            m,
            self.violation,
            {
                ViolationKind.CONFLICT: hop.conflict,
                ViolationKind.NO_OPERAND: activation_missing | weight_missing,
                ViolationKind.COLLISION: collision,
            },
        )
        return m

    def _is(self, unit: str, op: str) -> Value:
        port = getattr(self, unit)
        return port.valid & (port.op == layout(self._config, f"{self._name}.{unit}").ops[op].code)

    def _fields(self, unit: str, op: str) -> dict[str, Value]:
        return fields(self._config, f"{self._name}.{unit}", getattr(self, unit).payload, op)

    def _activations(self, m: Module) -> tuple[RegisterFile, Value]:
        """LA. Returns (the activation buffer, operand missing)."""
        config = self._config
        m.submodules.activations = buffer = RegisterFile(
            depth=config.activations, width=8 * config.lanes, granularity=8
        )
        m.submodules.activation = activation = Sampler(config, self._name, word=False)
        through(m, config, self, activation)
        load = self._fields("load", "LA")
        # Cycle 0.
        loading = self._is("load", "LA")
        m.d.comb += [activation.enable.eq(loading), activation.code.eq(load["src"])]
        # Cycle 1: the buffer itself is the register that samples.
        lanes = Signal(config.lanes)
        m.d.sync += lanes.eq(Mux(loading, self.masks[load["mask"]], 0))
        m.d.comb += [
            buffer.write_address.eq(delayed(m, load["act"], 1)),
            buffer.write_data.eq(activation.now),
            buffer.write_enable.eq(lanes),
        ]
        return buffer, activation.missing

    def _weights(self, m: Module, array: Array) -> tuple[Value, Value]:
        """LWR, LWC and the load bus. Returns (weights enter row 0 in this cycle, operand missing)."""
        config = self._config
        lanes, line_bits = config.lanes, clog2(config.lanes)
        size = config.weight_group
        count = lanes // size
        m.submodules.weight = weight = Sampler(config, self._name, word=False, hold=False)
        through(m, config, self, weight)
        load = self._fields("weights", "LWR")  # LWC's are at the same bits

        # Cycle 0.
        is_row, is_column = self._is("weights", "LWR"), self._is("weights", "LWC")
        m.d.comb += [weight.enable.eq(is_row | is_column), weight.code.eq(load["src"])]
        mine = self.bus.write & (self.bus.space == config.position(self._name))

        # Cycle 1: what the host writes becomes an LWR of so many columns as a word has.
        row1, column1, bus1 = Signal(), Signal(), Signal()
        context1 = Signal(range(config.contexts), reset_less=True)
        line1, mask1 = Signal(line_bits, reset_less=True), Signal(lanes, reset_less=True)
        groups1, data1 = Signal(count), Signal(8 * size, reset_less=True)
        m.d.sync += [
            row1.eq(is_row | mine),
            column1.eq(is_column),
            bus1.eq(mine),
            context1.eq(Mux(mine, self.bus.entry[line_bits:], load["ctx"])),
            line1.eq(Mux(mine, self.bus.entry[:line_bits], load["line"])),
            mask1.eq(self.masks[load["mask"]]),
            groups1.eq(Mux(mine, 1 << self.bus.word, 0)),
            data1.eq(self.bus.data),
        ]

        # Cycle 2: into row 0.
        writing, context, line = Signal(), Signal.like(context1), Signal.like(line1)
        rows, columns, mask = Signal(lanes), Signal(lanes), Signal(lanes, reset_less=True)
        groups, words = delayed(m, groups1, 1), delayed(m, data1, 1)
        written = Cat(words & groups[n].replicate(8 * size) for n in range(count))
        m.d.sync += [
            writing.eq((row1 | column1) & ~bus1),
            context.eq(context1),
            line.eq(line1),
            rows.eq(Mux(row1, 1 << line1, 0)),
            columns.eq(Mux(column1, 1 << line1, 0)),
            mask.eq(Mux(bus1, Cat(groups1[n].replicate(size) for n in range(count)), mask1)),
        ]
        m.d.comb += [
            array.write.context.eq(context),
            array.write.values.eq(rotated(m, weight.data | written, line, 8)),
            array.write.mask.eq(rotated(m, mask, line, 1)),
            array.write.rows.eq(rows),
            array.write.columns.eq(columns),
        ]
        return writing, weight.missing

    def _passes(self, m: Module, passing: Value, array: Array, activations: RegisterFile, inject) -> None:
        """PASS and DRAIN."""
        config = self._config
        m.submodules.accumulators = accumulators = RegisterFile(
            depth=config.accumulators, width=32 * config.lanes, reads=2
        )
        args, drain = self._fields("passes", "PASS"), self._fields("drain", "DRAIN")

        # Cycles 0 and 1 of a PASS.
        m.d.comb += [
            array.context.eq(args["ctx"]),
            activations.read_address0.eq(args["act"]),
            array.activations.eq(delayed(m, activations.read_data0, 1)),
        ]
        # Cycle pass_visible - 1: accumulate.
        late = pass_visible(config) - 1
        acc, clear = delayed(m, args["acc"], late), delayed(m, args["clear"], late)
        m.d.comb += [
            accumulators.read_address0.eq(acc),
            accumulators.write_address.eq(acc),
            accumulators.write_enable.eq(delayed(m, passing, late, reset_less=False)),
        ]
        for lane in range(config.lanes):
            old = accumulators.read_data0.word_select(lane, 32)
            total = gated_add(m, f"total{lane}", ~clear, old, array.sums[lane])
            m.d.comb += accumulators.write_data.word_select(lane, 32).eq(total)

        # Cycles 0 and 1 of a DRAIN.
        enable = Mux(self._is("drain", "DRAIN"), destinations(config, drain["dst"], narrow=0), 0)
        m.d.comb += [
            accumulators.read_address1.eq(drain["acc"]),
            inject.data.eq(delayed(m, accumulators.read_data1, 1)),
            inject.enable.eq(delayed(m, enable, 1, reset_less=False)),
        ]


def rotated(m: Module, vector: Value, lanes: Value, bits: int) -> Value:
    """``vector`` of lanes of so many bits, rotated up: lane i to lane i + ``lanes``. Same cycle."""
    for n in range(len(lanes)):
        stage = Signal(len(vector))
        m.d.comb += stage.eq(Mux(lanes[n], vector.rotate_left(bits << n), vector))
        vector = stage
    return vector
