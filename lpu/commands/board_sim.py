"""``lpu board-sim``"""

from __future__ import annotations

import click

from lpu.commands.options import config_option, load


@click.command("board-sim")
@config_option
@click.option("--name", default="simulated", show_default=True, help="What the board calls itself.")
@click.option("--port", type=click.Path(), help="Link to make to the serial port.")
@click.option(
    "--divisor",
    type=click.IntRange(min=2),
    default=2,
    show_default=True,
    help="Clock cycles of a UART bit; real boards have more, and the simulation then does little else.",
)
def command(config_name: str, name: str, port: str | None, divisor: int) -> None:
    """Simulate a board behind a serial port.

    The RTL of a board's top with its UART pins, bit by bit, behind a pseudo-terminal that any program opens as a serial port. Its
    clock stands still while nobody talks to it. Runs until interrupted.
    """
    import signal
    import threading

    from tb.boardsim import SimulatedBoard

    config, stop = load(config_name), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with SimulatedBoard(config, name=name, divisor=divisor, port=port) as board:
        click.echo(f"{name} with {config.name} at {board.port}")
        try:
            while not stop.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass
        click.echo(f"{board.cycles:,} cycles")
