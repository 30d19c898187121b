"""FPGA families: how yosys maps for each, how nextpnr places, what packs a bitstream.

Everything that differs between devices is here and in the primitives (fpga/ecp5.py, ice40.py, gowin.py, clocks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fpga import cells, sites, tidy
from fpga.cells import Area, count_cells

#: ABC maps for the smallest area that keeps every path under this many picoseconds of its own count, six to eight LUTs; routing
#: is not in it. Left to itself it spends LUTs on paths that are not critical. Its script of three rounds saves as much again.
PERIOD = 3_800


def _smallest(period: int) -> tuple[str, str]:
    return f"scratchpad -set abc9.D {period}", "scratchpad -copy abc9.script.flow3 abc9.script"


@dataclass(frozen=True)
class Family:
    """One kind of FPGA.

    Parameters
    ----------
    name : of the family. sizes : of its cells. synth : yosys commands that map module ``{top}``.
    constraints : ending of the file of pins. placer : the tool that places and routes, and its arguments.
    packer : the tool that makes the bitstream, and its arguments. output, bitstream : endings of what the two write.
    resources : field of Area -> name in nextpnr's report.
    In arguments ``{pins}``, ``{netlist}``, ``{output}``, ``{bitstream}`` are replaced, and what the board has under ``device``.
    tidy : what is done to a mapped module; returns the carries that cost a cell of their own.
    sites : what is done to a whole netlist for a device; returns the cells that were given their place.
    """

    name: str
    sizes: cells.Sizes
    synth: tuple[str, ...]
    constraints: str
    placer: tuple[str, ...]
    packer: tuple[str, ...]
    output: str
    bitstream: str
    resources: dict[str, str]
    tidy: Callable[[dict], int] = field(default=lambda module: 0)
    sites: Callable[[dict, str], int] = field(default=lambda netlist, device: 0)

    def count(self, found: dict[str, int], carries: int) -> Area:
        """Area of a cell count."""
        return count_cells(self.sizes, found, carries=carries)


#: Wide multiplexers (PFUMX, L6MUX21) tie LUTs together; adders and multiplexers are smaller without them. abc9 can give two
#: wires one name where buses remain (yosys issue 4349).
ECP5 = Family(
    "ecp5",
    cells.ECP5,
    (
        *_smallest(PERIOD),
        "synth_ecp5 -nowidelut -top {top} -run :map_luts",
        "splitnets",
        "synth_ecp5 -nowidelut -top {top} -run map_luts:",
    ),
    "lpf",
    (
        "nextpnr-ecp5",
        *("--{device}", "--package", "{package}", "--speed", "{speed}", "--lpf", "{pins}"),
        *("--json", "{netlist}", "--textcfg", "{output}"),
    ),
    ("ecppack", "--compress", "{output}", "{bitstream}"),
    "config",
    "bit",
    {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "bram": "DP16KD"},
    tidy=tidy.ecp5,
    sites=sites.assign,
)

#: A tile of eight cells has one clock enable and one reset: those of few flip-flops become logic, so that tiles fill up.
_ICE40_FLIP_FLOPS = (
    "-cell $_DFF_?_ 0 -cell $_DFFE_?P_ 0 -cell $_DFF_?P?_ 0 -cell $_DFFE_?P?P_ 0 -cell $_SDFF_?P?_ 0"
    " -cell $_SDFFCE_?P?P_ 0 -cell $_DLATCH_?_ x"
)

ICE40 = Family(
    "ice40",
    cells.ICE40,
    # An UltraPlus is filled to the brim before it is fast.
    (
        *_smallest(60_000),
        "synth_ice40 -device u -dsp -top {top} -run :map_ffs",
        "simplemap",
        f"dfflegalize {_ICE40_FLIP_FLOPS} -mince 8 -minsrst 8",
        "techmap -map +/ice40/ff_map.v",
        "opt_expr -mux_undef",
        "simplemap",
        "ice40_opt -full",
        "synth_ice40 -device u -dsp -top {top} -run map_luts:",
    ),
    "pcf",
    (
        "nextpnr-ice40",
        *("--{device}", "--package", "{package}", "--pcf", "{pins}"),
        *("--json", "{netlist}", "--asc", "{output}"),
    ),
    ("icepack", "{output}", "{bitstream}"),
    "asc",
    "bin",
    {"lut": "ICESTORM_LC", "dsp": "ICESTORM_DSP", "bram": "ICESTORM_RAM"},
)

GOWIN = Family(
    "gowin",
    cells.GOWIN,
    ("synth_gowin -family gw2a -noiopads -nowidelut -top {top}",),
    "cst",
    (
        "nextpnr-himbaechel",
        *("--device", "{device}", "--vopt", "family={chip}", "--vopt", "cst={pins}"),
        *("--json", "{netlist}", "--write", "{output}"),
    ),
    ("gowin_pack", "-d", "{chip}", "-o", "{bitstream}", "{output}"),
    "pnr.json",
    "fs",
    {"lut": "LUT4", "ff": "DFF", "dsp": "MULT9X9", "bram": "BSRAM"},
)
