"""iCE40 UltraPlus: two products of int8 in one SB_MAC16.

Pass an :class:`Ice40` as ``platform`` to ``elaborate``. tests/test_fpga_primitives.py compares with the generic multiplier on
yosys' own model of the cell.
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Elaboratable, Instance, Module


class Ice40:
    """Platform object for one elaboration: the first ``macs`` pairs of multipliers become an SB_MAC16 each."""

    def __init__(self, *, macs: int = 8):
        self._left = macs

    def get_multiply_pair(self, component) -> Elaboratable:
        """For :class:`rtl.multiply.MultiplyPair`. Without SB_MAC16 left, logic."""
        if not self._left:
            return type(component).elaborate(component, None)
        self._left -= 1
        return mac_multiply(component)


def mac_multiply(component) -> Module:
    """One SB_MAC16 in its mode of two 8 x 8 products.

    Cycle 0: operands are registered (A_REG, B_REG). Cycle 1: multiply; the products are registered (TOP and BOT_8x8_MULT_REG)
    and go past the adders.
    """
    m = Module()
    c = component
    on = Const(1, 1)
    registers = ("A_REG", "B_REG", "TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG", "MODE_8x8", "A_SIGNED", "B_SIGNED")
    idle = ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP")
    idle += ("OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI", "ACCUMCI", "SIGNEXTIN")
    m.submodules.mac = Instance(
        "SB_MAC16",
        **{f"p_{name}": on for name in registers},
        p_TOPOUTPUT_SELECT=Const(2, 2),
        p_BOTOUTPUT_SELECT=Const(2, 2),
        i_CLK=ClockSignal("sync"),
        i_CE=on,
        i_A=Cat(c.a, c.a),
        i_B=Cat(c.b0, c.b1),
        i_C=Const(0, 16),
        i_D=Const(0, 16),
        **{f"i_{name}": Const(0, 1) for name in idle},
        o_O=Cat(c.product0, c.product1),
    )
    return m
