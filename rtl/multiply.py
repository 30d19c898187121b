"""The array's multiplier, on its own so that an FPGA flow can build it from the device's cells."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiply8(wiring.Component):
    """Product of two int8, exact in 16 bits.

    Cycle 0: ``a`` and ``b`` stand at the inputs and are registered. Cycle 1: multiply. Cycle 2: ``product``.
    A platform with a method ``get_multiply8`` may build it in its own way; ``row`` and ``column`` say which one it is.

    Parameters
    ----------
    row, column : place in the array.

    Members
    -------
    a, b : In, int8. product : Out, MULTIPLY_CYCLES later.
    """

    def __init__(self, *, row: int = 0, column: int = 0):
        self.row, self.column = row, column
        super().__init__({"a": In(signed(8)), "b": In(signed(8)), "product": Out(signed(16))})

    def elaborate(self, platform):
        if hasattr(platform, "get_multiply8"):
            return platform.get_multiply8(self)
        m = Module()
        a, b = (Signal(signed(8), reset_less=True, name=name) for name in ("a1", "b1"))
        product = Signal(signed(16), reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.d.comb += self.product.eq(product)
        return m


#: Cycles from Multiply8's inputs to its product.
MULTIPLY_CYCLES = 2
