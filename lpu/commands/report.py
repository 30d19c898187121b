"""``lpu report``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lpu.commands.options import position_option, registers_of

if TYPE_CHECKING:
    from lpu.compiler.report import Start
    from lpu.program import Program


@click.command("report")
@click.argument("program", type=click.Path(dir_okay=False))
@click.option("-o", "output", type=click.Path(dir_okay=False), help="HTML file to write.")
@click.option("--cycles", "table", is_flag=True, help="Print where the cycles are, by layer and operation.")
@click.option("--entry", help="Label to start from; decode if there is one, else the first.")
@click.option("--chip", type=click.IntRange(min=0), default=0, help="Which chip of a system file.")
@position_option
@click.option(
    "--register",
    "registers",
    multiple=True,
    metavar="X=N",
    help="Content of an index register at the start, as in X2=5; may be repeated.",
)
def command(
    program: str,
    output: str | None,
    table: bool,
    entry: str | None,
    chip: int,
    positions: tuple[int, ...],
    registers: tuple[str, ...],
) -> None:
    """Show a program's schedule as a web page, or where its cycles are as a table.

    The page is one file, no server: timeline of every queue, occupancy of array and vector unit, cycles by layer and operation,
    queue fill and memory maps.
    """
    from pathlib import Path

    from lpu.compiler.report import positions as usual
    from lpu.compiler.report import starts, write_report
    from lpu.program import Program
    from lpu.system import is_system

    if not output and not table:
        raise click.UsageError("nothing to show: give -o FILE.html for the page, or --cycles for the table")
    contents = registers_of(registers)
    if is_system(program):
        _system(program, chip, output, table, positions)
        return
    loaded = Program.load(program)
    entry = entry or ("decode" if "decode" in loaded.entries else next(iter(loaded.entries)))
    if not positions and not contents and entry in ("decode", "prefill"):
        positions = tuple(usual(loaded))
    chunk = (loaded.symbols.get("model") or {}).get("chunk")
    if entry == "prefill" and chunk:
        # A run of prefill begins where a chunk does.
        positions = tuple(dict.fromkeys(p // chunk * chunk for p in positions))
    if table:
        _cycles(loaded, entry, starts(loaded, positions[len(positions) // 2 :][:1], contents)[0])
    if not output:
        return
    title = f"{Path(program).stem}: {entry}"
    write_report(loaded, output, entry, positions=positions, registers=contents, title=title)
    click.echo(f"{output}: entry {entry}, {len(positions) or 1} run{'s' if len(positions) > 1 else ''}")


def _system(path: str, chip: int, output: str | None, table: bool, positions: tuple[int, ...]) -> None:
    """A round of one chip of a system."""
    from lpu.compiler.chips.prove import loads
    from lpu.compiler.lower.machine import TOKENS
    from lpu.compiler.report import Start, write_report
    from lpu.system import SystemProgram

    system = SystemProgram.load(path)
    if chip >= system.chips:
        raise click.UsageError(f"--chip {chip}: {path} has chips 0 to {system.chips - 1}")
    program, last = system.programs[chip], system.symbols["model"]["positions"] - 1
    token = system.symbols["model"]["vocabulary"] - 1
    runs = [
        Start(f"position {p} of chip {chip}", {TOKENS: 1}, (), loads(program, min(p, last), token))
        for p in positions or (0, last // 2, last)
    ]
    if table:
        _cycles(program, "decode", runs[len(runs) // 2])
    if output:
        write_report(program, output, "decode", runs=runs, title=f"{path}: chip {chip}")
        click.echo(f"{output}: chip {chip}, {len(runs)} run{'s' if len(runs) > 1 else ''}")


def _cycles(program: Program, entry: str, start: Start) -> None:
    """A row for each layer and operation: passes, cycles beyond them in which the array waits, in one run."""
    from rich.console import Console
    from rich.table import Table

    from lpu.compiler.expand import expand
    from lpu.compiler.report import symbols
    from lpu.compiler.report.charge import charges

    run = expand(program, entry, start.tokens, registers=start.registers, loaded=start.loaded)
    names, words = symbols.labels(program)
    rows = charges(program.config, run.groups(), run.cycles, names, words)
    table = Table(title=f"{entry} at {start.name}: {run.cycles:,} cycles")
    table.add_column("layer / operation")
    for column in ("cycles", "passes", "array waits", "share"):
        table.add_column(column, justify="right")
    kinds: dict[str, list[int]] = {}
    for row in rows:
        charged, passes = row["charged"], row["passes"]
        cells = [f"{n:,}" for n in (charged, passes, charged - passes)]
        table.add_row(row["label"], *cells, f"{charged / run.cycles:.1%}")
        kind = kinds.setdefault(row["label"].split(" / ")[-1], [0, 0])
        kind[0] += charged
        kind[1] += passes
    table.add_section()
    for name, (charged, passes) in sorted(kinds.items(), key=lambda k: -k[1][0]):
        cells = [f"{n:,}" for n in (charged, passes, charged - passes)]
        table.add_row(f"all / {name}", *cells, f"{charged / run.cycles:.1%}")
    total = sum(row["passes"] for row in rows)
    table.add_section()
    table.add_row("all", f"{run.cycles:,}", f"{total:,}", f"{run.cycles - total:,}", "100.0%")
    Console().print(table)
