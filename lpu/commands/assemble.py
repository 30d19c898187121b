"""``lpu asm``"""

from __future__ import annotations

import click


@click.command("asm")
@click.argument("source", type=click.Path(dir_okay=False))
@click.option("-o", "output", required=True, type=click.Path(dir_okay=False), help="Program file to write.")
def command(source: str, output: str) -> None:
    """Assemble a program from text. Its form is in lpu/asm.py and docs/isa.md."""
    from lpu.asm import AsmError, parse

    try:
        with open(source, encoding="utf-8") as file:
            program = parse(file.read())
    except UnicodeDecodeError:
        raise click.UsageError(f"{source} is not text; lpu asm takes the text form of a program") from None
    except AsmError as error:
        raise click.UsageError(f"{source}: {error}") from None
    program.save(output)
