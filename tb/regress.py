"""Random programs on golden model and RTL: ``python -m tb.regress --config tiny --legal 0:2000 --illegal 0:500``.

A legal program must end in the predicted cycle without a violation and leave the same memories, tokens, vectors, index
registers and counters on both sides; an illegal one must latch the same first violation. A failure names the first
difference and the command that repeats it. Functional coverage follows at the end.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from golden.tile import Tile
from lpu.arch import ConfigError, FloatFormat, SliceKind, TileConfig, load_config, parse_floorplan
from lpu.isa import Instruction
from lpu.program import Program
from lpu.runtime import MachineError, Result, RtlMachine, Transport
from tb.coverage import Coverage
from tb.designs import tile_verilog
from tb.fastsim import Simulation
from tb.picker import Layers
from tb.programs import MAX_CYCLES, feed, illegal, legal
from tb.values import IMAGE_WORDS

#: A tile that nobody ships: two arrays, three memories, the host in the middle, another float and other sizes.
INVENTED = TileConfig(
    "invented",
    lanes=4,
    vxm_lanes=4,
    contexts=16,
    floorplan=parse_floorplan("mem:32 mxm sxm mem:64 host mxm vxm mem:16"),
    float_format=FloatFormat(5, 10),
    streams=12,
    accumulators=8,
    activations=8,
    vxm_registers=4,
    vxm_accumulators=16,
    permute_maps=2,
    reduce_accumulators=4,
    index_registers=4,
    masks=4,
    queue_depth=256,
    loop_depth=2,
    token_fifo=8,
    vector_fifo=4,
)
#: Little of everything, and no loops.
NARROW = TileConfig(
    "narrow",
    lanes=2,
    vxm_lanes=1,
    contexts=16,
    floorplan=parse_floorplan("host mem:64 sxm mxm vxm mem:64"),
    activations=4,
    accumulators=4,
    index_registers=2,
    masks=2,
    queue_depth=256,
    loop_depth=0,
    token_fifo=1,
    vector_fifo=0,
)
#: Every so many seeds all of the memories is compared, otherwise the part that programs use.
WHOLE = 8
#: Every so many seeds another program, that of a seed so much higher, has run before.
USED, BEFORE = 4, 1_000_000

Factory = Callable[[], "Transport"]


class Probe(RtlMachine):
    """An RTL machine that remembers its status when a run is given up."""

    def clear(self) -> None:
        """Note the status first: what follows a violation is not defined and may never end."""
        self.given_up = self.status()
        super().clear()


def simulations(config: TileConfig) -> Factory:
    """Makes Verilated tiles; the first call builds."""
    verilog = tile_verilog(config)
    return Simulation(verilog, f"tile-{config.name}").again


@contextmanager
def machine(factory: Factory, config: TileConfig) -> Iterator[Probe]:
    """A fresh tile: nothing is left of other seeds, so that each repeats alone."""
    simulation = factory()
    try:
        yield Probe(simulation, config)
    finally:
        simulation.close()  # type: ignore[attr-defined]


# Comparison --------------------------------------------------------------------------------------


def compare_legal(config: TileConfig, seed: int, factory: Factory, coverage: Coverage) -> str | None:
    """Run one legal program on both sides; the first difference in words, or None."""
    program = legal(config, seed)
    with machine(factory, config) as rtl:
        tile = Tile(config)
        if seed % USED == 1:
            _use(legal(config, BEFORE + seed), tile, rtl)
        _, expected = coverage.run(program, MAX_CYCLES, tile)
        if expected.violation:
            return f"the generator is wrong: golden reports {expected.violation.describe(config)}"
        if expected.cycles != program.cycles["main"]:
            return f"the generator predicted {program.cycles['main']} cycles, golden takes {expected.cycles}"
        feed(rtl, program)
        try:
            actual = rtl.run(max_cycles=MAX_CYCLES)
        except MachineError as error:
            return f"golden ends after {expected.cycles} cycles, RTL: {error}"
        return _compare_runs(config, expected, actual) or _compare_state(
            program, tile, rtl, seed % WHOLE == 0
        )


def compare_illegal(config: TileConfig, seed: int, factory: Factory, coverage: Coverage) -> str | None:
    """Run one illegal program on both sides; how the first violations differ, or None."""
    program, what = illegal(config, seed)
    _, expected = coverage.run(program, MAX_CYCLES)
    with machine(factory, config) as rtl:
        feed(rtl, program)
        try:
            violation = rtl.run(max_cycles=MAX_CYCLES).violation
        except MachineError:
            violation = rtl.given_up.violation
    if violation == expected.violation:
        return None
    names = [v.describe(config) if v else "no violation" for v in (expected.violation, violation)]
    return f"expected {names[0]}, actual {names[1]} ({what})"


def _use(program: Program, tile: Tile, rtl: RtlMachine) -> None:
    """Run another program and clear: the next one finds memories, buffers and accumulators as that one left them."""
    for side in (tile, rtl):
        feed(side, program)
        side.run(max_cycles=MAX_CYCLES)
        side.pop_tokens()
        side.clear()


def _compare_runs(config: TileConfig, expected: Result, actual: Result) -> str | None:
    if actual.violation:
        return f"RTL reports {actual.violation.describe(config)}, golden nothing"
    for name in ("cycles", "passes"):
        if getattr(expected, name) != getattr(actual, name):
            return f"{name}: expected {getattr(expected, name)}, actual {getattr(actual, name)}"
    return None


def _compare_state(program: Program, tile: Tile, rtl: RtlMachine, whole: bool) -> str | None:
    """Everything that a host can read."""
    config = program.config
    for what, expected, actual in (
        ("index registers", tile.index_registers().tolist(), rtl.index_registers().tolist()),
        ("tokens out", tile.pop_tokens(), rtl.pop_tokens()),
        ("vectors out", tile.pop_vectors().tolist(), rtl.pop_vectors().tolist()),
    ):
        if expected != actual:
            return f"{what}: expected {expected}, actual {actual}"
    status = rtl.status()
    for what, host, waiting in (
        ("tokens", tile.slices["host0"].tokens_in, status.tokens_in),  # type: ignore[union-attr]
        ("vectors", tile.slices["host0"].vectors_in, status.vectors_in),  # type: ignore[union-attr]
    ):
        if len(host) != waiting:
            return f"{what} waiting at the input: expected {len(host)}, actual {waiting}"
    for name in config.slice_names:
        if config.spec(name).kind is not SliceKind.MEM:
            continue
        for start, count in _windows(config.spec(name).depth, whole):
            good, bad = tile.read_memory(name, start, count), rtl.read_memory(name, start, count)
            if (good != bad).any():
                word, lane = (int(n) for n in np.argwhere(good != bad)[0])
                return (
                    f"{name} word {start + word} lane {lane}: expected {good[word, lane]:#010x}, "
                    f"actual {bad[word, lane]:#010x}{_writer(program, name, start + word)}"
                )
    return None


def _windows(depth: int, whole: bool) -> list[tuple[int, int]]:
    if whole or depth <= IMAGE_WORDS + 16:
        return [(0, depth)]
    return [(0, IMAGE_WORDS), (depth - 16, 16)]


def _writer(program: Program, memory: str, word: int) -> str:
    """Which instruction wrote a word last on the golden tile, as far as its address says."""
    last = ""

    def watch(cycle: int, queue: str, i: Instruction) -> None:
        nonlocal last
        if queue == f"{memory}.write" and (
            i.op == "SCATTER" or i.args.get("addr", -4) >> (2 if i.op == "WRITEB" else 0) == word
        ):
            last = f" (last written by {i.op} {dict(i.args)} dispatched in cycle {cycle})"

    tile = Tile(program.config, watch)
    feed(tile, program)
    tile.run(max_cycles=MAX_CYCLES)
    layers = Layers.of(program.config, memory)
    return last or f" ({'spilled at the end' if word < layers.free else 'never written'})"


# Many seeds --------------------------------------------------------------------------------------

COMPARE = {"legal": compare_legal, "illegal": compare_illegal}


@dataclass(frozen=True)
class Failure:
    """A seed on which the two sides differ."""

    kind: str
    seed: int
    difference: str


def run_seeds(
    config: TileConfig, kind: str, seeds: Sequence[int], factory: Factory, stop: int = 5
) -> tuple[list[Failure], Coverage]:
    """Compare seeds of a kind ("legal" or "illegal"); gives up after ``stop`` failures."""
    coverage, failures = Coverage(config), []
    for seed in seeds:
        difference = COMPARE[kind](config, seed, factory, coverage)
        if difference:
            failures.append(Failure(kind, seed, difference))
            if len(failures) >= stop:
                break
    return failures, coverage


def _worker(config: TileConfig, kind: str, seeds: range) -> tuple[list[Failure], Coverage]:
    return run_seeds(config, kind, seeds, simulations(config))


def _seeds(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end or int(first) + 1))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m tb.regress", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="tiny", help="preset, JSON file, invented or narrow (tiny)")
    parser.add_argument("--floorplan", help='another row of slices, as "host mem:64 mxm vxm mem:16"')
    parser.add_argument("--legal", type=_seeds, default=range(0), metavar="A:B", help="seeds A to B-1")
    parser.add_argument("--illegal", type=_seeds, default=range(0), metavar="A:B", help="seeds A to B-1")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options = parser.parse_args(arguments)
    try:
        own = {c.name: c for c in (INVENTED, NARROW)}
        config = own.get(options.config) or load_config(options.config)
        if options.floorplan:
            config = replace(config, name="floorplan", floorplan=parse_floorplan(options.floorplan))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    started = time.perf_counter()
    simulations(config)().close()  # type: ignore[attr-defined]
    built = time.perf_counter()
    coverage, failures = Coverage(config), []
    parts = [
        (kind, seeds[n :: options.jobs])
        for kind, seeds in (("legal", options.legal), ("illegal", options.illegal))
        for n in range(options.jobs)
        if seeds[n :: options.jobs]
    ]
    with ProcessPoolExecutor(options.jobs) as pool:
        for found, part in pool.map(_worker, [config] * len(parts), *zip(*parts, strict=True)):
            failures += found
            coverage.merge(part)
    spent = time.perf_counter() - built
    for f in sorted(failures, key=lambda f: (f.kind, f.seed)):
        where = (
            f"--config {options.config}{f' --floorplan {options.floorplan!r}' if options.floorplan else ''}"
        )
        print(f"FAIL {f.kind} seed {f.seed} at {config.name}: {f.difference}")
        print(f"     repeat with: python -m tb.regress {where} --{f.kind} {f.seed}:{f.seed + 1}")
    print(coverage.table())
    print(
        f"{len(options.legal)} legal and {len(options.illegal)} illegal programs, {len(failures)} differences, "
        f"{spent:.0f} s (and {built - started:.0f} s to build)"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
