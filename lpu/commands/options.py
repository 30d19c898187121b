"""Options that several verbs share, and how they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lpu.arch import TileConfig
    from lpu.runtime.machine import Machine
    from lpu.runtime.system import Chips
    from lpu.topology import Topology

config_option = click.option(
    "--config",
    "config_name",
    default="tiny",
    show_default=True,
    help="A preset (see lpu configs) or a .json file.",
)
json_option = click.option(
    "--json", "json_path", metavar="FILE", help="Write the figures as JSON; - is standard output."
)
target_option = click.option(
    "--target",
    type=click.Choice(["golden", "rtl"]),
    default="golden",
    show_default=True,
    help="What runs the program.",
)
chips_option = click.option(
    "--chips", type=click.IntRange(1, 1024), default=1, show_default=True, help="Chips that share the model."
)
topology_option = click.option(
    "--topology",
    default=None,
    help="How chips are joined: line, ring, mesh, or a .json file. A ring if left out, a line for two.",
)
cut_option = click.option(
    "--cut",
    type=click.Choice(["auto", "layers", "inside"]),
    default="auto",
    show_default=True,
    help="A pipeline of layers, or halves of every layer on two chips; auto takes the faster one.",
)
position_option = click.option(
    "--position",
    "positions",
    type=click.IntRange(min=0, max=(1 << 16) - 1),
    multiple=True,
    help="Position to show a run for; may be repeated. First, middle and last if left out.",
)


def load(name: str) -> TileConfig:
    """The configuration of a ``--config`` option."""
    from lpu.arch import load_config

    return load_config(name)


def machine(config: TileConfig, target: str, waves: str | None = None) -> Machine:
    """A tile of the kind a ``--target`` option names; ``waves``: FST file to record (RTL only)."""
    if target == "golden":
        from golden.tile import Tile

        if waves:
            raise click.UsageError("--waves needs --target rtl: the golden model has no signals")
        return Tile(config)
    from tb.fastsim import fast_machine

    return fast_machine(config, trace=waves)


def cabled(config: TileConfig, topology: str | None, chips: int) -> tuple[TileConfig, Topology]:
    """The configuration, with links if it has none, and the topology of so many chips."""
    from lpu.topology import load_topology

    shape = load_topology(topology or ("ring" if chips > 2 else "line"), chips)
    return (config if config.ports else config.linked(max(2, shape.ports))), shape


def system(config: TileConfig, topology: Topology, target: str) -> Chips:
    """Chips of the kind a ``--target`` option names, and their links."""
    if target == "golden":
        from golden.system import System

        return System(config, topology)
    from tb.systemsim import linked_chips

    return linked_chips(config, topology)


def report(data: dict[str, Any], json_path: str | None) -> None:
    """Figures as JSON where asked for, else one a line."""
    if json_path is None:
        width = max(len(name) for name in data)
        for name, value in data.items():
            click.echo(f"{name:{width}}  {value}")
        return
    text = json.dumps(data, indent=1)
    if json_path == "-":
        click.echo(text)
    else:
        Path(json_path).write_text(text + "\n")


def registers_of(texts: tuple[str, ...]) -> dict[int, int]:
    """Register contents from ``X2=5``."""
    import re

    contents = {}
    for text in texts:
        match = re.fullmatch(r"[Xx](\d+)=(\w+)", text)
        try:
            x, value = int(match[1]), int(match[2], 0)  # type: ignore[index]
        except (TypeError, ValueError):
            raise click.UsageError(f"--register {text}: write it as X2=5") from None
        contents[x] = value
    return contents
