"""Multipliers of iCE40 and Gowin against the generic ones, on models of the cells; clocks. (ECP5: tests/test_fpga_ecp5.py.)"""

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fpga.clocks import ClockError, ecp5_dividers, gowin_dividers, ice40_dividers
from fpga.gowin import Gowin
from fpga.ice40 import Ice40
from fpga.models import cell_models
from rtl.multiply import MULTIPLY_CYCLES, MultiplyPair
from tb.native import NativeUnit

MHZ = 1_000_000
KINDS = {"generic": None, "ice40": lambda: Ice40(macs=1), "gowin": Gowin, "logic": lambda: Ice40(macs=0)}


class Pairs(wiring.Component):
    """A pair of multipliers in each of KINDS. Members: operands; products ``generic0`` and so on."""

    def __init__(self):
        outputs = {f"{kind}{n}": Out(signed(16)) for kind in KINDS for n in range(2)}
        super().__init__({name: In(8) for name in ("a", "b0", "b1")} | outputs)

    def elaborate(self, platform):
        m = Module()
        for kind, make in KINDS.items():
            pair = MultiplyPair()
            m.submodules[kind] = Fragment.get(pair, make and make())
            m.d.comb += [pair.a.eq(self.a), pair.b0.eq(self.b0), pair.b1.eq(self.b1)]
            m.d.comb += [getattr(self, f"{kind}{n}").eq(getattr(pair, f"product{n}")) for n in range(2)]
        return m


def test_pairs_of_products():
    """Every pair of bytes, the second product's operand another one."""
    a, b0 = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    random = np.random.default_rng(3)
    order = random.permutation(len(a))
    a, b0, b1 = a[order], b0[order], random.integers(-128, 128, len(a))
    models = cell_models("ice40", {"SB_MAC16", "MULT9X9"})
    latencies = {f"{kind}{n}": MULTIPLY_CYCLES for kind in KINDS for n in range(2)}
    with NativeUnit(Pairs(), "fpga_pairs", models=models) as unit:
        got = unit.stream({"a": a, "b0": b0, "b1": b1}, latency=latencies)
    for kind in KINDS:
        np.testing.assert_array_equal(got[f"{kind}0"], a * b0, err_msg=kind)
        np.testing.assert_array_equal(got[f"{kind}1"], a * b1, err_msg=kind)


@pytest.mark.parametrize("want", [40, 60, 62.5, 75, 90])
def test_clocks_of_an_ecp5(want):
    into, feedback, out = ecp5_dividers(25 * MHZ, round(want * MHZ))
    assert 25 * feedback / into == want
    assert 400 <= want * out <= 800


@pytest.mark.parametrize("want", [12, 18, 24, 30])
def test_clocks_of_an_ice40(want):
    into, feedback, out = ice40_dividers(12 * MHZ, want * MHZ)
    assert 12 * feedback / into / 2**out == want
    assert 533 <= 12 * feedback / into <= 1066


@pytest.mark.parametrize("want", [27, 36, 45, 54])
def test_clocks_of_a_gowin(want):
    into, feedback, out = gowin_dividers(27 * MHZ, want * MHZ)
    assert 27 * feedback / into == want
    assert 500 <= want * out <= 1250


def test_a_clock_that_there_is_not_has_neighbours():
    with pytest.raises(ClockError, match=r"an ECP5 cannot make 61.7 MHz .*: use 62.5 or 60 MHz"):
        ecp5_dividers(25 * MHZ, 61_700_000)
    with pytest.raises(ClockError, match=r"an iCE40 cannot make 13 MHz .*: use 12.9375 or 13.125 MHz"):
        ice40_dividers(12 * MHZ, 13 * MHZ)
