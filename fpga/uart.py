"""UART: bytes over two wires, 8 data bits, no parity, one stop bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

#: From this many cycles a bit on, each bit is the majority of three samples around its middle.
VOTED = 8
#: A receiver is off by half a bit in ten at 5 %; both ends share that.
WORST_ERROR = 0.02


def divisor(clock: int, baud: int) -> int:
    """Cycles a bit. Raises ValueError if ``clock`` (Hz) does not divide well enough into ``baud`` (bits a second)."""
    cycles = round(clock / baud) if baud > 0 else 0
    if cycles < 2 or abs(clock / cycles / baud - 1) > WORST_ERROR:
        raise ValueError(
            f"{baud} baud cannot be made of a clock of {clock} Hz within {WORST_ERROR:.0%}: use clock / n, n at least 2"
        )
    return cycles


def checked(cycles: int) -> int:
    """Cycles a bit, if that many are possible; else ValueError."""
    if cycles < 2:
        raise ValueError(f"UART of {cycles} cycles a bit: use at least 2")
    return cycles


class Receiver(wiring.Component):
    """Serial to bytes.

    A byte is there in the middle of its stop bit, and three cycles. A start that is too short and a byte without a stop bit are
    dropped, and so is a byte that ends while the one before it was not taken.

    Parameters
    ----------
    divisor : cycles a bit, at least 2.

    Members
    -------
    rx : In, the wire, idle 1, any phase. bytes : Out, stream.
    """

    def __init__(self, *, divisor: int):
        self._divisor = checked(divisor)
        super().__init__({"rx": In(1, init=1), "bytes": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        # Two registers against metastability; the later ones are older samples.
        samples = Signal(5, init=~0)
        m.d.sync += samples.eq(Cat(self.rx, samples[:-1]))
        voted = self._divisor >= VOTED
        newest, middle, oldest = samples[1], samples[2], samples[3]
        level = (newest & middle) | (middle & oldest) | (oldest & newest) if voted else newest
        # Cycles from the first of a start bit to the middle of it; a vote is a sample late.
        half = self._divisor // 2 + voted

        count = Signal(range(self._divisor + 1))
        left = Signal(4)
        byte = Signal(9)
        with m.If(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)
        with m.If(left == 0):
            m.d.sync += count.eq(half - 1)
            with m.If(~newest):
                m.d.sync += left.eq(10)
        with m.Elif(count != 0):
            m.d.sync += count.eq(count - 1)
        with m.Else():
            m.d.sync += [left.eq(left - 1), count.eq(self._divisor - 1), byte.eq(Cat(byte[1:], level))]
            with m.If((left == 10) & level):
                m.d.sync += left.eq(0)
            with m.If((left == 1) & level & (~self.bytes.valid | self.bytes.ready)):
                m.d.sync += [self.bytes.valid.eq(1), self.bytes.payload.eq(byte[1:])]
        return m


class Transmitter(wiring.Component):
    """Bytes to serial: 10 bits each, the first in the cycle after the byte was taken.

    Parameters
    ----------
    divisor : cycles a bit, at least 2.

    Members
    -------
    bytes : In, stream. tx : Out, the wire, idle 1.
    """

    def __init__(self, *, divisor: int):
        self._divisor = checked(divisor)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self._divisor))
        left = Signal(4)
        bits = Signal(9, init=~0)
        m.d.comb += self.bytes.ready.eq(left == 0)
        with m.If(left == 0):
            m.d.sync += count.eq(self._divisor - 1)
            with m.If(self.bytes.valid):
                m.d.sync += [left.eq(10), bits.eq(self.bytes.payload), self.tx.eq(0)]
                m.d.sync += bits[8].eq(1)
        with m.Else():
            m.d.sync += count.eq(Mux(count == 0, self._divisor - 1, count - 1))
            with m.If(count == 0):
                m.d.sync += [left.eq(left - 1), self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1))]
        return m
