"""Verilog of whole designs, kept: elaborating a tile takes longer than anything else once its simulator is built.

The text is named by the configuration and by every source file that it is made of, so an edit to one of them makes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from lpu.arch import TileConfig
from tb.build import build_once, key_of

_ROOT = Path(__file__).resolve().parent.parent


def kept(name: str, make: Callable[[], str], *parameters: object) -> str:
    """``make()``, or what it returned before for the same name, parameters and sources."""
    with build_once(f"verilog-{name}", key_of(*parameters, *_sources())) as (folder, work):
        if work is not None:
            (work / "top.v").write_text(make(), encoding="utf-8")
    return (folder / "top.v").read_text(encoding="utf-8")


def tile_verilog(config: TileConfig) -> str:
    """What :func:`rtl.verilog.tile_verilog` makes of a configuration."""

    def make() -> str:
        from rtl import verilog

        return verilog.tile_verilog(config)

    return kept(f"tile-{config.name}", make, config.fingerprint)


def board_verilog(config: TileConfig, name: str, clock: int, divisor: int) -> str:
    """A board's top for simulation: clock in Hz, cycles a bit; nothing takes long, so that the clock can stand still."""

    def make() -> str:
        from amaranth.back import verilog

        from fpga.top import BoardTop

        top = BoardTop(config, board=name, clock=clock, baud=clock // divisor, glow=8, patience=13)
        ports = {"__".join(path): (value, None) for path, _, value in top.signature.flatten(top)}
        return verilog.convert(top, name="top", ports=ports, emit_src=False, strip_internal_attrs=True)

    files = [*sorted((_ROOT / "fpga").glob("*.py")), *sorted((_ROOT / "lpu" / "runtime").glob("*.py"))]
    sources = [path.read_text(encoding="utf-8") for path in files]
    return kept(f"board-{name}-{config.name}", make, config.fingerprint, name, clock, divisor, *sources)


@lru_cache(maxsize=1)
def _sources() -> tuple[object, ...]:
    """Everything that the hardware is described in: rtl, the contract, Amaranth."""

    def files() -> Iterator[Path]:
        yield from sorted((_ROOT / "rtl").glob("*.py"))
        yield from sorted((_ROOT / "lpu").glob("*.py"))

    return (version("amaranth"), *(part for p in files() for part in (p.name, p.read_text(encoding="utf-8"))))
