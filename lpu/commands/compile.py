"""``lpu compile``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lpu.commands.options import config_option, load, position_option

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
    default=4,
    show_default=True,
    help="Positions that prefill takes at once; 1 leaves prefill out.",
)
@position_option
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    config_name: str,
    output: str,
    report_path: str | None,
    chunk: int,
    positions: tuple[int, ...],
) -> None:
    """Compile a language model to a program.

    The model is quantised, placed and scheduled, and the schedule is proven for some positions. Exit code 1, and no
    program, if it is not legal.
    """
    from pathlib import Path

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from lpu.compiler import check_program
    from lpu.compiler.frontend import load_model
    from lpu.compiler.model import compile_model
    from lpu.compiler.report import positions as usual
    from lpu.compiler.report import starts, write_report

    config = load(config_name)
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TimeElapsedColumn())
    faults: list[str] = []
    # On standard error, and on a terminal only: what a pipe gets are the figures.
    with Progress(
        *columns, console=(console := Console(stderr=True)), disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("reading", total=None)

        def tell(what: str, done: int | None = None, of: int | None = None) -> None:
            bar.update(task, description=what, completed=done or 0, total=of)

        graph = load_model(model)
        tell("quantising")
        quantised = _quantised(graph)
        tell("scheduling")
        program = compile_model(
            quantised,
            config,
            chunk=chunk,
            progress=lambda entry, done, of: tell(f"scheduling {entry}", done, of),
        )
        shown = list(positions) or usual(program)
        runs = starts(program, shown)
        for n, run in enumerate(runs):
            tell("checking", n, len(runs))
            for entry in program.entries:
                found = check_program(program, entry, registers=run.registers, tokens=run.tokens)
                faults += [f"{entry} at {run.name}: {fault}" for fault in found]
        if report_path:
            tell("report")
            write_report(
                program, report_path, "decode", runs=runs, title=f"{Path(model).stem} on {config.name}"
            )
        if not faults:
            program.save(output)
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        ctx.exit(1)
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
    click.echo(f"longest queue: {longest}, {len(program.queues[longest])} of {config.queue_depth} words")
    click.echo(f"{output}: entries {', '.join(program.entries)}")
