"""Deliberate faults in the RTL, and proof that random programs find each: ``python -m tb.faults``.

The design is built once, from a copy of its sources in which every fault of :data:`FAULTS` is written in beside the
correct logic, chosen by a number that the simulation reads from its environment when it starts. Number 0 is the correct
design and must pass all the seeds that the others are tried on. A fault that no seed of its range catches survives,
and the command fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lpu.arch import TileConfig, load_config
from tb.fastsim import Simulation
from tb.faultlist import FAULTS, Fault
from tb.regress import Factory, Failure, run_seeds

ROOT = Path(__file__).resolve().parent.parent
#: Environment variable with the number of the fault.
CHOICE = "LPU_FAULT"
_MODULE = '''"""The number of the fault that the simulation has."""

from amaranth.hdl import Instance, Mux, Signal

SELECT = Signal(8)


def fault(number):
    return SELECT == number


def install(tile):
    elaborate = tile.elaborate

    def with_select(self, platform):
        m = elaborate(self, platform)
        m.submodules.fault_select = Instance("fault_select", o_value=SELECT)
        return m

    tile.elaborate = with_select
'''
_SCRIPT = """
import sys
from lpu.arch import TileConfig
from rtl.fault_select import install
from rtl.tile import Tile
from rtl.verilog import tile_verilog
import json
install(Tile)
sys.stdout.write(tile_verilog(TileConfig.from_dict(json.load(sys.stdin))))
"""
_VERILOG = f"""
module fault_select(output reg [7:0] value);
  initial value = 8'($c32("(std::getenv(\\"{CHOICE}\\") ? std::atoi(std::getenv(\\"{CHOICE}\\")) : 0)"));
endmodule
"""


class FaultError(RuntimeError):
    """A fault that cannot be written into the sources; the message says which and what to change."""


def mutate(sources: dict[str, str], faults: Sequence[Fault]) -> dict[str, str]:
    """Sources (path in rtl/ -> text) with all faults written in, numbered from 1."""
    mutated = dict(sources)
    for number, fault in enumerate(faults, 1):
        text = mutated.get(fault.file, "")
        if text.count(fault.old) != 1:
            raise FaultError(
                f"fault {fault.name}: {text.count(fault.old)} places in rtl/{fault.file} read {fault.old!r}, "
                "it needs one: bring tb/faultlist.py up to date"
            )
        text = text.replace(fault.old, fault.new.replace("FAULT", f"fault({number})"))
        if "from rtl.fault_select" not in text:
            text = re.sub(
                r"(?m)^from amaranth", "from rtl.fault_select import Mux, fault\nfrom amaranth", text, count=1
            )
        mutated[fault.file] = text
    return mutated


def faulty_verilog(config: TileConfig, faults: Sequence[Fault] = FAULTS) -> str:
    """Verilog of a tile with all faults in it, none active unless the environment says so."""
    rtl = ROOT / "rtl"
    sources = {p.name: p.read_text() for p in rtl.glob("*.py")}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "rtl"
        shutil.copytree(rtl, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in mutate(sources, faults).items():
            (copy / name).write_text(text)
        (copy / "fault_select.py").write_text(_MODULE)
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((folder, str(ROOT)))},
            input=json.dumps(config.to_dict()),
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise FaultError(f"the sources with faults do not elaborate:\n{done.stderr[-2000:]}")
    return done.stdout + _VERILOG


def simulations(config: TileConfig, faults: Sequence[Fault] = FAULTS) -> Factory:
    """Makes simulations of the design with faults; which one is active, :func:`active` says."""
    verilog = faulty_verilog(config, faults)
    return Simulation(verilog, f"faulty-{config.name}").again


@contextmanager
def active(number: int) -> Iterator[None]:
    """Simulations started meanwhile have this fault."""
    before = os.environ.get(CHOICE)
    os.environ[CHOICE] = str(number)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CHOICE]
        else:
            os.environ[CHOICE] = before


def caught(config: TileConfig, number: int, fault: Fault, factory: Factory) -> Failure | None:
    """The first failure that a fault causes among its seeds."""
    with active(number):
        failures, _ = run_seeds(config, fault.kind, fault.seeds, factory, stop=1)
    return failures[0] if failures else None


def healthy(config: TileConfig, faults: Sequence[Fault], factory: Factory) -> list[Failure]:
    """Failures of the design with no fault active, over all seeds that faults are tried on."""
    found = []
    with active(0):
        for kind in ("legal", "illegal"):
            seeds = sorted({seed for f in faults if f.kind == kind for seed in f.seeds})
            found += run_seeds(config, kind, seeds, factory)[0]
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 if a fault survives or the design without one fails."""
    parser = argparse.ArgumentParser(prog="python -m tb.faults", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="tiny", help="preset or JSON file (tiny)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these faults alone")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    started = time.perf_counter()
    factory = simulations(config)
    factory().close()  # type: ignore[attr-defined]
    print(f"design with {len(FAULTS)} faults built in {time.perf_counter() - started:.0f} s")
    failures = healthy(config, FAULTS, factory)
    for f in failures:
        print(f"FAIL without any fault: {f.kind} seed {f.seed}: {f.difference}")
    survivors = 0
    for number, fault in enumerate(FAULTS, 1):
        if options.only and fault.name not in options.only:
            continue
        found = caught(config, number, fault, factory)
        survivors += found is None
        verdict = f"caught by {found.kind} seed {found.seed}: {found.difference}" if found else "SURVIVES"
        print(f"{fault.slice:5} {fault.name:32} {verdict}")
    print(
        f"{survivors} survive, {len(failures)} failures without a fault, {time.perf_counter() - started:.0f} s"
    )
    return 1 if survivors or failures else 0


if __name__ == "__main__":
    sys.exit(main())
