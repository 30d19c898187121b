"""The netlist that is placed, on models of the FPGA's cells, against the golden model: mapping, primitives and joining."""

import pytest

from fpga.ecp5 import Ecp5
from fpga.families import ECP5, ICE40
from fpga.ice40 import Ice40
from fpga.models import netlist_verilog
from lpu.arch import PRESETS
from rtl.tile import Tile
from tb.fastsim import Simulation
from tb.regress import run_seeds

TINY = PRESETS["tiny"]
FAMILIES = {
    # Of eight pairs two have two DSPs, two have one, four have none: told of four pairs, it has nothing left for the others.
    "ecp5": (ECP5, lambda: Ecp5("85f", array_dsps=6, array_pairs=4)),
    "ice40": (ICE40, lambda: Ice40(macs=5)),
}


@pytest.mark.parametrize("name", ["ecp5", pytest.param("ice40", marks=pytest.mark.slow)])
def test_netlist_runs_programs(name):
    family, platform = FAMILIES[name]
    verilog = netlist_verilog(Tile(TINY), family, platform())
    with Simulation(verilog, f"netlist-{name}") as simulation:
        for kind, seeds in (("legal", range(24)), ("illegal", range(8))):
            failures, _ = run_seeds(TINY, kind, seeds, simulation.again)
            assert failures == []
