"""The array's multipliers, on their own so that an FPGA flow can build them from the device's cells."""

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


class MultiplyPair(wiring.Component):
    """Products of one int8 with two, each as :class:`Multiply8` has them and in the same cycles.

    A platform with a method ``get_multiply_pair`` may build both in one: a wide multiplier has room for two.

    Parameters
    ----------
    row, column : place of the first in the array; the second is in the next column.

    Members
    -------
    a, b0, b1 : In, int8. product0, product1 : Out, a * b0 and a * b1, MULTIPLY_CYCLES later.
    """

    def __init__(self, *, row: int = 0, column: int = 0):
        self.row, self.column = row, column
        byte, product = signed(8), signed(16)
        super().__init__(
            {
                "a": In(byte),
                "b0": In(byte),
                "b1": In(byte),
                "product0": Out(product),
                "product1": Out(product),
            }
        )

    def elaborate(self, platform):
        if hasattr(platform, "get_multiply_pair"):
            return platform.get_multiply_pair(self)
        m = Module()
        for n in range(2):
            m.submodules[f"multiply{n}"] = multiply = Multiply8(row=self.row, column=self.column + n)
            m.d.comb += [
                multiply.a.eq(self.a),
                multiply.b.eq(getattr(self, f"b{n}")),
                getattr(self, f"product{n}").eq(multiply.product),
            ]
        return m


#: Cycles from Multiply8's inputs to its product.
MULTIPLY_CYCLES = 2
