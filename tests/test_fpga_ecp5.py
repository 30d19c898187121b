"""Each ECP5 primitive against the generic component it stands for, on models of the cells it is made of."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Fragment, Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import fpga
from fpga.ecp5 import (
    CARRY,
    START,
    Ecp5,
    add_bits,
    add_products,
    carry_chain,
    dsp_multiply,
    lut_multiply8,
    start_bits,
    subtract_products,
)
from lpu.arch import PRESETS
from rtl.adder import AddOrCompare, GatedAdd
from rtl.floating_parts import Product
from rtl.multiply import MULTIPLY_CYCLES, Multiply8, MultiplyPair
from tb.native import NativeUnit

MODELS = (Path(fpga.__file__).parent / "cells_sim.v").read_text()
#: Name of a Product -> bits of its operands, signed.
PRODUCTS = {
    f"{'s' if is_signed else 'u'}{a}_{b}": (a, b, is_signed)
    for a, b in ((18, 18), (16, 15), (9, 18))
    for is_signed in (False, True)
}


class Bench(wiring.Component):
    """Every multiplier in its generic form and as the platform builds it, all fed with the low bits of a and b.

    Members: ``a``, ``b``: In. ``bytes``: generic Multiply8; ``bytes_dsp``, ``bytes_lut``: on the platform; ``dsp3``,
    ``lut3``: the primitives with a third register. For each of PRODUCTS its name, and its name with ``_dsp``.
    ``gated``, ``sum`` and ``greater``: the adders, told by ``choice``; the same with ``_cells`` on the platform.
    """

    def __init__(self):
        members = {name: Out(signed(16)) for name in ("bytes", "bytes_dsp", "bytes_lut", "dsp3", "lut3")}
        for name, (a, b, is_signed) in PRODUCTS.items():
            shape = signed(a + b) if is_signed else unsigned(a + b)
            members |= {name: Out(shape), f"{name}_dsp": Out(shape)}
        for suffix in ("", "_cells"):
            members |= {f"gated{suffix}": Out(18), f"sum{suffix}": Out(18), f"greater{suffix}": Out(1)}
        super().__init__({"a": In(18), "b": In(18), "choice": In(1), **members})

    def elaborate(self, platform):
        m = Module()

        def add(name, component, on):
            m.submodules[name] = Fragment.get(component, on)
            m.d.comb += [component.a.eq(self.a), component.b.eq(self.b)]
            m.d.comb += getattr(self, name).eq(component.product)

        add("bytes", Multiply8(), None)
        add("bytes_dsp", Multiply8(), Ecp5("85f", array_dsps=1))
        add("bytes_lut", Multiply8(), Ecp5("85f"))
        for name, build in (("dsp3", dsp_multiply), ("lut3", lut_multiply8)):
            a, b = (Signal(signed(8), name=f"{name}_{port}") for port in "ab")
            m.d.comb += [a.eq(self.a), b.eq(self.b)]
            m.submodules[name] = build(a, b, getattr(self, name), latency=3)
        for name, (a, b, is_signed) in PRODUCTS.items():
            for suffix, on in (("", None), ("_dsp", Ecp5("85f"))):
                add(name + suffix, Product(a_width=a, b_width=b, signed=is_signed), on)
        for suffix, on in (("", None), ("_cells", Ecp5("85f"))):
            gated, either = GatedAdd(width=18), AddOrCompare(width=18)
            m.submodules[f"gated{suffix}"] = Fragment.get(gated, on)
            m.submodules[f"either{suffix}"] = Fragment.get(either, on)
            m.d.comb += [
                Cat(gated.a, gated.b, gated.gate).eq(Cat(self.a, self.b, self.choice)),
                Cat(either.a, either.b, either.compare).eq(Cat(self.a, self.b, self.choice)),
                getattr(self, f"gated{suffix}").eq(gated.total),
                getattr(self, f"sum{suffix}").eq(either.total),
                getattr(self, f"greater{suffix}").eq(either.greater),
            ]
        return m


class Pairs(wiring.Component):
    """A pair of multipliers, generic, as one DSP, and as two. Members: operands; products ``generic0`` and so on."""

    def __init__(self):
        names = [f"{kind}{n}" for kind in ("generic", "packed", "dsps") for n in range(2)]
        super().__init__(
            {name: In(8) for name in ("a", "b0", "b1")} | {name: Out(signed(16)) for name in names}
        )

    def elaborate(self, platform):
        m = Module()
        for kind, on in (
            ("generic", None),
            ("packed", Ecp5("85f", array_dsps=1)),
            ("dsps", Ecp5("85f", array_dsps=2)),
        ):
            pair = MultiplyPair()
            m.submodules[kind] = Fragment.get(pair, on)
            m.d.comb += [pair.a.eq(self.a), pair.b0.eq(self.b0), pair.b1.eq(self.b1)]
            m.d.comb += [getattr(self, f"{kind}{n}").eq(getattr(pair, f"product{n}")) for n in range(2)]
        return m


LATENCIES = {"bytes": MULTIPLY_CYCLES, "bytes_dsp": MULTIPLY_CYCLES, "bytes_lut": MULTIPLY_CYCLES}
LATENCIES |= {"dsp3": 3, "lut3": 3}
LATENCIES |= {name + suffix: Product.latency for name in PRODUCTS for suffix in ("", "_dsp")}


@pytest.fixture(scope="module")
def bench():
    with NativeUnit(Bench(), "fpga_primitives", models=MODELS) as unit:
        yield unit


def test_every_pair_of_bytes(bench):
    """In an order that leaves no two neighbours alike, so that a register too few or too many shows."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    order = np.random.default_rng(8).permutation(len(a))
    a, b = a[order], b[order]
    got = bench.stream({"a": a, "b": b}, latency=LATENCIES)
    for name in ("bytes", "bytes_dsp", "bytes_lut", "dsp3", "lut3"):
        np.testing.assert_array_equal(got[name], a * b, err_msg=name)


def test_every_pair_of_products():
    """All 2**24 triples, the bytes of each run in an order of their own."""
    random = np.random.default_rng(24)
    b0, b1 = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    with NativeUnit(Pairs(), "fpga_pairs", models=MODELS) as unit:
        for one in random.permutation(np.arange(-128, 128)):
            order = random.permutation(len(b0))
            # Now and then another first operand, so that one held too long or too short shows.
            a = np.where(random.random(len(b0)) < 0.1, random.integers(-128, 128, len(b0)), one)
            for operand in (np.full_like(a, one), a):
                got = unit.stream({"a": operand, "b0": b0[order], "b1": b1[order]}, latency=MULTIPLY_CYCLES)
                for kind in ("generic", "packed", "dsps"):
                    np.testing.assert_array_equal(
                        got[f"{kind}0"], operand * b0[order], err_msg=f"{kind} {one}"
                    )
                    np.testing.assert_array_equal(
                        got[f"{kind}1"], operand * b1[order], err_msg=f"{kind} {one}"
                    )


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_on_corners_and_random_operands(bench, name):
    *widths, is_signed = PRODUCTS[name]
    random = np.random.default_rng(18)
    corners, randoms = [], []
    for width in widths:
        half, low = 1 << width - 1, -(1 << width - 1) if is_signed else 0
        corners.append([low, low + 1, low + half - 1, low + half, low + half + 1, low + 2 * half - 1])
        randoms.append(random.integers(low, low + 2 * half, 100_000))
    a = np.concatenate([np.repeat(corners[0], 6), randoms[0]])
    b = np.concatenate([np.tile(corners[1], 6), randoms[1]])
    got = bench.stream({"a": a, "b": b}, latency=LATENCIES)
    np.testing.assert_array_equal(got[name].astype(np.int64), a * b)
    np.testing.assert_array_equal(got[f"{name}_dsp"], got[name])


@pytest.mark.parametrize("choice", [0, 1])
def test_adders_on_corners_and_random_operands(bench, choice):
    """The sum of a comparison and the comparison of a sum are nobody's business."""
    half = 1 << 17
    corners = [-half, 1 - half, -1, 0, 1, half - 1]
    random = np.random.default_rng(81)
    a, b = (
        np.concatenate([order(corners, 6), random.integers(-half, half, 100_000), np.arange(-half, half)])
        for order in (np.repeat, np.tile)
    )
    b[-half:] = a[-half:]  # equal operands, which no random pair is
    got = bench.stream({"a": a, "b": b, "choice": choice})
    mask = 2 * half - 1
    for suffix in ("", "_cells"):
        np.testing.assert_array_equal(got[f"gated{suffix}"], (a * choice + b) & mask, err_msg=suffix)
        if choice:
            np.testing.assert_array_equal(got[f"greater{suffix}"], b > a, err_msg=suffix)
        else:
            np.testing.assert_array_equal(got[f"sum{suffix}"], (a + b) & mask, err_msg=suffix)


def test_wide_significands_stay_generic():
    """(8,23) has 24-bit significands: four DSPs, which yosys puts together itself."""
    wide = rtlil.convert(Product(a_width=24, b_width=24), platform=Ecp5("85f"))
    fits = rtlil.convert(Product(a_width=18, b_width=18), platform=Ecp5("85f"))
    assert "MULT18X18D" in fits and "MULT18X18D" not in wide


@pytest.mark.parametrize(
    ("preset", "device", "counts"),
    [("ecp5-85f", "85f", ([1] * 31 + [2]) * 4), ("ecp5-25f", "25f", [1] * 16 + [0] * 16)],
)
def test_platform_counts_its_multipliers(preset, device, counts):
    """Each pair of the array gets a DSP while there are any, some of them two; the vector lanes' three each are left."""
    config = PRESETS[preset]
    platform = Ecp5.for_config(config, device)
    pairs = [rtlil.convert(MultiplyPair(), platform=platform) for _ in range(config.lanes**2 // 2)]
    assert [text.count("cell \\MULT18X18D") for text in pairs] == counts


@pytest.mark.parametrize(
    ("dsps", "counts"),
    [(0, [0, 0, 0]), (1, [1, 0]), (2, [1, 1, 0, 0]), (3, [1, 2]), (4, [2, 2]), (5, [2, 2])],
)
def test_dsps_go_to_as_many_pairs_as_there_are(dsps, counts):
    platform = Ecp5("85f", array_dsps=dsps, array_pairs=len(counts))
    pairs = [rtlil.convert(MultiplyPair(), platform=platform) for _ in counts]
    assert [text.count("cell \\MULT18X18D") for text in pairs] == counts


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize("build", [dsp_multiply, lut_multiply8])
def test_latency_that_cannot_be_built_is_refused(build, latency):
    with pytest.raises(ValueError, match="2 or 3 cycles"):
        build(Signal(8), Signal(8), Signal(16), latency=latency)


def test_dsp_refuses_wide_operands():
    with pytest.raises(ValueError, match="18 by 18"):
        dsp_multiply(Signal(19), Signal(18), Signal(37))


def test_truth_tables_of_carry_halves():
    """The tables for a plain adder, and for two rows of partial products."""
    a, b, c, d = (Signal(name=n) for n in "abcd")
    assert add_bits(a, c).init == 0x5A5A
    assert add_products(a, b, c, d).init == 0x7888
    assert subtract_products(a, b, c, d).init == 0x8777
    assert START.init == 0 and CARRY.init & 0xF00F == 0x000F
    assert start_bits(a, b).init & 0xF00F == 0x0008


def test_chains_are_open_at_both_ends():
    """nextpnr would spend a cell on a carry input that is tied, or an output that is connected to nothing."""
    m = Module()
    bits = [add_bits(Signal(name=f"a{n}"), Signal(name=f"b{n}")) for n in range(6)]
    total = Signal(6)
    m.d.comb += total.eq(carry_chain(m, START, bits))
    text = rtlil.convert(m, ports=[total], emit_src=False)
    assert text.count("cell \\CCU2C") == 4
    assert text.count("connect \\CIN") == text.count("connect \\COUT") == 3
