"""``lpu compile``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lpu.commands.options import (
    chips_option,
    config_option,
    cut_option,
    load,
    position_option,
    topology_option,
)

if TYPE_CHECKING:
    from lpu.compiler.graph import Graph
    from lpu.compiler.quantised import Quantised
    from lpu.compiler.report import Start
    from lpu.program import Program


@click.command("compile")
@click.argument("model", type=click.Path())
@config_option
@click.option("-o", "output", required=True, type=click.Path(dir_okay=False), help="Program file to write.")
@click.option("--report", "report_path", type=click.Path(dir_okay=False), help="HTML report to write.")
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    help="Positions that prefill takes at once, the most that fit if left out; 1 leaves prefill out.",
)
@chips_option
@topology_option
@cut_option
@click.option(
    "--sequences",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Texts under way at once, at most one a chip.",
)
@position_option
def command(
    model: str,
    config_name: str,
    output: str,
    report_path: str | None,
    chunk: int | None,
    chips: int,
    topology: str | None,
    cut: str,
    sequences: int,
    positions: tuple[int, ...],
) -> None:
    """Compile a language model to a program.

    The model is quantised, placed and scheduled, and the schedule is proven legal for the fewest and the most iterations of
    its loops; prefill takes as many positions at once as fit.
    """
    from pathlib import Path

    from lpu.commands.progress import progress
    from lpu.compiler.frontend import load_model
    from lpu.compiler.model import compile_model
    from lpu.compiler.report import positions as usual
    from lpu.compiler.report import starts, write_report

    config = load(config_name)
    with progress() as tell:
        tell("reading")
        graph = load_model(model)
        tell("quantising")
        quantised = _quantised(graph)
        if chips > 1 or sequences > 1:
            if report_path or chunk or positions:
                raise click.UsageError(
                    "--report, --chunk and --position are for one chip: leave them out with --chips"
                )
            from lpu.commands.chips import compiled

            compiled(quantised, config, chips, topology, cut, sequences, output, tell)
            return
        tell("scheduling")
        program = compile_model(
            quantised,
            config,
            chunk=chunk,
            progress=lambda entry, done, of: tell(f"scheduling {entry}", done, of),
        )
        shown = list(positions) or usual(program)
        runs = starts(program, shown)
        if report_path:
            tell("report")
            write_report(
                program, report_path, "decode", runs=runs, title=f"{Path(model).stem} on {config.name}"
            )
        program.save(output)
    _figures(program, runs, output)


def _quantised(graph: Graph) -> Quantised:
    """The graph in int8, calibrated on text that the model makes."""
    from golden.calibrate import quantised_model

    return quantised_model(graph)


def _figures(program: Program, runs: Sequence[Start], output: str) -> None:
    """Cycles, passes and words of what was compiled."""
    from lpu.compiler.expand import expand
    from lpu.compiler.report.charge import passes

    config = program.config
    for start in runs:
        run = expand(program, "decode", registers=start.registers)
        share = 100 * passes(run) / max(1, run.cycles)
        click.echo(
            f"decode at {start.name}: {run.cycles:,} cycles, {passes(run):,} passes, array busy {share:.1f} %"
        )
    longest = max(program.queues, key=lambda q: len(program.queues[q]))
    chunk = (program.symbols.get("model") or {}).get("chunk")
    if chunk:
        click.echo(f"prefill of {chunk} positions: {program.cycles['prefill']} cycles")
    else:
        click.echo("prefill: none, the queues have no room for it; a prompt is decoded token by token")
    click.echo("schedule proven: decode and prefill at the first and the last position")
    click.echo(f"longest queue: {longest}, {len(program.queues[longest])} of {config.queue_depth} words")
    click.echo(f"{output}: entries {', '.join(program.entries)}")
