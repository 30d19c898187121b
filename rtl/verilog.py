"""A tile as one self-contained Verilog file."""

from __future__ import annotations

from pathlib import Path

from amaranth.back import verilog

from lpu.arch import TileConfig
from rtl.tile import Tile


def tile_verilog(config: TileConfig, *, name: str = "top", separator: str = "__") -> str:
    """Verilog of a tile and everything below it, the same text for the same configuration.

    Parameters
    ----------
    config : what to build.
    name : of the top module. separator : between a stream's name and its member, as in ``command__payload``.

    Ports: ``clk``, ``rst`` (synchronous), ``command`` and ``response`` (``payload``, ``valid``, ``ready``), ``busy``,
    ``violation``.
    """
    tile = Tile(config)
    ports = {separator.join(path): (value, None) for path, _, value in tile.signature.flatten(tile)}
    return verilog.convert(tile, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)


def write(config: TileConfig, path: str | Path) -> None:
    """Write a tile for use in another design: module ``lpu_tile``, ports ``command_payload`` and so on."""
    Path(path).write_text(tile_verilog(config, name="lpu_tile", separator="_"), encoding="utf-8")
