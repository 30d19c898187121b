"""``lpu demo``"""

from __future__ import annotations

import click

from lpu.commands.options import config_option, load, machine


@click.command("demo")
@config_option
@click.option("--k", type=click.IntRange(min=1), default=16, show_default=True, help="Length of the vector.")
@click.option("--n", type=click.IntRange(min=1), default=16, show_default=True, help="Length of the result.")
@click.pass_context
def command(ctx: click.Context, config_name: str, k: int, n: int) -> None:
    """Run a matrix-vector product on golden model and RTL.

    One program, its weights resident; results and cycles of the two side by side.
    """
    import time

    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from lpu.compiler import check_program, compile_matmul, read_result

    config = load(config_name)
    random = np.random.default_rng(0)
    x = random.integers(-128, 128, (1, k), dtype=np.int8)
    w = random.integers(-128, 128, (k, n), dtype=np.int8)
    program = compile_matmul(config, x, w)
    faults = check_program(program)
    wanted = x.astype(np.int32) @ w.astype(np.int32)

    table = Table(title=f"[1, {k}] x [{k}, {n}] on {config.name}: one program, two machines")
    for column in ("", "golden", "RTL"):
        table.add_column(column, justify="left" if not column else "right")
    rows: dict[str, list[str]] = {}
    good = not faults
    for target in ("golden", "rtl"):
        tile = machine(config, target)
        started = time.perf_counter()
        tile.load(program)
        result = tile.run()
        got = read_result(tile, program)
        seconds = time.perf_counter() - started
        same = bool(np.array_equal(got, wanted))
        good = good and same and result.violation is None and result.cycles == program.cycles["main"]
        rows.setdefault("first results", []).append(" ".join(str(v) for v in got[0, :3]))
        rows.setdefault("equal to NumPy", []).append("yes" if same else "NO")
        rows.setdefault("cycles", []).append(str(result.cycles))
        rows.setdefault("cycles predicted", []).append(str(program.cycles["main"]))
        rows.setdefault("passes of the array", []).append(str(result.passes))
        rows.setdefault("violations", []).append(
            result.violation.describe(config) if result.violation else "none"
        )
        rows.setdefault("seconds", []).append(f"{seconds:.3f}")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console().print(table)
    click.echo(f"schedule check: {faults[0] if faults else 'legal'}")
    if not good:
        ctx.exit(1)
