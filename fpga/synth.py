"""Synthesis for ECP5, and what it comes to: LUTs, flip-flops, multipliers, block RAMs.

Every part of a design is synthesised on its own and kept under ``build/synth`` by the hash of its netlist, so a change
costs only the slices it touches.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from fpga.netlist import Part, netlist, split
from fpga.yosys import CACHE, SynthesisError, run_yosys

#: Wide multiplexers (PFUMX, L6MUX21) tie LUTs together; adders and multiplexers are smaller without them.
OPTIONS = "-nowidelut"
#: ABC maps for the smallest area that keeps every path under this many picoseconds before routing: 75 MHz. Left to itself it
#: spends LUTs on paths that are not critical. Its script of three rounds saves as much again.
PERIOD = 13_000


@dataclass(frozen=True)
class Area:
    """What a netlist occupies.

    ``lut``: LUT4 places as nextpnr takes them: logic LUTs, 2 for a CCU2C carry cell and for each carry that enters or
    leaves a chain, 6 for a DPR16X4 (four hold the bits, two are blocked by the write port). Of these ``carry`` is
    the chains' share and ``lutram`` the DPR16X4s'. ``ff``: flip-flops; ``dsp``: MULT18X18D; ``bram``: DP16KD.
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
    def of_cells(cls, cells: dict[str, int], *, carries: int = 0) -> Area:
        """From a yosys cell count and a number of carries in or out of chains.

        Raises SynthesisError for an unknown cell, which would go uncounted.
        """
        logic = lutram = ff = dsp = bram = 0
        carry = 2 * carries
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
            f"scratchpad -set abc9.D {PERIOD}",
            "scratchpad -copy abc9.script.flow3 abc9.script",
            f"read_rtlil {stem}.il",
            f"synth_ecp5 {options} -top {part.top} -run :map_luts",
            # abc9 can give two wires one name where buses remain (yosys issue 4349).
            "splitnets",
            f"synth_ecp5 {options} -top {part.top} -run map_luts:",
            f"tee -q -o {stem}.cells stat -json",
            f"write_json {stem}.mapped",
            "",
        )
    )


def open_carries(module: dict) -> int:
    """Opens the carry inputs and outputs that do nothing in a mapped module (of a yosys JSON).

    nextpnr spends a CCU2C on every carry that enters a chain, constants included, or leaves it, even to nowhere. Returns
    how many are left.
    """
    chains = [cell for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    readers = Counter(bit for port in module["ports"].values() for bit in port["bits"])
    for cell in module["cells"].values():
        for name, bits in cell["connections"].items():
            if cell["port_directions"][name] != "output" and not (cell["type"] == "CCU2C" and name == "CIN"):
                readers.update(bits)
    inputs = {bit for cell in chains for bit in cell["connections"]["CIN"]}
    outputs = {bit for cell in chains for bit in cell["connections"]["COUT"]}
    left = 0
    for cell in chains:
        ports = cell["connections"]
        if _ignores_carry(cell) and not readers[ports["S0"][0]]:
            ports["CIN"] = ["x"]
        left += ports["CIN"] != ["x"] and ports["CIN"][0] not in outputs
        out = ports["COUT"][0]
        if out not in inputs and not readers[out]:
            ports["COUT"] = ["x"]
        left += readers[out] > 0
    return left


def _ignores_carry(cell: dict) -> bool:
    """Whether the first LUT of a CCU2C is 0 for all values of its inputs that are not constant, so that none propagates."""
    init = int(cell["parameters"]["INIT0"], 2)
    bits = [cell["connections"][f"{port}0"][0] for port in "ABCD"]
    possible = (n for n in range(16) if all(b != str(1 - (n >> k & 1)) for k, b in enumerate(bits)))
    return not any(init >> n & 1 for n in possible)


#: How figures come about; a cached one that came about otherwise does not count.
_COUNTING = "".join(map(inspect.getsource, (Area, script, open_carries, _ignores_carry)))


def synthesise(part: Part, *, options: str = OPTIONS) -> Area:
    """Area of one part. Cached by netlist, options and yosys version."""
    stem = part.stem(options + _COUNTING)
    result = CACHE / f"{stem}.area"
    if not result.exists():
        part.write(stem)
        run_yosys(script(part, stem, options=options), name=stem)
        files = {kind: CACHE / f"{stem}.{kind}" for kind in ("il", "cells", "mapped")}
        cells = json.loads(files["cells"].read_text())["modules"]["\\" + part.top]["num_cells_by_type"]
        cells = {kind: n for kind, n in cells.items() if kind.removeprefix("\\") not in part.black}
        carries = open_carries(json.loads(files["mapped"].read_text())["modules"][part.top])
        result.write_text(json.dumps(asdict(Area.of_cells(cells, carries=carries))))
        for file in files.values():
            file.unlink()
    return Area(**json.loads(result.read_text()))


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
