"""From a board to its bitstream, on a tile small enough for every test run; reports, tables and what a check says of them."""

import dataclasses
import json
from dataclasses import asdict

import pytest

from fpga import report
from fpga.boards import BOARDS, BoardError, board_of
from fpga.build import Build, Placement
from fpga.cells import Area
from fpga.families import ECP5
from fpga.report import BEGIN, END, README, grown, recorded, slower, table, with_seeds_of, with_table
from fpga.sites import assign
from fpga.timing import critical_path, fmax, routing_stuck, unit
from fpga.tools import ToolError, ToolStuck, run_tool
from tests.test_cli import refused

SMALL = dataclasses.replace(BOARDS["ulx3s-25f"], config="matrix4", seeds=(1,))


def test_a_small_tile_becomes_a_bitstream(tmp_path):
    """Mapping, placing, routing and packing; then nothing is done again."""
    told = []
    found = Build(SMALL, root=tmp_path, tell=told.append).run()
    assert {"elaborating", "placing and routing, seed 1", "packing"} <= set(told)
    assert found["config"] == "matrix4" and found["meets_clock"]
    assert found["fmax_mhz"] == found["seeds"][0]["fmax_mhz"] >= 75
    assert found["dsp"] == {"used": 16, "capacity": 28}
    assert found["lut"]["used"] < 0.3 * found["lut"]["capacity"]
    assert {"host", "tile.mxm0", "tile.mxm0_passes"} <= set(found["parts"])
    # What is placed is what was counted, but for a few cells of pins and clock.
    assert abs(sum(part["lut"] for part in found["parts"].values()) - found["lut"]["used"]) < 60
    assert found["critical_path"] and found["critical_path"][0]["unit"] != "board"
    assert (tmp_path / "ulx3s-25f" / found["bitstream"]).stat().st_size > 50_000
    # The names that sites are given by are those of the RTL.
    placed = json.loads((tmp_path / "ulx3s-25f" / "board.json").read_text())
    assert assign(placed, "85k") == 16 + found["bram"]["used"] - found["parts"]["host"]["bram"]
    told.clear()
    assert Build(SMALL, root=tmp_path, tell=told.append).run() == found
    assert [t for t in told if not t.startswith("mapping")] == []


def test_what_does_not_fit_is_an_error(tmp_path):
    """The tool's own words, and where its log is."""
    build = Build(SMALL, root=tmp_path)
    none = {"ports": {}, "cells": {}, "netnames": {}, "attributes": {"top": "1"}}
    none["cells"] = {
        f"m{n}": {
            "type": "MULT18X18D",
            "parameters": {},
            "port_directions": {"CLK0": "input"},
            "connections": {"CLK0": ["0"]},
        }
        for n in range(29)
    }
    (build.folder / "board.json").write_text(json.dumps({"modules": {"board": none}}))
    build.pins.write_text("")
    with pytest.raises(ToolError, match=r"nextpnr-ecp5 failed \(log .*nextpnr-1.log\)"):
        build.place(1)


def routed(waiting):
    """What nextpnr's router1 says, a line for each number of wires that wait."""
    return "".join(
        f"Info: {1000 * n:10} | {16 * n:8} {14 * n:10} | {189:4}  {811:4} | {left:9}|  {1.25:9.2f} {2.5 * n:10.2f}|\n"
        for n, left in enumerate(waiting, 1)
    )


def test_a_router_without_progress_is_noticed():
    assert not routing_stuck("") and not routing_stuck(routed([7] * 99))
    assert routing_stuck(routed([*range(500, 7, -1), *[7] * 100]))
    assert not routing_stuck(routed([*[7] * 50, 8, *[7] * 60]))


def test_a_seed_that_cannot_be_routed_is_left_out(tmp_path, monkeypatch):
    """The others count; it is not tried again; with no other it is an error."""
    tries = []

    def stuck_once(tool, arguments, folder, log, **options):
        if tool.startswith("nextpnr") and "--seed 7" in " ".join(arguments):
            tries.append(log)
            raise ToolStuck("nextpnr-ecp5 makes no progress; try another seed")
        return run_tool(tool, arguments, folder, log, **options)

    monkeypatch.setattr("fpga.build.run_tool", stuck_once)
    netlist = {"modules": {"board": {"attributes": {"top": "1"}, "ports": {}, "cells": {}, "netnames": {}}}}

    def build(*seeds):
        made = Build(dataclasses.replace(SMALL, seeds=seeds), root=tmp_path)
        (made.folder / "board.json").write_text(json.dumps(netlist))
        made.pins.write_text("")
        return made

    for _ in range(2):
        with pytest.raises(ToolStuck, match="try another seed"):
            build(7).place(7)
    assert tries == ["nextpnr-7.log"]
    monkeypatch.setattr(Build, "map", lambda self: {})
    with pytest.raises(ToolStuck):
        build(7).run()
    place = Build.place
    other = Placement(8, 90.0, 1.0, 1, [], {"lut": [1, 2], "ff": [1, 2], "dsp": [0, 0], "bram": [0, 0]})
    monkeypatch.setattr(Build, "place", lambda self, seed: place(self, seed) if seed == 7 else other)
    monkeypatch.setattr(Build, "pack", lambda self, seed: tmp_path / f"of-{seed}.bit")
    found = build(7, 8).run()
    assert found["seeds_not_routed"] == [7] and [s["seed"] for s in found["seeds"]] == [8]
    assert found["bitstream"] == "of-8.bit" and found["fmax_mhz"] == 90


def test_a_tool_that_is_stuck_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("fpga.tools.command", lambda tool: ("sh", "-c", "echo waiting; sleep 600"))
    monkeypatch.setattr("fpga.tools.POLL", 0.05)
    with pytest.raises(ToolStuck, match=r"makes no progress \(log .*log\); try another seed"):
        run_tool("nextpnr-ecp5", [], tmp_path, "log", stuck=lambda said: "waiting" in said)


def test_unknown_boards(capsys):
    with pytest.raises(BoardError, match="no board 'ulx4s': use ulx3s-25f, tangprimer20k"):
        board_of("ulx4s")
    assert "no board 'ulx4s'" in refused(capsys, "build", "ulx4s")
    assert "leave out --clock" in refused(capsys, "build", "ulx3s-25f", "--record", "--clock", 50)


def test_units_of_cells():
    assert unit("core.tile.mxm0.unit.array.row3.multiply1") == "tile.mxm0"
    assert unit("core.host.unit.link.fsm_state[0]") == "host"
    assert unit("core.tile.start_TRELLIS_FF_Q") == "tile"
    assert unit("glow0[3]") == "board"


def a_path(*steps):
    return [{"delay": d, "type": t, "to": {"cell": c}} for d, t, c in steps]


def test_the_slowest_path_by_unit():
    steps = a_path(
        (0.5, "clk-to-q", "core.tile.port.unit.a"),
        (1.5, "routing", "core.tile.host0.unit.b"),
        (0.25, "logic", "core.tile.host0.unit.b"),
        (1.0, "routing", "core.tile.host0.unit.c"),
        (0.0, "setup", "core.tile.host0.unit.c"),
    )
    short = a_path((0.5, "clk-to-q", "core.tile.mem0.unit.a"), (0.5, "routing", "core.tile.mem0.unit.b"))
    outside = a_path((50.0, "routing", "core.tile.mem0.unit.a"))
    clock = "posedge $glbnet$clk"
    report = {
        "fmax": {"$glbnet$clk": {"achieved": 61.238, "constraint": 60}},
        "critical_paths": [
            {"from": clock, "to": clock, "path": short},
            {"from": clock, "to": clock, "path": steps},
            {"from": "<async>", "to": clock, "path": outside},
        ],
    }
    assert fmax(report) == 61.24
    assert critical_path(report) == [
        {"unit": "tile.port", "logic_ns": 0.5, "wires_ns": 0.0},
        {"unit": "tile.host0", "logic_ns": 0.25, "wires_ns": 2.5},
    ]
    with pytest.raises(ValueError, match="reports no clock of the tile, only none"):
        fmax({"fmax": {}})


def test_growth_and_slowing_are_told_with_the_unit():
    old = {"tile.mem0": asdict(Area(lut=1000, bram=16)), "host": asdict(Area(lut=900))}
    assert grown("b", old, old) == []
    new = old | {"tile.mem0": asdict(Area(lut=1091, bram=16))}
    assert grown("b", old, new) == ["b: tile.mem0 has grown from 1000 to 1091 LUTs"]
    assert grown("b", old, old | {"extra": asdict(Area(dsp=1))}) == [
        "b: extra has grown from 0 to 1 DSPs",
        "b: all of it has grown from 0 to 1 DSPs",
    ]
    path = [{"unit": "tile.vxm0"}, {"unit": "tile.mxm0"}, {"unit": "tile.vxm0"}]
    fast, slow = ({"fmax_mhz": mhz, "critical_path": path} for mhz in (60.0, 56.9))
    assert slower("b", fast, fast) == slower("b", fast, {"fmax_mhz": 57.0, "critical_path": path}) == []
    assert slower("b", fast, slow) == [
        "b: Fmax has fallen from 60.0 to 56.9 MHz; the slowest path is in tile.vxm0, tile.mxm0"
    ]


def test_the_readme_has_the_table_of_the_recorded_reports():
    readme = README.read_text()
    assert with_table(readme, table(recorded())) == readme
    with pytest.raises(ValueError, match="the README has no lines"):
        with_table("nothing", "")
    assert readme.index(BEGIN) < readme.index(END)


def test_a_record_keeps_the_seeds_of_the_same_netlist():
    """Those built before, here or elsewhere; of another netlist, clock or tool nothing is kept."""

    def of(*seeds, given_up=(), **changes):
        best = max(mhz for _, mhz in seeds)
        placed = [{"seed": seed, "fmax_mhz": mhz} for seed, mhz in seeds]
        path = [{"unit": f"path of {best}"}]
        return {
            **{"netlist": "n", "clock_mhz": 60, "tools": ["t"], "cycles_per_token": 1},
            **{"seeds": placed, "seeds_not_routed": list(given_up), "fmax_mhz": 0.0},
            **{"critical_path": path, "meets_clock": best >= 60},
            **changes,
        }

    old = of((3, 70.0), (1, 50.0), given_up=(2, 4), cycles_per_token=2)
    found = with_seeds_of(old, of((1, 52.0), (2, 58.0)))
    assert found["seeds"] == [
        {"seed": seed, "fmax_mhz": mhz} for seed, mhz in ((1, 52.0), (2, 58.0), (3, 70.0))
    ]
    assert found["fmax_mhz"] == 58 and found["meets_clock"] and found["seeds_not_routed"] == [4]
    assert found["critical_path"] == [{"unit": "path of 70.0"}] and found["cycles_per_token"] == 1
    for changes in ({"netlist": "m"}, {"clock_mhz": 50}, {"tools": ["u"]}):
        new = of((2, 58.0), **changes)
        assert with_seeds_of(old, new) == new
    assert with_seeds_of(None, old) == old


def test_check_compares_with_what_is_recorded(monkeypatch, tmp_path):
    """Of a part that was smaller when recorded, and of a build that was faster."""
    recorded_report = {
        "board": "ulx3s-25f",
        "parts": {"tile.mem0": asdict(Area(lut=100)), "host": asdict(Area(lut=900))},
        "fmax_mhz": 80.0,
    }
    now = {"tile.mem0": asdict(Area(lut=200)), "host": asdict(Area(lut=900))}

    class Stub:
        folder = tmp_path

        def __init__(self, board, *, tell):
            assert board.family is ECP5

        def map(self):
            @dataclasses.dataclass
            class Part:
                area: Area

            return {f"core.{name}": Part(Area(**area)) for name, area in now.items()}

    monkeypatch.setattr(report, "Build", Stub)
    fresh = {"parts": now, "fmax_mhz": 70.0, "critical_path": [{"unit": "host"}]}
    (tmp_path / "report.json").write_text(json.dumps(fresh))
    assert report.check(recorded_report) == [
        "ulx3s-25f: tile.mem0 has grown from 100 to 200 LUTs",
        "ulx3s-25f: all of it has grown from 1000 to 1100 LUTs",
        "ulx3s-25f: Fmax has fallen from 80.0 to 70.0 MHz; the slowest path is in host",
    ]
