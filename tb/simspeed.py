"""How fast the tile simulates: a matrix product on the fast simulator, and the same under cocotb."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from lpu.arch import TileConfig
from lpu.runtime import MachineError, RtlMachine
from lpu.runtime.protocol import Op, header
from lpu.topology import Topology
from tb.cocotb_runner import build_bench, run_bench
from tb.designs import tile_verilog
from tb.fastsim import Simulation
from tb.matmul import RESULT, expected, matmul
from tb.systemsim import SystemSimulation

#: Rounds of the product while the clock is measured: more than anyone waits for.
ROUNDS = 4095


def measure(config: TileConfig, seconds: float = 5.0, *, cocotb: bool = True) -> dict[str, float]:
    """Clock cycles simulated in a second of wall time while a product keeps every multiplier busy on random data.

    Returns ``cycles_per_second`` of the fast simulator, ``cocotb_cycles_per_second`` of a bench whose driver and
    monitor look at every cycle, and their ``ratio``, each measured over about ``seconds``; without ``cocotb`` only
    the first. Raises MachineError if the product is not NumPy's, ValueError if the configuration cannot compute one.
    """
    verilog = tile_verilog(config)
    with Simulation(verilog, f"tile-{config.name}") as simulation:
        machine = RtlMachine(simulation, config)
        once = matmul(config)
        machine.load(once)
        machine.run()
        memory, start, count = once.symbols[RESULT]
        if not (machine.read_memory(memory, start, count).view(np.int32) == expected(once)).all():
            raise MachineError(
                f"the simulated {config.name} computes a wrong product: run the tests before timing it"
            )
        machine.load(matmul(config, rounds=ROUNDS))
        result = {"cycles_per_second": speed(simulation, seconds)}
    if cocotb:
        result["cocotb_cycles_per_second"] = cocotb_speed(config, verilog, seconds)
        result["ratio"] = result["cycles_per_second"] / result["cocotb_cycles_per_second"]
    return result


def measure_system(config: TileConfig, topology: Topology, threads: int, seconds: float = 5.0) -> float:
    """Cycles a second of a whole system, all of whose tiles compute the product, on so many cores."""
    simulation = SystemSimulation(config, topology, threads=threads)
    machines = [RtlMachine(simulation.transport(chip), config) for chip in range(topology.chips)]
    for machine in machines:
        machine.load(matmul(config, rounds=ROUNDS))
    first, started = simulation.cycles(0), time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        for machine in machines:
            if not machine.status().busy:
                machine.start("main")
        simulation.step(5_000)
    rate = (simulation.cycles(0) - first) / passed
    simulation.close()
    return rate


def speed(simulation: Simulation, seconds: float, chunk: int = 5_000) -> float:
    """Cycles per second of the loaded program, started again whenever it ends, over about that long."""
    start = np.array([header(Op.START)], np.uint32)
    started, first = time.perf_counter(), simulation.cycles
    while (passed := time.perf_counter() - started) < seconds or simulation.cycles == first:
        if not simulation.busy:
            simulation.send(start)
            simulation.receive(1)
        simulation.step(chunk)
    return (simulation.cycles - first) / passed


def cocotb_speed(config: TileConfig, verilog: str, seconds: float) -> float:
    """The same of ``tb.tile``'s bench under cocotb."""
    build = build_bench(f"tile-{config.name}", verilog)
    with tempfile.TemporaryDirectory(prefix="lpu-speed-") as folder:
        report = Path(folder) / "report.json"
        parameters = {"config": config.to_dict(), "seconds": seconds, "report": str(report), "seed": 0}
        run_bench(build, "tb.tile", parameters, tests=["clock_speed"])
        return float(json.loads(report.read_text())["cycles_per_second"])
