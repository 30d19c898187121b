"""Synthesis figures: what is counted, what is cut, what the memories become, what --check says."""

import dataclasses
import json

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fpga import area as area_report
from fpga.area import Report, growth, over_limit, table
from fpga.cells import ECP5, Area, CellError, count_cells
from fpga.ecp5 import Ecp5
from fpga.netlist import modules, netlist, split
from fpga.synth import area, areas
from fpga.tidy import open_carries
from fpga.tools import ToolError
from lpu.arch import PRESETS
from lpu.isa import queue_names
from rtl.multiply import Multiply8
from rtl.sram import RegisterFile, Sram


class Adder(wiring.Component):
    """Registered sum and difference of two bytes."""

    a: In(8)
    b: In(8)
    total: Out(8)
    difference: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.total.eq(self.a + self.b), self.difference.eq(self.a - self.b)]
        return m


class Pair(wiring.Component):
    """Two adders: all of one is used; of the other, b is zero and the difference open."""

    a: In(8)
    b: In(8)
    total: Out(8)
    difference: Out(8)
    copy: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.whole = whole = Adder()
        m.submodules.half = half = Adder()
        m.d.comb += [
            whole.a.eq(self.a),
            whole.b.eq(self.b),
            half.a.eq(self.a),
            self.total.eq(whole.total),
            self.difference.eq(whole.difference),
        ]
        m.d.sync += self.copy.eq(half.total)
        return m


def test_a_part_knows_what_is_tied_and_what_is_open():
    parts = areas(Pair(), name="pair")
    assert set(parts) == {"whole", "half", "(top)"}
    assert parts["whole"].ff == 16 and parts["whole"].carry >= 16
    assert parts["half"] == Area(ff=8)
    assert parts["(top)"] == Area(ff=8)


def test_parts_add_up_to_the_flat_netlist():
    flat = area(Pair(), name="pair")
    assert sum(areas(Pair(), name="pair").values(), Area()) == flat


def test_parts_are_found_in_the_netlist():
    text = netlist(Pair(), name="pair")
    assert set(modules(text)) == {"pair", "pair.whole", "pair.half"}
    assert [part.name for part in split(text, "pair")] == ["half", "whole", "(top)"]


def test_sram_is_block_ram_and_nothing_else():
    assert area(Sram(depth=512, width=32, granularity=8), name="sram") == Area(bram=1)


def test_register_file_is_lut_ram():
    found = area(RegisterFile(depth=16, width=32), name="registers")
    assert (found.lutram, found.ff, found.bram) == (8 * 6, 0, 0)
    assert found.lut == found.lutram


def test_multipliers():
    dsp = area(Multiply8(), name="multiply", platform=Ecp5("85f", array_dsps=1))
    assert dsp == Area(dsp=1)
    chains = area(Multiply8(), name="multiply", platform=Ecp5("85f"))
    assert (chains.lut, chains.ff, chains.dsp) == (79, 32, 0)


def test_cells():
    cells = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 7, "MULT18X18D": 1, "DP16KD": 4}
    assert count_cells(ECP5, cells) == Area(lut=10 + 6 + 12, ff=7, dsp=1, bram=4, carry=6, lutram=12)
    assert count_cells(ECP5, {"CCU2C": 3}, carries=2) == Area(lut=10, carry=10)
    with pytest.raises(CellError, match="ALU54B"):
        count_cells(ECP5, {"ALU54B": 1})


def test_carries_that_do_nothing_are_opened():
    def cell(kind, init="0110", **connections):
        output = ("COUT", "S0", "Z")
        return {
            "type": kind,
            "parameters": {"INIT0": init.zfill(16)},
            "connections": {name: [bit] for name, bit in connections.items()},
            "port_directions": {name: "output" if name in output else "input" for name in connections},
        }

    def carry(first, c, into, out, *, init="0110", s0=30):
        return cell("CCU2C", init, A0=first, B0=20, C0=c, D0="0", CIN=into, S0=s0, COUT=out)

    module = {
        "ports": {"o": {"bits": [9, 31]}},
        "cells": {
            "constant in": carry(10, "0", "0", 1),
            "unread out": carry(10, "0", 1, 2),
            "start": carry(10, "1", "0", 3, init="1000"),
            "start that is read": carry(10, "1", "0", 11, init="1000", s0=31),
            "read in the middle": carry(10, "0", 3, 4),
            "reader": cell("LUT4", A=4, Z=5),
            "end": carry(10, "0", 4, 6),
            "from logic, to a port": carry(10, "0", 5, 9),
        },
    }
    for _ in range(2):
        assert open_carries(module) == 5
        opened = {
            (name, port)
            for name, c in module["cells"].items()
            for port, bits in c["connections"].items()
            if bits == ["x"]
        }
        assert opened == {
            ("unread out", "COUT"),
            ("start", "CIN"),
            ("start that is read", "COUT"),
            ("end", "COUT"),
        }


def test_failure_shows_the_end_of_the_log():
    class Unknown(wiring.Component):
        a: In(1)
        o: Out(1)

        def elaborate(self, platform):
            from amaranth.hdl import Instance

            m = Module()
            unused = Signal()
            m.submodules.cell = Instance("NO_SUCH_CELL", i_A=self.a, o_Z=self.o, o_Y=unused)
            return m

    with pytest.raises(ToolError, match="NO_SUCH_CELL"):
        area(Unknown(), name="unknown")


def a_report(lut=100, **parts):
    config = PRESETS["ecp5-85f"]
    names = [*config.slice_names, *(name.replace(".", "_") for name in queue_names(config)), "(top)"]
    every = {name: Area(lut=lut, ff=100) for name in names} | parts
    return Report("ecp5-85f", "85f", "Yosys 0", every)


def test_growth_is_reported_by_part_and_kind():
    old = a_report(lut=1000)
    assert growth(old, old) == []
    grown = dataclasses.replace(old.parts["mem0"], lut=1000 + 50 + area_report.NOISE)
    assert growth(old, a_report(lut=1000, mem0=grown)) == []
    grown = dataclasses.replace(grown, lut=grown.lut + 1, bram=1)
    assert growth(old, a_report(lut=1000, mem0=grown)) == [
        "ecp5-85f: mem0 has grown from 1000 to 1091 LUTs",
        "ecp5-85f: mem0 has grown from 0 to 1 BRAMs",
        "ecp5-85f: tile has grown from 0 to 1 BRAMs",
    ]


def test_limits():
    assert over_limit(a_report()) == []
    assert over_limit(a_report(mem0=Area(dsp=157))) == [
        "ecp5-85f: 100.6 % of the DSPs of an LFE5U-85F, limit 100 %"
    ]


def test_report_as_text():
    report = a_report()
    assert Report.from_json(report.to_json()) == report
    text = table(report)
    assert "| mem0 | 100 |" in text
    assert f"| {len(queue_names(PRESETS['ecp5-85f']))} queues |" in text


def test_check_fails_on_growth(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(area_report, "REPORTS", tmp_path)
    (tmp_path / "area-ecp5-85f.json").write_text(a_report(lut=1000).to_json())
    monkeypatch.setattr(area_report, "measure", lambda preset, progress: a_report(lut=1000))
    assert area_report.main(["ecp5-85f", "--check"]) == 0
    monkeypatch.setattr(area_report, "measure", lambda preset, progress: a_report(lut=1100))
    assert area_report.main(["ecp5-85f", "--check"]) == 1
    assert "mem0 has grown from 1000 to 1100 LUTs" in capsys.readouterr().out
    assert area_report.main(["ecp5-85f", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["preset"] == "ecp5-85f"
