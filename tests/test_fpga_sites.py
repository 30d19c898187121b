"""Sites of hard blocks: each its own, where nextpnr knows one, and data goes from neighbour to neighbour."""

import itertools
import json
import re

import pytest

from fpga.families import ECP5
from fpga.sites import assign
from fpga.tools import run_tool

#: Block RAMs of each queue.
QUEUES = {"host0_port": 2, "mem0_read": 2, "mxm0_passes": 3, "mxm0_weights": 3, "vxm0_chain": 3}


def blocks(lanes=4):
    """A netlist of nothing but the hard blocks of a tile with 16 rows, named as joined netlists name them."""
    names: dict[str, dict[str, str]] = {"mxm0": {}, "vxm0": {}, "mem0": {}, "mem1": {}}
    for row in range(16):
        for pair in range(0, 16, 2):
            for one in ("0", "1") if pair == 14 else ("",):
                names["mxm0"][f"unit.array.row{row}.multiply{pair}.multiply{one}.dsp"] = "MULT18X18D"
        for group in range(4):
            for part in range(2):
                names["mxm0"][f"unit.array.row{row}.weights{group}.array.0.{part}"] = "DP16KD"
    for lane in range(lanes):
        for unit in ("multiply", "multiply2", "special"):
            names["vxm0"][f"unit.lane{lane}.{unit}.product$21.dsp"] = "MULT18X18D"
        names["vxm0"][f"unit.lane{lane}.special.table.0.0"] = "DP16KD"
    for lane in range(16):
        for mem in ("mem0", "mem1"):
            names[mem][f"unit.lane{lane}.array.0.0"] = "DP16KD"
    for queue, words in QUEUES.items():
        names[queue] = {f"unit.memory.part{n}.0.0": "DP16KD" for n in range(words)}
    modules = {}
    for part, cells in names.items():
        modules[f"board.core.tile.{part}.mapped"] = {
            "ports": {"clk": {"direction": "input", "bits": [2]}},
            "cells": {
                name: {
                    "type": kind,
                    "parameters": {},
                    "port_directions": {clock: "input"},
                    "connections": {clock: [2]},
                }
                for name, kind in cells.items()
                for clock in [{"MULT18X18D": "CLK0", "DP16KD": "CLKA"}[kind]]
            },
            "netnames": {},
        }
    return {"modules": modules}


def places(netlist):
    """Name of a cell -> column, row, name of its site."""
    found = {}
    for module, content in netlist["modules"].items():
        for name, cell in content["cells"].items():
            if "BEL" in cell.get("attributes", {}):
                x, y, site = re.fullmatch(r"X(\d+)/Y(\d+)/(\w+)", cell["attributes"]["BEL"]).groups()
                found[f"{module}/{name}"] = (int(x), int(y), site)
    return found


def test_every_block_has_a_site_of_its_own():
    netlist = blocks()
    assert assign(netlist, "85k") == 144 + 128 + 12 + 4 + 32 + 13
    sites = places(netlist)
    assert len(sites) == len(set(sites.values())) == 333


def test_data_goes_from_neighbour_to_neighbour():
    netlist = blocks()
    assign(netlist, "85k")
    sites = places(netlist)

    def of(pattern):
        return [site for name, site in sites.items() if re.search(pattern, name)]

    def order(found):
        """Sites by the numbers in the cells' names."""
        return [sites[n] for n in sorted(found, key=lambda n: [int(d) for d in re.findall(r"\d+", n)])]

    rows = [order(n for n in sites if f".row{row}.multiply" in n) for row in range(16)]
    for above, row in itertools.pairwise(rows):
        assert len(row) == 9
        # Sums stay in their row of the device and move by less than a group of four.
        assert all(a[1] == b[1] and 0 < a[0] - b[0] <= 9 + 2 for a, b in zip(above, row, strict=True))
    away = []
    for number, row in enumerate(rows):
        weights = order(n for n in sites if f".row{number}.weights" in n)
        assert len(weights) == 8
        away += [min(abs(x - a) + abs(y - 12 - b) for a, b, _ in row) for x, y, _ in weights]
    assert sum(away) / len(away) <= 6
    assert {x for x, _, _ in of(r"vxm0.*dsp")} == {114, 115, 118, 119}
    for memory in ("mem0", "mem1"):
        strip = of(rf"{memory}\.mapped/unit\.lane")
        assert len({x for x, _, _ in strip}) == len({y for _, y, _ in strip}) == 4
        # Words of one vector lane lie in one row.
        for lane in range(4):
            assert len({y for n in range(lane, 16, 4) for _, y, _ in of(rf"{memory}.*lane{n}\.")}) == 1
    for queue, words in QUEUES.items():
        columns = [x for x, _, _ in of(f"{queue}.mapped")]
        assert len(columns) == words and max(columns) - min(columns) <= 18


def test_nextpnr_has_these_sites(tmp_path):
    netlist = blocks()
    assign(netlist, "85k")
    expected = set(places(netlist).values())
    top = {"attributes": {"top": "1"}, "ports": {}, "cells": {}, "netnames": {}}
    top["ports"]["clk"] = {"direction": "input", "bits": [2]}
    for module in netlist["modules"]:
        top["cells"][module.split(".")[3]] = {
            "type": module,
            "parameters": {},
            "port_directions": {"clk": "input"},
            "connections": {"clk": [2]},
        }
    netlist["modules"]["board"] = top
    (tmp_path / "board.json").write_text(json.dumps(netlist))
    tool = ECP5.placer[0]
    options = (
        "--85k --package CABGA381 --lpf-allow-unconstrained --no-route --json board.json --write placed.json"
    )
    run_tool(tool, options.split(), tmp_path, "log")
    placed = json.loads((tmp_path / "placed.json").read_text())
    cells = [c for m in placed["modules"].values() for c in m["cells"].values()]
    bels = {c["attributes"]["NEXTPNR_BEL"] for c in cells if c["type"] in ("MULT18X18D", "DP16KD")}
    assert bels == {f"X{x}/Y{y}/{site}" for x, y, site in expected}


def test_what_is_left_alone():
    """Other devices, and tiles of two arrays."""
    netlist = blocks()
    assert assign(netlist, "25k") == 0 and places(netlist) == {}
    netlist["modules"]["board.core.tile.mxm1.mapped"] = netlist["modules"]["board.core.tile.mxm0.mapped"]
    assert assign(netlist, "85k") == 0 and places(netlist) == {}


def test_other_names_are_noticed():
    netlist = blocks()
    cells = netlist["modules"]["board.core.tile.mxm0.mapped"]["cells"]
    for name in [n for n in cells if ".weights" in n]:
        cells[name.replace("weights", "memory")] = cells.pop(name)
    with pytest.raises(ValueError, match=r"array rows .* have multipliers, \[\] weights: names differ"):
        assign(netlist, "85k")
