"""``lpu demo``"""

from __future__ import annotations

from pathlib import Path

import click

from lpu.commands.run import command as run

#: The model that comes with the project.
MODEL = Path(__file__).parents[2] / "models" / "stories192k"


@click.command("demo")
@click.option(
    "--config", "config_name", default="ecp5-85f", show_default=True, help="A preset or a .json file."
)
@click.option("--prompt", default="Once upon a time", show_default=True, help="How the story begins.")
@click.option("--tokens", type=click.IntRange(min=1), default=200, show_default=True, help="Tokens at most.")
@click.option(
    "--target", type=click.Choice(["rtl", "golden"]), default="rtl", show_default=True, help="What computes."
)
@click.pass_context
def command(ctx: click.Context, config_name: str, prompt: str, tokens: int, target: str) -> None:
    """Tell a story with the project's own model on the RTL.

    The text comes token by token, then the cycles, predicted and counted. The first run builds the simulator, which takes
    minutes.
    """
    ctx.invoke(
        run, model=str(MODEL), prompts=(prompt,), tokens=tokens, target=target, config_name=config_name
    )
