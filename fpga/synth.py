"""Synthesis for ECP5, and what it comes to: LUTs, flip-flops, multipliers, block RAMs.

Every part of a design is synthesised on its own and kept under ``build/synth`` by the hash of its netlist, so a change
costs only the slices it touches.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields

from fpga.netlist import Part, netlist, split
from fpga.yosys import CACHE, SynthesisError, run_yosys

#: Wide multiplexers (PFUMX, L6MUX21) tie LUTs together; adders and multiplexers are smaller without them.
OPTIONS = "-nowidelut"


@dataclass(frozen=True)
class Area:
    """What a netlist occupies.

    ``lut``: LUT4 places: logic LUTs, 2 for a CCU2C carry cell, 6 for a DPR16X4 (four hold the bits, two are
    blocked by the write port). Of these ``carry`` is the CCU2Cs' share and ``lutram`` the DPR16X4s'. ``ff``:
    flip-flops; ``dsp``: MULT18X18D; ``bram``: DP16KD.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    carry: int = 0
    lutram: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def of_cells(cls, cells: dict[str, int]) -> Area:
        """From a yosys cell count. Raises SynthesisError for an unknown cell, which would go uncounted."""
        logic = carry = lutram = ff = dsp = bram = 0
        for kind, count in cells.items():
            if kind == "LUT4":
                logic += count
            elif kind == "CCU2C":
                carry += 2 * count
            elif kind == "TRELLIS_DPR16X4":
                lutram += 6 * count
            elif kind == "TRELLIS_FF":
                ff += count
            elif kind == "MULT18X18D":
                dsp += count
            elif kind in ("DP16KD", "PDPW16KD"):
                bram += count
            elif kind not in ("PFUMX", "L6MUX21", "$scopeinfo", "GSR", "EHXPLLL"):
                raise SynthesisError(f"area of cell {kind} is not known: add it to fpga.synth.Area.of_cells")
        return cls(logic + carry + lutram, ff, dsp, bram, carry, lutram)


def script(part: Part, stem: str, *, options: str = OPTIONS) -> str:
    """The yosys script for a part whose netlist is ``stem``.il."""
    return "\n".join(
        (
            f"read_rtlil {stem}.il",
            f"synth_ecp5 {options} -top {part.top} -run :map_luts",
            # abc9 can give two wires one name where buses remain (yosys issue 4349).
            "splitnets",
            f"synth_ecp5 {options} -top {part.top} -run map_luts:",
            f"tee -q -o {stem}.json stat -json",
            "",
        )
    )


def synthesise(part: Part, *, options: str = OPTIONS) -> Area:
    """Area of one part. Cached by netlist, options and yosys version."""
    stem = part.stem(options)
    report = CACHE / f"{stem}.json"
    if not report.exists():
        part.write(stem)
        run_yosys(script(part, stem, options=options), name=stem)
        (CACHE / f"{stem}.il").unlink(missing_ok=True)
    cells = json.loads(report.read_text())["modules"]["\\" + part.top]["num_cells_by_type"]
    return Area.of_cells({kind: n for kind, n in cells.items() if kind.removeprefix("\\") not in part.black})


def area(component, *, name: str, platform=None, options: str = OPTIONS) -> Area:
    """Area of a whole component, flattened."""
    text = netlist(component, name=name, platform=platform)
    return synthesise(Part(name, name, text), options=options)


def areas(
    component,
    *,
    name: str,
    platform=None,
    options: str = OPTIONS,
    progress: Callable[[str], None] = lambda part: None,
) -> dict[str, Area]:
    """Area of each direct submodule, and of the component's own logic as ``(top)``.

    ``progress`` is called with the name of each part before it is synthesised.
    """
    result = {}
    for part in split(netlist(component, name=name, platform=platform), name):
        progress(part.name)
        result[part.name] = synthesise(part, options=options)
    return result
