"""``lpu bench``: matmul, model and sim."""

from __future__ import annotations

import click

from lpu.commands.options import (
    cabled,
    chips_option,
    config_option,
    json_option,
    load,
    machine,
    report,
    target_option,
    topology_option,
)


@click.group("bench")
def command() -> None:
    """Measure kernels and simulators."""


@command.command("matmul")
@click.option("--m", type=click.IntRange(min=1), default=1, show_default=True, help="Rows of activations.")
@click.option(
    "--k", type=click.IntRange(min=1), default=64, show_default=True, help="Columns of activations."
)
@click.option("--n", type=click.IntRange(min=1), default=64, show_default=True, help="Columns of weights.")
@config_option
@target_option
@click.option(
    "--weights",
    type=click.Choice(["resident", "streamed"]),
    default="resident",
    show_default=True,
    help="Weights in the array before the run, or loaded from MEM during it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random operands.")
@click.option("-o", "output", type=click.Path(dir_okay=False), help="Keep the program.")
@json_option
@click.pass_context
def matmul(
    ctx: click.Context,
    m: int,
    k: int,
    n: int,
    config_name: str,
    target: str,
    weights: str,
    seed: int,
    output: str | None,
    json_path: str | None,
) -> None:
    """Multiply random int8 matrices [m, k] x [k, n]; cycles from the first dispatch to the last result in MEM.

    Exit code 1 unless the result is bit exact and the cycles are the predicted ones.
    """
    import numpy as np

    from lpu.compiler import compile_matmul, ideal_cycles, read_result

    config = load(config_name)
    random = np.random.default_rng(seed)
    a = random.integers(-128, 128, (m, k), dtype=np.int8)
    b = random.integers(-128, 128, (k, n), dtype=np.int8)
    program = compile_matmul(config, a, b, streamed=weights == "streamed")
    if output:
        program.save(output)
    tile = machine(config, target)
    tile.load(program)
    result = tile.run()
    exact = bool(np.array_equal(read_result(tile, program), a.astype(np.int32) @ b.astype(np.int32)))
    ideal = ideal_cycles(config, m, k, n)
    data = {
        "m": m,
        "k": k,
        "n": n,
        "config": config.name,
        "target": target,
        "weights": weights,
        "cycles": result.cycles,
        "predicted_cycles": program.cycles["main"],
        "ideal_cycles": ideal,
        "utilisation": round(ideal / result.cycles, 4),
        "bit_exact": exact,
        "violation": result.violation.describe(config) if result.violation else None,
    }
    report(data, json_path)
    if not exact or result.violation or result.cycles != program.cycles["main"]:
        ctx.exit(1)


@command.command("sim")
@config_option
@chips_option
@topology_option
@json_option
def sim(config_name: str, chips: int, topology: str | None, json_path: str | None) -> None:
    """Measure the fast simulator and the same design under cocotb, in cycles a second.

    With --chips, a system of linked tiles, on one core and on two.
    """
    config = load(config_name)
    if chips > 1:
        from tb.simspeed import measure_system

        linked, shape = cabled(config, topology, chips)
        rates = {f"cycles_per_second_{n}_core": round(measure_system(linked, shape, n), 1) for n in (1, 2)}
        report({"config": linked.name, "chips": chips, "topology": shape.name, **rates}, json_path)
        return
    from tb.simspeed import measure

    try:
        figures = measure(config)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    rounded = {name: round(value, 1) for name, value in figures.items()}
    report({"config": config.name, **rounded}, json_path)


@command.command("model")
@click.argument("model", type=click.Path(exists=True))
@config_option
@click.option(
    "--tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Tokens to generate."
)
@click.option(
    "--clock", type=click.FloatRange(min=0.001), default=60.0, show_default=True, help="MHz of a board."
)
@json_option
def model(model: str, config_name: str, tokens: int, clock: float, json_path: str | None) -> None:
    """Measure tokens a second of a language model: RTL, golden model and float reference on this machine.

    Beside them what a board would do at its clock, and published figures of llama2.c on other machines.
    """
    from lpu.commands.progress import progress
    from tb.modelspeed import PUBLISHED, measure, processor

    config = load(config_name)
    with progress() as tell:
        found = measure(model, config, tokens, tell)
    mean = sum(found.cycles) / len(found.cycles)
    data = {
        "model": found.source,
        "config": config.name,
        "tokens": len(found.cycles),
        "machine": processor(),
        **{f"{target}_tokens_per_second": round(rate, 2) for target, rate in found.rates.items()},
        "cycles_per_token": round(mean, 1),
        "clock_mhz": clock,
        "projected_tokens_per_second": round(clock * 1e6 / mean, 1),
    }
    if json_path is not None:
        report(data | {"published": [list(row) for row in PUBLISHED]}, json_path)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.source}: tokens a second")
    table.add_column("what")
    table.add_column("machine")
    table.add_column("tokens/s", justify="right")
    names = {"rtl": "RTL, fast simulator", "golden": "golden model", "reference": "float32 reference, NumPy"}
    for target, rate in found.rates.items():
        table.add_row(names[target], processor(), f"{rate:,.1f}")
    table.add_row(f"{config.name}, projected", f"board at {clock:g} MHz", f"{clock * 1e6 / mean:,.0f}")
    table.add_section()
    for what, machine_name, rate in PUBLISHED:
        table.add_row(what, machine_name, rate)
    Console().print(table)
