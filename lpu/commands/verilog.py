"""``lpu verilog``"""

from __future__ import annotations

import click

from lpu.commands.options import config_option, load


@click.command("verilog")
@config_option
@click.option("-o", "output", type=click.Path(dir_okay=False), help="File to write.")
@click.option(
    "--testbench",
    type=click.Path(file_okay=False),
    help="Folder for the tile with a testbench in C++ and a Makefile, which need no Python.",
)
def command(config_name: str, output: str | None, testbench: str | None) -> None:
    """Write a tile as Verilog.

    The file needs no other; its top module is called top.
    """
    from pathlib import Path

    config = load(config_name)
    if not output and not testbench:
        raise click.UsageError("nothing to write: give -o FILE, or --testbench FOLDER")
    if output:
        from rtl.verilog import tile_verilog

        Path(output).write_text(tile_verilog(config), encoding="utf-8")
    if testbench:
        from tb.standalone import write_testbench

        try:
            write_testbench(config, Path(testbench))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
