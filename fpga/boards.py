"""The boards: what FPGA, which tile, which pins.

Pins, oscillators and attributes are those of ``amaranth_boards``; nothing here has met hardware (docs/fpga.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from fpga import clocks, families
from fpga.ecp5 import Ecp5
from fpga.families import Family
from fpga.gowin import Gowin
from fpga.ice40 import Ice40
from fpga.top import BoardTop
from lpu.arch import TileConfig, load_config


class BoardError(ValueError):
    """A board that there is not; the message lists those that there are."""


@dataclass(frozen=True)
class Board:
    """A board and the tile on it.

    Parameters
    ----------
    name : of the board; it tells the host. title : for people. family : of its FPGA.
    platform : module and class of ``amaranth_boards``.
    config : the tile's name. mhz : of the tile. baud : bits a second of the UART.
    device : what the family's tools want to know of the FPGA. primitives : makes the platform object that builds multipliers.
    pll : of :mod:`fpga.clocks`. leds : how many to use. seeds : placements tried. options : for the placer.
    """

    name: str
    title: str
    family: Family
    platform: tuple[str, str]
    config: str
    mhz: float
    device: dict[str, str]
    primitives: Callable[[TileConfig], Any]
    pll: Callable[..., Module]
    leds: int = 4
    baud: int = 1_000_000
    seeds: tuple[int, ...] = (1, 2, 3)
    options: tuple[str, ...] = ()

    @property
    def tile(self) -> TileConfig:
        """The configuration."""
        return load_config(self.config)

    @property
    def clock(self) -> int:
        """Of the tile, in Hz."""
        return round(self.mhz * clocks.MHZ)

    def instance(self):
        """A platform of Amaranth for one elaboration, with the primitives of its family."""
        module, name = self.platform
        base = getattr(import_module(f"amaranth_boards.{module}"), name)
        primitives = self.primitives(self.tile)

        class Platform(base):
            def __getattr__(self, name):
                # What Amaranth's platform has not, the family's may: get_multiply8 and its like.
                return getattr(primitives, name)

        return Platform()


class OnBoard(Elaboratable):
    """A :class:`BoardTop` with a clock, a reset and pins.

    The tile runs from a PLL and is in reset until that has locked.
    """

    def __init__(self, board: Board):
        self._board = board

    def elaborate(self, platform):
        m = Module()
        board = self._board
        pin = platform.request(platform.default_clk, dir="-")
        source = round(platform.default_clk_frequency)
        clock, locked = Signal(), Signal()
        m.submodules.clock = board.pll(pin, source, board.clock, clock, locked)
        m.domains.sync = ClockDomain()
        m.d.comb += ClockSignal("sync").eq(clock)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")

        m.submodules.core = core = BoardTop(board.tile, board=board.name, clock=board.clock, baud=board.baud)
        uart = platform.request("uart", 0, dir=dict.fromkeys(("rx", "tx", "rts", "dtr"), "-"))
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [core.rx.eq(rx.i), tx.o.eq(core.tx)]
        for n in range(board.leds):
            m.submodules[f"led{n}"] = led = io.Buffer("o", platform.request("led", n, dir="-"))
            m.d.comb += led.o.eq(core.leds[n])
        return m


def _ecp5(device: str) -> Callable[[TileConfig], Ecp5]:
    return lambda config: Ecp5.for_config(config, device)


BOARDS: dict[str, Board] = {
    b.name: b
    for b in (
        Board(
            "ulx3s-25f",
            "ULX3S, LFE5U-25F",
            families.ECP5,
            ("ulx3s", "ULX3S_25F_Platform"),
            "matrix8",
            75,
            {"device": "25k", "package": "CABGA381", "speed": "6"},
            _ecp5("25f"),
            clocks.ecp5_pll,
        ),
        Board(
            "tangprimer20k",
            "Tang Primer 20K, GW2A-18C",
            families.GOWIN,
            ("tang_primer_20k", "TangPrimer20kDockPlatform"),
            "matrix8",
            27,
            {"device": "GW2A-LV18PG256C8/I7", "chip": "GW2A-18C"},
            lambda config: Gowin(),
            clocks.gowin_pll,
        ),
        Board(
            "ulx3s-85f",
            "ULX3S, LFE5U-85F",
            families.ECP5,
            ("ulx3s", "ULX3S_85F_Platform"),
            "whole16",
            60,
            {"device": "85k", "package": "CABGA381", "speed": "6"},
            _ecp5("85f"),
            clocks.ecp5_pll,
            # Slow paths count twice as much as by default, and cells lie less densely.
            options=("--placer-heap-timingweight", "20", "--placer-heap-beta", "0.8"),
        ),
        Board(
            "icebreaker",
            "iCEBreaker, iCE40UP5K",
            families.ICE40,
            ("icebreaker", "ICEBreakerPlatform"),
            "matrix2",
            24,
            {"device": "up5k", "package": "sg48"},
            lambda config: Ice40(),
            clocks.ice40_pll,
            leds=2,
            # Nine tenths full, now and then one cannot be routed.
            seeds=(1, 2, 3, 4),
        ),
    )
}


def board_of(name: str) -> Board:
    """The board of a name. Raises BoardError."""
    if name not in BOARDS:
        raise BoardError(f"no board {name!r}: use {', '.join(BOARDS)}")
    return BOARDS[name]
