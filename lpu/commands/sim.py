"""``lpu sim``"""

from __future__ import annotations

import click

from lpu.commands.options import (
    BoardLine,
    board_options,
    board_target_option,
    json_option,
    load,
    machine,
    report,
)


@click.command("sim")
@click.argument("program", type=click.Path(dir_okay=False))
@board_target_option
@board_options
@click.option("--config", "config_name", help="Refuse a program made for another configuration than this.")
@click.option("--entry", default="main", show_default=True, help="Label to start from.")
@click.option("--tokens", default="", metavar="N,N,...", help="Tokens to put into the input FIFO first.")
@click.option(
    "--max-cycles",
    type=click.IntRange(min=1),
    default=10_000_000,
    show_default=True,
    help="Give up after so many.",
)
@click.option("--waves", type=click.Path(dir_okay=False), help="Record an FST file (RTL only).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    program: str,
    target: str,
    config_name: str | None,
    entry: str,
    tokens: str,
    max_cycles: int,
    waves: str | None,
    json_path: str | None,
    line: BoardLine,
) -> None:
    """Run a program on golden model, RTL or a board.

    Prints what came of it. Exit code 1 if the program violates its schedule.
    """
    from lpu.program import Program

    loaded = Program.load(program, load(config_name) if config_name else None)
    if entry not in loaded.entries:
        raise click.UsageError(f"{program} has no entry {entry!r}: it has {', '.join(loaded.entries)}")
    try:
        numbers = [int(t, 0) for t in tokens.split(",") if t]
    except ValueError:
        raise click.UsageError(f"--tokens {tokens}: use numbers with commas between them") from None
    tile = machine(loaded.config, target, waves, line)
    tile.load(loaded)
    tile.push_tokens(numbers)
    result = tile.run(entry, max_cycles)
    violation = result.violation
    report(
        {
            "program": program,
            "config": loaded.config.name,
            "target": target,
            "cycles": result.cycles,
            "predicted_cycles": loaded.cycles.get(entry),
            "passes": result.passes,
            "violation": violation.describe(loaded.config) if violation else None,
            "tokens": tile.pop_tokens(),
        },
        json_path,
    )
    if violation:
        ctx.exit(1)
