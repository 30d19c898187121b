"""One vector lane: the float units, the registers and accumulators, and the multiplexers between them."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu import timing
from lpu.arch import TileConfig
from rtl.adder import gated_add
from rtl.floating import Add, Convert, Multiply, Quantise
from rtl.floating_parts import one
from rtl.special import Special
from rtl.sram import RegisterFile
from rtl.streams import delayed, pick
from rtl.vxm_control import BEFORE, lane_control


class Lane(wiring.Component):
    """A vector lane.

    Its stages take the cycles that lpu.timing names; Control says in each cycle what enters them. ``result`` is
    combinational in the output register's cycle and zero where ``out_from`` was.

    Parameters
    ----------
    config : the tile's. terms : words that are ORed to make a stream operand.

    Members
    -------
    control : In, see lane_control. out_from, out_write, end_write : In, this lane's, see Control.
    a, b, c, d : In, terms of this lane's stream operands, all zero but in the cycle before the stage that takes them.
    result : Out, 32 bits.
    """

    def __init__(self, config: TileConfig, *, terms: int):
        self._config = config
        operand = data.ArrayLayout(32, terms)
        super().__init__(
            {
                "control": In(lane_control(config)),
                "out_from": In(len(BEFORE["out"]) + 1),
                "out_write": In(1),
                "end_write": In(1),
                **{name: In(operand) for name in "abcd"},
                "result": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, control, fmt = self._config, self.control, self._config.float_format
        first = fmt.word_shift
        m.submodules.registers = registers = RegisterFile(
            depth=config.vxm_registers * config.beats, width=fmt.width, reads=4
        )
        m.submodules.accumulators = accumulators = RegisterFile(
            depth=config.vxm_accumulators * config.beats, width=32, reads=2
        )
        m.submodules.convert = convert = Convert(fmt=fmt)
        m.submodules.multiply = multiply = Multiply(fmt=fmt)
        m.submodules.add = add = Add(fmt=fmt)
        m.submodules.special = special = Special(fmt=fmt)
        m.submodules.multiply2 = multiply2 = Multiply(fmt=fmt)
        m.submodules.quantise = quantise = Quantise(fmt=fmt)

        def stored(number: int, name: str) -> Value:
            """What the registers hold for an operand, in the cycle before its stage."""
            m.d.comb += getattr(registers, f"read_address{number}").eq(getattr(control, f"{name}_address"))
            return getattr(registers, f"read_data{number}")

        def operand(number: int, name: str) -> Value:
            """Stream, register or one. All but the one wanted are zero, the latter two by a flip-flop's reset: an OR
            takes half of what a multiplexer would."""
            chosen = getattr(control, f"{name}_from")
            kept = Mux(chosen[0], stored(number, name), 0) | Mux(chosen[1], one(fmt), 0)
            return reduce(or_, [*(w[first:] for w in getattr(self, name)), delayed(m, kept, 1)])

        a = reduce(or_, self.a)
        self._integer(m, a, accumulators, convert)
        m.d.comb += [
            multiply.a.eq(
                pick(m, control.multiply_from, [a[first:], delayed(m, stored(0, "a"), 1), convert.o])
            ),
            multiply.b.eq(operand(1, "b")),
            add.a.eq(multiply.o),
            add.b.eq(operand(2, "c")),
            add.mode.eq(delayed(m, control.mode, 1)),
        ]
        middle = pick(m, control.special_from, [multiply.o, add.o])
        m.d.comb += [special.i.eq(middle), special.function.eq(delayed(m, control.function, 1))]
        before = delayed(m, middle, timing.SPECIAL - 1)
        second = Signal(fmt.width)
        m.d.comb += [
            second.eq(pick(m, control.multiply2_from, [multiply.o, add.o, special.o])),
            multiply2.a.eq(second),
            multiply2.b.eq(
                operand(3, "d")
                | delayed(m, Mux(control.d_itself[0], before, 0), 1)
                | Mux(delayed(m, control.d_itself[1], 1), second, 0)
            ),
        ]
        floats = [multiply.o, add.o, special.o, multiply2.o]
        m.d.comb += [
            quantise.i.eq(pick(m, control.quantise_from, floats)),
            quantise.target.eq(delayed(m, control.target, 1)),
            quantise.origin.eq(delayed(m, control.origin, 1)),
        ]

        # The output register's cycle.
        result = pick(m, self.out_from[:4], floats)
        whole, byte = delayed(m, self.out_from[4:], 1)
        integer = Mux(whole, quantise.o, 0) | Mux(byte, quantise.o[:8].replicate(4), 0)
        m.d.comb += [
            self.result.eq(Cat(integer[:first], integer[first:] | result)),
            registers.write_address.eq(control.out_address),
            registers.write_data.eq(result),
            registers.write_enable.eq(self.out_write),
        ]
        # The accumulators' cycle.
        m.d.comb += [
            accumulators.read_address1.eq(control.end_address),
            accumulators.write_address.eq(control.end_address),
            accumulators.write_data.eq(
                gated_add(m, "total", control.end_add, accumulators.read_data1, quantise.o)
            ),
            accumulators.write_enable.eq(self.end_write),
        ]
        return m

    def _integer(self, m: Module, a: Value, accumulators: RegisterFile, convert: Convert) -> None:
        """What is converted: a word, a byte of it, or an accumulator."""
        control = self.control
        m.d.comb += accumulators.read_address0.eq(control.a_accumulator)
        whole, byte, accumulator = delayed(m, control.source_from, 1)
        wanted = [control.source_from[1] & (control.a_byte == n) for n in range(4)]
        wanted[0] |= control.source_from[0]
        low = pick(m, wanted, [a.word_select(n, 8) for n in range(4)])
        high = (a[8:] & whole.replicate(24)) | (low[7] & byte).replicate(24)
        kept = delayed(m, accumulators.read_data0, 1)
        m.d.comb += convert.i.eq(Cat(low, high) | (kept & accumulator.replicate(32)))
