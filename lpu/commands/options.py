"""Options that several verbs share, and how they print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lpu.arch import TileConfig
    from lpu.runtime.board import BoardMachine
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
board_target_option = click.option(
    "--target",
    type=click.Choice(["golden", "rtl", "board"]),
    default="golden",
    show_default=True,
    help="What runs the program; a board needs --port.",
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


@dataclass(frozen=True)
class BoardLine:
    """Where a board is: serial port, bits a second, the name it should have, seconds to wait for an answer."""

    port: str | None
    baud: int
    board: str | None
    timeout: float


def board_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options that say where a board is; the command gets them as ``line``."""

    @click.option("--port", help="Serial port of the board: /dev/ttyUSB0, COM3.")
    @click.option(
        "--baud", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Its bits a second."
    )
    @click.option("--board", help="Refuse another board than this.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0.001),
        default=1.0,
        show_default=True,
        help="Seconds after which the board is asked again.",
    )
    @functools.wraps(function)
    def packed(
        *args: Any, port: str | None, baud: int, board: str | None, timeout: float, **options: Any
    ) -> None:
        function(*args, line=BoardLine(port, baud, board, timeout), **options)

    return packed


def load(name: str) -> TileConfig:
    """The configuration of a ``--config`` option."""
    from lpu.arch import load_config

    return load_config(name)


def machine(
    config: TileConfig, target: str, waves: str | None = None, line: BoardLine | None = None
) -> Machine:
    """A tile of the kind a ``--target`` option names; ``waves``: FST file to record (RTL only); ``line``: of a board."""
    if waves and target != "rtl":
        raise click.UsageError("--waves needs --target rtl: nothing else shows its signals")
    if line is not None and line.port and target != "board":
        raise click.UsageError(f"--port {line.port} needs --target board")
    if target == "board":
        assert line is not None
        return board(config, line)
    if target == "golden":
        from golden.tile import Tile

        return Tile(config)
    from tb.fastsim import fast_machine

    return fast_machine(config, trace=waves)


def board(
    config: TileConfig,
    line: BoardLine,
    *,
    reuse: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> BoardMachine:
    """The board at a serial port."""
    from lpu.runtime.board import connect

    if line.port is None:
        raise click.UsageError("a board needs --port: the serial port it is at")
    return connect(
        line.port,
        config,
        baud=line.baud,
        board=line.board,
        patience=line.timeout,
        reuse=reuse,
        progress=progress,
    )


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
