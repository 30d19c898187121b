"""Gowin GW2A: a product of int8 in a MULT9X9 with registers of its own.

Pass a :class:`Gowin` as ``platform`` to ``elaborate``. yosys has a black box of the cell alone; fpga/cells_sim.v has the model
that tests/test_fpga_primitives.py compares with the generic multiplier.
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal


class Gowin:
    """Platform object for one elaboration: the first ``multipliers`` become a MULT9X9 each, the others logic."""

    def __init__(self, *, multipliers: int = 96):
        self._left = multipliers

    def get_multiply8(self, component) -> Elaboratable:
        """For :class:`rtl.multiply.Multiply8`."""
        if not self._left:
            return type(component).elaborate(component, None)
        self._left -= 1
        return dsp_multiply(component)


def dsp_multiply(component) -> Module:
    """One MULT9X9. Cycle 0: operands are registered (AREG, BREG). Cycle 1: the product is (OUT_REG)."""
    m = Module()
    wide = Signal(18)
    off, on = Const(0, 1), Const(1, 1)
    a, b = component.a, component.b
    m.submodules.dsp = Instance(
        "MULT9X9",
        **{f"p_{name}": on for name in ("AREG", "BREG", "OUT_REG")},
        **{f"p_{name}": off for name in ("PIPE_REG", "ASIGN_REG", "BSIGN_REG", "SOA_REG")},
        p_MULT_RESET_MODE="SYNC",
        i_A=Cat(a, a[-1]),
        i_B=Cat(b, b[-1]),
        i_SIA=Const(0, 9),
        i_SIB=Const(0, 9),
        i_ASIGN=on,
        i_BSIGN=on,
        i_ASEL=off,
        i_BSEL=off,
        i_CE=on,
        i_CLK=ClockSignal("sync"),
        i_RESET=off,
        o_DOUT=wide,
    )
    m.d.comb += component.product.eq(wide)
    return m
