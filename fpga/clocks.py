"""Phase-locked loops: the tile's clock out of a board's oscillator, exactly or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Const, Instance, Module, Signal, Value
from amaranth.lib import io

MHZ = 1_000_000


class ClockError(ValueError):
    """A frequency that the PLL cannot make; the message has the nearest that it can."""


def _choose(found: Iterator[tuple[float, int, tuple[int, ...]]], want: int, family: str) -> tuple[int, ...]:
    """The dividers that give ``want`` Hz, of several those whose oscillator runs nearest to the middle of its range.

    ``found``: (frequency, distance from the middle, dividers).
    """
    every = list(found)
    exact = [(off, dividers) for hz, off, dividers in every if hz == want]
    if exact:
        return min(exact)[1]
    near = sorted({hz for hz, _, _ in every}, key=lambda hz: abs(hz - want))[:2]
    offers = " or ".join(f"{hz / MHZ:g}" for hz in near)
    raise ClockError(
        f"a PLL of {family} cannot make {want / MHZ:g} MHz of this board's clock: use {offers} MHz"
    )


def ecp5_dividers(source: int, want: int) -> tuple[int, int, int]:
    """(input, feedback, output) dividers of an EHXPLLL that feeds back its output."""
    found = (
        (source * feedback / into, abs(source * feedback * out // into - 600 * MHZ), (into, feedback, out))
        for into in range(1, source // (4 * MHZ) + 1)
        for feedback in range(1, 81)
        for out in range(1, 129)
        if 400 * MHZ <= source * feedback * out / into <= 800 * MHZ
    )
    return _choose(found, want, "an ECP5")


def ice40_dividers(source: int, want: int) -> tuple[int, int, int]:
    """(reference, feedback, output exponent) of an SB_PLL40 with simple feedback."""
    found = (
        (source * feedback / into / 2**out, abs(source * feedback // into - 800 * MHZ), (into, feedback, out))
        for into in range(1, source // (10 * MHZ) + 1)
        for feedback in range(1, 129)
        for out in range(1, 7)
        if 533 * MHZ <= source * feedback / into <= 1066 * MHZ
    )
    return _choose(found, want, "an iCE40")


def gowin_dividers(source: int, want: int) -> tuple[int, int, int]:
    """(input, feedback, oscillator) dividers of an rPLL."""
    found = (
        (source * feedback / into, abs(source * feedback * out // into - 875 * MHZ), (into, feedback, out))
        for into in range(1, source // (3 * MHZ) + 1)
        for feedback in range(1, 65)
        for out in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
        if 500 * MHZ <= source * feedback * out / into <= 1250 * MHZ
    )
    return _choose(found, want, "a GW2A")


def _buffered(m: Module, port: io.PortLike) -> Value:
    m.submodules.buffer = buffer = io.Buffer("i", port)
    return buffer.i


def ecp5_pll(port: io.PortLike, source: int, want: int, clock: Signal, locked: Signal) -> Module:
    """EHXPLLL: ``clock`` of ``want`` Hz out of the pin ``port`` of ``source`` Hz."""
    m = Module()
    into, feedback, out = ecp5_dividers(source, want)
    m.submodules.pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{source / MHZ:g}",
        a_FREQUENCY_PIN_CLKOP=f"{want / MHZ:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        **{f"p_OUTDIVIDER_MUX{n}": f"DIV{n}" for n in "ABCD"},
        p_FEEDBK_PATH="CLKOP",
        p_CLKI_DIV=into,
        p_CLKFB_DIV=feedback,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=out,
        p_CLKOP_CPHASE=out - 1,
        p_CLKOP_FPHASE=0,
        i_CLKI=_buffered(m, port),
        i_CLKFB=clock,
        **{f"i_{n}": Const(0) for n in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")},
        **{f"i_{n}": Const(1) for n in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")},
        o_CLKOP=clock,
        o_LOCK=locked,
    )
    return m


def ice40_pll(port: io.SingleEndedPort, source: int, want: int, clock: Signal, locked: Signal) -> Module:
    """SB_PLL40_PAD, which has the clock's pin to itself."""
    m = Module()
    into, feedback, out = ice40_dividers(source, want)
    # Loop filter by the frequency that the phase detector sees.
    seen = source / into
    loop_filter = 1 + sum(seen >= limit * MHZ for limit in (17, 26, 44, 66, 101))
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=Const(into - 1, 4),
        p_DIVF=Const(feedback - 1, 7),
        p_DIVQ=Const(out, 3),
        p_FILTER_RANGE=Const(loop_filter, 3),
        p_PLLOUT_SELECT="GENCLK",
        i_PACKAGEPIN=port.io,
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
    )
    return m


def gowin_pll(port: io.PortLike, source: int, want: int, clock: Signal, locked: Signal) -> Module:
    """The rPLL of a GW2A-18C."""
    m = Module()
    into, feedback, out = gowin_dividers(source, want)
    m.submodules.pll = Instance(
        "rPLL",
        p_FCLKIN=f"{source / MHZ:g}",
        p_DEVICE="GW2A-18C",
        p_IDIV_SEL=into - 1,
        p_FBDIV_SEL=feedback - 1,
        p_ODIV_SEL=out,
        **{f"p_DYN_{n}_SEL": "false" for n in ("IDIV", "FBDIV", "ODIV")},
        p_DYN_SDIV_SEL=2,
        p_PSDA_SEL="0000",
        p_DUTYDA_SEL="1000",
        p_CLKFB_SEL="internal",
        **{f"p_{n}_BYPASS": "false" for n in ("CLKOUT", "CLKOUTP", "CLKOUTD")},
        p_CLKOUTD_SRC="CLKOUT",
        p_CLKOUTD3_SRC="CLKOUT",
        i_CLKIN=_buffered(m, port),
        **{f"i_{n}": Const(0) for n in ("CLKFB", "RESET", "RESET_P")},
        **{f"i_{n}": Const(0, 6) for n in ("FBDSEL", "IDSEL", "ODSEL")},
        **{f"i_{n}": Const(0, 4) for n in ("DUTYDA", "PSDA", "FDLY")},
        o_CLKOUT=clock,
        o_LOCK=locked,
    )
    return m
