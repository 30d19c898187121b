"""``lpu isa``"""

from __future__ import annotations

import click

from lpu.commands.options import config_option, load


@click.command("isa")
@config_option
def command(config_name: str) -> None:
    """List the instructions of a configuration, with field widths in bits. The whole story is docs/isa.md."""
    from lpu.docs import listing

    click.echo(listing(load(config_name)))
