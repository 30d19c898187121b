"""What cells of each FPGA family occupy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields


class CellError(ValueError):
    """A cell that nobody has said the size of."""


@dataclass(frozen=True)
class Area:
    """What a netlist occupies.

    ``lut``: places for a LUT4 as nextpnr takes them, of which ``carry`` are carry chains and ``lutram`` small memories; ``ff``:
    flip-flops; ``dsp``: multipliers; ``bram``: block RAMs.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    carry: int = 0
    lutram: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


#: Cell -> kind of resource and how many of it. "lut", "ff" ... are fields of Area; carry and lutram count as LUTs as well.
Sizes = dict[str, tuple[str, int]]

#: A carry cell takes the places of two LUTs, a 16 x 4 LUT RAM those of six: four hold the bits, the write port blocks two.
ECP5: Sizes = {
    "LUT4": ("lut", 1),
    "CCU2C": ("carry", 2),
    "TRELLIS_DPR16X4": ("lutram", 6),
    "TRELLIS_FF": ("ff", 1),
    "MULT18X18D": ("dsp", 1),
    "DP16KD": ("bram", 1),
    "PDPW16KD": ("bram", 1),
    **dict.fromkeys(("PFUMX", "L6MUX21", "$scopeinfo", "GSR", "EHXPLLL", "TRELLIS_IO"), ("", 0)),
}
#: A carry cell belongs to the LUT behind it.
ICE40: Sizes = {
    "SB_LUT4": ("lut", 1),
    "SB_MAC16": ("dsp", 1),
    "SB_RAM40_4K": ("bram", 1),
    **{
        f"SB_DFF{n}{e}{k}": ("ff", 1)
        for n in ("", "N")
        for e in ("", "E")
        for k in ("", "SR", "R", "SS", "S")
    },
    **dict.fromkeys(("SB_CARRY", "$scopeinfo", "SB_IO", "SB_GB_IO", "SB_GB", "SB_PLL40_PAD"), ("", 0)),
}
#: A multiplier of 18 bits takes the place of two of 9; these are what is counted.
GOWIN: Sizes = {
    **{f"LUT{n}": ("lut", 1) for n in range(1, 5)},
    "ALU": ("carry", 1),
    "RAM16SDP4": ("lutram", 8),
    "RAM16SDP2": ("lutram", 8),
    "RAM16SDP1": ("lutram", 8),
    "MULT9X9": ("dsp", 1),
    "MULT18X18": ("dsp", 2),
    **dict.fromkeys(("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9"), ("bram", 1)),
    **{f"DFF{n}{k}{e}": ("ff", 1) for n in ("", "N") for k in ("", "R", "S", "C", "P") for e in ("", "E")},
    **dict.fromkeys(("MUX2_LUT5", "MUX2_LUT6", "MUX2_LUT7", "MUX2_LUT8", "$scopeinfo"), ("", 0)),
    **dict.fromkeys(("GND", "VCC", "GSR", "IBUF", "OBUF", "TBUF", "rPLL"), ("", 0)),
}


def count_cells(sizes: Sizes, cells: dict[str, int], *, carries: int = 0) -> Area:
    """Area of a yosys cell count; ``carries``: carries that enter or leave chains and cost a carry cell each (ECP5).

    Raises CellError for an unknown cell, which would go uncounted.
    """
    found: Counter[str] = Counter(carry=2 * carries)
    for kind, number in cells.items():
        if kind not in sizes:
            raise CellError(f"area of cell {kind} is not known: add it to fpga/cells.py")
        resource, each = sizes[kind]
        found[resource] += each * number
    del found[""]
    found["lut"] += found["carry"] + found["lutram"]
    return Area(**found)
