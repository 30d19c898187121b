"""``lpu disasm``"""

from __future__ import annotations

import click


@click.command("disasm")
@click.argument("program", type=click.Path(dir_okay=False))
def command(program: str) -> None:
    """Print a program as text."""
    from lpu.asm import format
    from lpu.program import Program

    click.echo(format(Program.load(program)), nl=False)
