"""Adders with a little logic in front, on their own so that an FPGA flow can put that logic into the carry cells."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class GatedAdd(wiring.Component):
    """``a`` or nothing, plus ``b``, modulo the width. Combinational.

    A platform with a method ``gated_add`` may build it in its own way.

    Parameters
    ----------
    width : bits of operands and sum.

    Members
    -------
    a, b : In. gate : In, whether a takes part. total : Out.
    """

    def __init__(self, *, width: int):
        super().__init__({"a": In(width), "b": In(width), "gate": In(1), "total": Out(width)})

    def elaborate(self, platform):
        if hasattr(platform, "gated_add"):
            return platform.gated_add(self)
        m = Module()
        m.d.comb += self.total.eq(Mux(self.gate, self.a, 0) + self.b)
        return m


class AddOrCompare(wiring.Component):
    """Sum of two numbers, or which is greater; one carry chain does either. Combinational.

    A platform with a method ``add_or_compare`` may build it in its own way.

    Parameters
    ----------
    width : bits of the operands, two's complement.

    Members
    -------
    a, b : In. compare : In. total : Out, a + b modulo the width where ``compare`` is clear, else undefined.
    greater : Out, b > a where ``compare`` is set, else undefined.
    """

    def __init__(self, *, width: int):
        super().__init__(
            {"a": In(width), "b": In(width), "compare": In(1), "total": Out(width), "greater": Out(1)}
        )

    def elaborate(self, platform):
        if hasattr(platform, "add_or_compare"):
            return platform.add_or_compare(self)
        m = Module()
        m.d.comb += [self.total.eq(self.a + self.b), self.greater.eq(self.b.as_signed() > self.a.as_signed())]
        return m


def gated_add(m: Module, name: str, gate: Value, a: Value, b: Value) -> Value:
    """:class:`GatedAdd` as an expression; as wide as ``a``."""
    m.submodules[name] = adder = GatedAdd(width=len(a))
    m.d.comb += [adder.gate.eq(gate), adder.a.eq(a), adder.b.eq(b)]
    return adder.total
