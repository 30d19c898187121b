"""Synthesis part by part, and what each part comes to: LUTs, flip-flops, multipliers, block RAMs.

Every part of a design is mapped on its own and kept under ``build/synth`` by the hash of its netlist, so a change
costs only the slices it touches.
"""

from __future__ import annotations

import gzip
import inspect
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fpga import cells, tidy
from fpga.cells import Area
from fpga.families import ECP5, Family
from fpga.netlist import Part, netlist, split
from fpga.tools import Run
from fpga.yosys import CACHE, run_yosys


def script(part: Part, stem: str, family: Family) -> str:
    """The yosys script for a part whose netlist is ``stem``.il."""
    return "\n".join(
        (
            f"read_rtlil {stem}.il",
            *(command.format(top=part.top) for command in family.synth),
            f"write_json {stem}.mapped",
            "",
        )
    )


#: What nextpnr needs of a mapped netlist. The rest, source lines above all, is most of its size.
_KEPT = ("type", "parameters", "port_directions", "connections")


@dataclass(frozen=True)
class Mapped:
    """A part in cells of a family: its netlist, a compressed yosys JSON of one module; its area; what yosys took for it."""

    path: Path
    area: Area
    run: Run


def mapped(part: Part, family: Family = ECP5) -> Mapped:
    """Maps a part. Cached by netlist, script and yosys version."""
    # What came about otherwise does not count.
    making = (script(part, "", family), *map(inspect.getsource, (cells, tidy, mapped)))
    stem = part.stem("".join(making))
    path, about = CACHE / f"{stem}.json.gz", CACHE / f"{stem}.about"
    if not about.exists():
        part.write(stem)
        run = run_yosys(script(part, stem, family), name=stem)
        files = {kind: CACHE / f"{stem}.{kind}" for kind in ("il", "mapped")}
        module = json.loads(files["mapped"].read_text())["modules"][part.top]
        carries = family.tidy(module)
        found = Counter(cell["type"] for cell in module["cells"].values() if cell["type"] not in part.black)
        area = family.count(found, carries)
        lean = {
            "ports": module["ports"],
            "cells": {name: {key: cell[key] for key in _KEPT} for name, cell in module["cells"].items()},
            "netnames": {
                name: {"hide_name": 0, "bits": net["bits"]}
                for name, net in module["netnames"].items()
                if not net["hide_name"]
            },
        }
        with gzip.open(path, "wt", compresslevel=1) as file:
            json.dump(lean, file)
        about.write_text(json.dumps({"area": asdict(area), "run": asdict(run)}))
        for file in files.values():
            file.unlink()
    known = json.loads(about.read_text())
    return Mapped(path, Area(**known["area"]), Run(**known["run"]))


def area(component, *, name: str, platform=None, family: Family = ECP5) -> Area:
    """Area of a whole component, flattened."""
    return mapped(Part(name, name, netlist(component, name=name, platform=platform)), family).area


def areas(
    component,
    *,
    name: str,
    platform=None,
    family: Family = ECP5,
    progress: Callable[[str], None] = lambda part: None,
) -> dict[str, Area]:
    """Area of each direct submodule, and of the component's own logic as ``(top)``.

    ``progress`` is called with the name of each part before it is synthesised.
    """
    result = {}
    for part in split(netlist(component, name=name, platform=platform), name):
        progress(part.name)
        result[part.name] = mapped(part, family).area
    return result
