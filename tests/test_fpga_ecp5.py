"""Each ECP5 primitive against the plain product it stands for, on models of the cells it is made of."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Const, Fragment, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import fpga
from fpga.ecp5 import (
    Ecp5,
    add_bits,
    add_products,
    carry_chain,
    dsp_multiply,
    lut_multiply8,
    subtract_products,
)
from lpu.arch import PRESETS
from rtl.floating_parts import Product
from rtl.multiply import MULTIPLY_CYCLES, Multiply8
from tb.native import NativeUnit

MODELS = (Path(fpga.__file__).parent / "cells_sim.v").read_text()


class Primitive(wiring.Component):
    """Operands and product of a primitive that ``build(a, b, product, latency=...)`` makes."""

    def __init__(self, build, a, b, *, latency=2):
        self._build, self._latency = build, latency
        super().__init__({"a": In(a), "b": In(b), "product": Out(16)})

    def elaborate(self, platform):
        return self._build(self.a, self.b, self.product, latency=self._latency)


class OnPlatform(wiring.Component):
    """A component of rtl as a platform builds it."""

    def __init__(self, inner, platform):
        self._inner, self._platform = inner, platform
        super().__init__(inner.signature)

    def elaborate(self, _):
        m = Module()
        m.submodules.inner = Fragment.get(self._inner, self._platform)
        wiring.connect(m, wiring.flipped(self), self._inner)
        return m


def every_byte_pair():
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    return a.ravel(), b.ravel()


@pytest.mark.parametrize("latency", [2, 3])
@pytest.mark.parametrize("build", [dsp_multiply, lut_multiply8])
def test_every_pair_of_bytes(build, latency):
    a, b = every_byte_pair()
    unit = Primitive(build, signed(8), signed(8), latency=latency)
    with NativeUnit(unit, f"{build.__name__}_{latency}", models=MODELS) as native:
        got = native.stream({"a": a, "b": b}, latency=latency)["product"]
    np.testing.assert_array_equal(got.astype(np.uint16), (a * b).astype(np.uint16))


@pytest.mark.parametrize("dsps", [0, 1])
def test_array_multiplier_equals_its_generic_form(dsps):
    """Same products, same cycle: the generic component and what the platform builds for it see one stream."""
    a, b = every_byte_pair()
    order = np.random.default_rng(8).permutation(len(a))
    inputs = {"a": a[order], "b": b[order]}
    with NativeUnit(Multiply8(), "multiply8") as generic:
        expected = generic.stream(inputs, latency=MULTIPLY_CYCLES)["product"]
    unit = OnPlatform(Multiply8(), Ecp5("85f", array_dsps=dsps))
    with NativeUnit(unit, f"multiply8_ecp5_{dsps}", models=MODELS) as primitive:
        got = primitive.stream(inputs, latency=MULTIPLY_CYCLES)["product"]
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(expected, inputs["a"] * inputs["b"])


@pytest.mark.parametrize("widths", [(18, 18), (16, 15), (9, 18)], ids=str)
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
def test_product_equals_its_generic_form(is_signed, widths):
    random = np.random.default_rng(18)
    corners, randoms = [], []
    for width in widths:
        half, low = 1 << width - 1, -(1 << width - 1) if is_signed else 0
        corners.append([low, low + 1, low + half - 1, low + half, low + half + 1, low + 2 * half - 1])
        randoms.append(random.integers(low, low + 2 * half, 50_000))
    a = np.concatenate([np.repeat(corners[0], 6), randoms[0]])
    b = np.concatenate([np.tile(corners[1], 6), randoms[1]])
    unit = Product(a_width=widths[0], b_width=widths[1], signed=is_signed)
    name = f"product_{'s' if is_signed else 'u'}{widths[0]}_{widths[1]}"
    with NativeUnit(unit, name) as generic:
        expected = generic.stream({"a": a, "b": b}, latency=Product.latency)["product"]
    with NativeUnit(OnPlatform(unit, Ecp5("85f")), f"{name}_ecp5", models=MODELS) as primitive:
        got = primitive.stream({"a": a, "b": b}, latency=Product.latency)["product"]
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got.astype(np.int64), a * b)


def test_wide_significands_stay_generic():
    """(8,23) has 24-bit significands: four DSPs, which yosys puts together itself."""
    wide = rtlil.convert(Product(a_width=24, b_width=24), platform=Ecp5("85f"))
    fits = rtlil.convert(Product(a_width=18, b_width=18), platform=Ecp5("85f"))
    assert "MULT18X18D" in fits and "MULT18X18D" not in wide


@pytest.mark.parametrize(("preset", "device", "left"), [("ecp5-85f", "85f", 132), ("ecp5-25f", "25f", 16)])
def test_platform_counts_its_multipliers(preset, device, left):
    """The first components take DSPs, the others carry chains; the vector lanes' three each are left."""
    config = PRESETS[preset]
    platform = Ecp5.for_config(config, device)
    kinds = ["MULT18X18D" in rtlil.convert(Multiply8(), platform=platform) for _ in range(config.lanes**2)]
    assert kinds == [n < left for n in range(config.lanes**2)]


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize("build", [dsp_multiply, lut_multiply8])
def test_latency_that_cannot_be_built_is_refused(build, latency):
    with pytest.raises(ValueError, match="2 or 3 cycles"):
        build(Signal(8), Signal(8), Signal(16), latency=latency)


def test_dsp_refuses_wide_operands():
    with pytest.raises(ValueError, match="18 by 18"):
        dsp_multiply(Signal(19), Signal(18), Signal(37))


@pytest.mark.filterwarnings("ignore::amaranth.UnusedElaboratable")
def test_truth_tables_of_carry_halves():
    """The tables for a plain adder, and for two rows of partial products."""
    a, b, c, d = (Signal(name=n) for n in "abcd")
    assert add_bits(a, c).init == 0x5A5A
    assert add_products(a, b, c, d).init == 0x7888
    assert subtract_products(a, b, c, d).init == 0x8777
    assert len(carry_chain(Module(), [add_bits(a, Const(0))] * 3)) == 3
