"""``lpu verilog``"""

from __future__ import annotations

import click

from lpu.commands.options import config_option, load


@click.command("verilog")
@config_option
@click.option("-o", "output", required=True, type=click.Path(dir_okay=False), help="File to write.")
def command(config_name: str, output: str) -> None:
    """Write a tile as Verilog.

    The file needs no other; its top module is called top.
    """
    config = load(config_name)
    from rtl.verilog import tile_verilog

    with open(output, "w", encoding="utf-8") as file:
        file.write(tile_verilog(config))
