"""``lpu configs``"""

from __future__ import annotations

import click


@click.command("configs")
@click.option("--json", "as_json", is_flag=True, help="Print all parameters as JSON.")
def command(as_json: bool) -> None:
    """List the configurations."""
    import json

    from lpu.arch import PRESETS, SliceKind, format_floorplan
    from lpu.small import SMALL

    every = PRESETS | SMALL
    if as_json:
        click.echo(json.dumps({name: config.to_dict() for name, config in every.items()}, indent=1))
        return
    click.echo(
        f"{'name':9} {'lanes':>5} {'vector':>6} {'contexts':>8} {'weights':>9} {'memory':>9} {'queue':>5}  floorplan"
    )
    for name, c in every.items():
        arrays = sum(s.kind is SliceKind.MXM for s in c.floorplan)
        weights = f"{arrays * c.contexts * c.lanes**2 / 1024:g} KiB"
        memory = f"{sum(s.depth for s in c.floorplan) * c.lanes * 4 / 1024:g} KiB"
        plan = format_floorplan(c.floorplan)
        click.echo(
            f"{name:9} {c.lanes:5} {c.vxm_lanes:6} {c.contexts:8} {weights:>9} {memory:>9} {c.queue_depth:5}  {plan}"
        )
