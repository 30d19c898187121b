"""One vector lane: the float units, the registers and accumulators, and the multiplexers between them."""

from __future__ import annotations

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
    config : the tile's.

    Members
    -------
    control : In, see lane_control. out_from, out_write, end_write : In, this lane's, see Control.
    a, b, c, d : In, sampled words of this lane, one a beat. result : Out, 32 bits.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        operand = data.ArrayLayout(32, config.beats)
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

        def word(name: str) -> Value:
            """The current beat of a sampled operand."""
            beat, words = getattr(control, f"{name}_beat"), list(getattr(self, name))
            if len(words) == 1:
                return words[0]
            return pick(m, [beat == n for n in range(len(words))], words)

        def register(number: int, name: str) -> Value:
            """An operand out of the registers."""
            m.d.comb += getattr(registers, f"read_address{number}").eq(getattr(control, f"{name}_address"))
            return delayed(m, getattr(registers, f"read_data{number}"), 1)

        def operand(name: str, kept: Value) -> Value:
            """A word of the current beat, a register or one: a selection of its own for the beat would cost more."""
            chosen, beat = getattr(control, f"{name}_from"), getattr(control, f"{name}_beat")
            words = [w[first:] for w in getattr(self, name)]
            wanted = [chosen[0] & (beat == n) for n in range(len(words))]
            return pick(m, [*wanted, chosen[1], chosen[2]], [*words, kept, one(fmt)])

        a, first = word("a"), fmt.word_shift
        self._integer(m, a, accumulators, convert)
        m.d.comb += [
            multiply.a.eq(pick(m, control.multiply_from, [a[first:], register(0, "a"), convert.o])),
            multiply.b.eq(operand("b", register(1, "b"))),
            add.a.eq(multiply.o),
            add.b.eq(operand("c", register(2, "c"))),
            add.mode.eq(delayed(m, control.mode, 1)),
        ]
        middle = pick(m, control.special_from, [multiply.o, add.o])
        m.d.comb += [special.i.eq(middle), special.function.eq(delayed(m, control.function, 1))]
        self_operand = delayed(m, middle, timing.SPECIAL)
        second = Signal(fmt.width)
        m.d.comb += [
            second.eq(pick(m, control.multiply2_from, [multiply.o, add.o, special.o])),
            multiply2.a.eq(second),
            multiply2.b.eq(
                pick(m, control.d_from, [word("d")[first:], register(3, "d"), self_operand, second])
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
