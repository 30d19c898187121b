"""``lpu build``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lpu.commands.options import json_option

if TYPE_CHECKING:
    from pathlib import Path

    from lpu.arch import TileConfig

#: The model whose cycles a token a report has, and the position at which they are counted.
MODEL, POSITION = "models/stories192k", 128


@click.command("build")
@click.argument("board")
@click.option("--seed", "seeds", type=int, multiple=True, help="Seed of a placement; several are tried.")
@click.option("--clock", type=click.FloatRange(min=1), help="MHz of the tile instead of the board's.")
@click.option("--config", "config_name", help="Tile instead of the board's: a preset or a JSON file.")
@click.option(
    "--record",
    is_flag=True,
    help="Keep the report in fpga/reports, with the seeds recorded of the same netlist.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    board: str,
    seeds: tuple[int, ...],
    clock: float | None,
    config_name: str | None,
    record: bool,
    json_path: str | None,
) -> None:
    """Build a bitstream for an FPGA board.

    Everything lies in build/BOARD; what did not change is not done again. Exit code 1 if no placement reaches the clock: the
    bitstream is there, but the tile would run too fast for it.
    """
    import dataclasses
    import json

    from fpga.boards import board_of
    from fpga.build import Build
    from fpga.report import REPORTS, with_seeds_of
    from lpu.commands.options import report
    from lpu.commands.progress import progress

    target = board_of(board)
    changes: dict[str, Any] = {}
    if seeds:
        changes["seeds"] = seeds
    if clock:
        changes["mhz"] = clock
    if config_name:
        changes["config"] = config_name
    if record and (clock or config_name):
        raise click.UsageError(
            "--record keeps the board's own clock and tile: leave out --clock and --config"
        )
    target = dataclasses.replace(target, **changes)
    with progress() as tell:
        build = Build(target, tell=tell)
        found = build.run()
        tell("figures of the tile")
        found |= machine_figures(target.tile)
    build.write(found)
    if record:
        kept = REPORTS / f"{target.name}.json"
        # What is shown and returned stays that of this build: its bitstream has to reach the clock.
        before = json.loads(kept.read_text()) if kept.exists() else None
        kept.write_text(json.dumps(with_seeds_of(before, found), indent=1) + "\n")
    if json_path is not None:
        report(found, json_path)
    else:
        _show(found, build.folder / found["bitstream"])
    if not found["meets_clock"]:
        ctx.exit(1)


def machine_figures(config: TileConfig) -> dict[str, Any]:
    """Size of a tile, cycles of a token of our own model (None if the tile cannot run it), cycles of a 32 x 64 x 64 product."""
    import numpy as np

    from lpu.arch import SliceKind
    from lpu.compiler import compile_matmul

    kinds = {spec.kind for spec in config.floorplan}
    product = token = None
    if {SliceKind.MEM, SliceKind.MXM} <= kinds:
        left, right = np.ones((32, 64), dtype=np.int8), np.ones((64, 64), dtype=np.int8)
        product = compile_matmul(config, left, right).cycles["main"]
    if {SliceKind.MEM, SliceKind.MXM, SliceKind.SXM, SliceKind.VXM} <= kinds:
        token = _cycles_per_token(config)
    return {
        "lanes": config.lanes,
        "vector_lanes": config.vxm_lanes if SliceKind.VXM in kinds else 0,
        "contexts": config.contexts,
        "slices": list(config.slice_names),
        "cycles_per_token": token,
        "cycles_of_32x64x64": product,
    }


def _cycles_per_token(config: TileConfig) -> int | None:
    from golden.calibrate import quantised_model
    from lpu.compiler.expand import expand
    from lpu.compiler.frontend import load_model
    from lpu.compiler.model import compile_model
    from lpu.compiler.place import FitError
    from lpu.compiler.report import starts

    try:
        program = compile_model(quantised_model(load_model(MODEL)), config)
    except FitError:
        return None
    (start,) = starts(program, [POSITION])
    return expand(program, "decode", registers=start.registers).cycles


def _show(found: dict[str, Any], bitstream: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found['title']}: {found['config']}")
    table.add_column("what")
    table.add_column("used", justify="right")
    table.add_column("of", justify="right")
    table.add_column("share", justify="right")
    for kind in ("lut", "ff", "dsp", "bram"):
        if kind in found:
            used, capacity = found[kind]["used"], found[kind]["capacity"]
            table.add_row(kind.upper(), f"{used:,}", f"{capacity:,}", f"{used / capacity:.0%}")
    console = Console()
    console.print(table)
    seeds = ", ".join(f"{s['fmax_mhz']:g}" for s in found["seeds"])
    console.print(f"Fmax {found['fmax_mhz']:g} MHz, median of {seeds}; clock {found['clock_mhz']:g} MHz")
    if found["seeds_not_routed"]:
        console.print(f"not routed, without progress: seed {', '.join(map(str, found['seeds_not_routed']))}")
    steps = (f"{s['unit']} {s['logic_ns'] + s['wires_ns']:.1f}" for s in found["critical_path"])
    console.print(f"slowest path, ns by unit: {', '.join(steps)}")
    spent, most = sum(s["seconds"] for s in found["seeds"]), max(s["memory_mib"] for s in found["seeds"])
    console.print(
        f"mapping {found['mapping_seconds']:.0f} s, placing and routing {spent:.0f} s, {most:,} MiB"
    )
    console.print(str(bitstream))
