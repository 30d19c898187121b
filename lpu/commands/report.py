"""``lpu report``"""

from __future__ import annotations

import click

from lpu.commands.options import position_option, registers_of


@click.command("report")
@click.argument("program", type=click.Path(dir_okay=False))
@click.option("-o", "output", required=True, type=click.Path(dir_okay=False), help="HTML file to write.")
@click.option("--entry", help="Label to start from; decode if there is one, else the first.")
@position_option
@click.option(
    "--register",
    "registers",
    multiple=True,
    metavar="X=N",
    help="Content of an index register at the start, as in X2=5; may be repeated.",
)
def command(
    program: str, output: str, entry: str | None, positions: tuple[int, ...], registers: tuple[str, ...]
) -> None:
    """Show a program's schedule as a web page.

    One file, no server: timeline of every queue, occupancy of array and vector unit, cycles by layer and operation,
    queue fill and memory maps.
    """
    from pathlib import Path

    from lpu.compiler.report import positions as usual
    from lpu.compiler.report import write_report
    from lpu.program import Program

    contents = registers_of(registers)
    loaded = Program.load(program)
    entry = entry or ("decode" if "decode" in loaded.entries else next(iter(loaded.entries)))
    if not positions and not contents and entry in ("decode", "prefill"):
        positions = tuple(usual(loaded))
    title = f"{Path(program).stem}: {entry}"
    write_report(loaded, output, entry, positions=positions, registers=contents, title=title)
    click.echo(f"{output}: entry {entry}, {len(positions) or 1} run{'s' if len(positions) > 1 else ''}")
