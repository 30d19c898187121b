"""``lpu load``"""

from __future__ import annotations

import click

from lpu.commands.options import BoardLine, board, board_options, json_option, load, report


@click.command("load")
@click.argument("program", type=click.Path(dir_okay=False))
@board_options
@click.option("--config", "config_name", help="Refuse a program made for another configuration than this.")
@json_option
def command(program: str, line: BoardLine, config_name: str | None, json_path: str | None) -> None:
    """Load a program into a board.

    The board checks that it is complete, and keeps it until it is switched off: lpu run does not send it again.
    """
    import time

    from lpu.commands.progress import progress
    from lpu.program import Program

    loaded = Program.load(program, load(config_name) if config_name else None)
    with progress() as tell:
        started = time.perf_counter()
        machine = board(loaded.config, line, progress=lambda done, of: tell("loading the board", done, of))
        with machine:
            machine.load(loaded)
    report(
        {
            "program": program,
            "board": machine.identity.board,
            "config": loaded.config.name,
            "clock_mhz": machine.identity.clock / 1e6,
            "words": machine.sent,
            "frames": machine.link.requests,
            "repeated_frames": machine.link.repeated,
            "seconds": round(time.perf_counter() - started, 3),
        },
        json_path,
    )
