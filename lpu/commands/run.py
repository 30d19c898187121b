"""``lpu run``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lpu.commands.options import (
    BoardLine,
    board,
    board_options,
    chips_option,
    config_option,
    cut_option,
    json_option,
    load,
    machine,
    report,
    topology_option,
)

if TYPE_CHECKING:
    from lpu.arch import TileConfig
    from lpu.compiler.frontend import Tokenizer
    from lpu.compiler.graph import Graph
    from lpu.runtime.generate import Engine, Generation
    from lpu.runtime.session import Step


@click.command("run")
@click.argument("model", type=click.Path(exists=True))
@click.option(
    "--tokenizer", "tokenizer_path", type=click.Path(exists=True), help="Where the model has none beside it."
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    help="Text to continue; none starts from BOS. Given more than once, as many texts are told at once, at most one a chip.",
)
@click.option(
    "--tokens", type=click.IntRange(min=1), default=32, show_default=True, help="Tokens to generate."
)
@click.option(
    "--target",
    type=click.Choice(["rtl", "golden", "reference", "board"]),
    default="golden",
    show_default=True,
    help="What computes; reference is float32, a board needs --port.",
)
@board_options
@config_option
@chips_option
@topology_option
@cut_option
@click.option(
    "--temperature", type=float, default=0.0, show_default=True, help="0 takes the likeliest token."
)
@click.option(
    "--top-p", type=float, default=1.0, show_default=True, help="Sample from this much probability."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling.")
@click.option(
    "--calibrate",
    "calibration",
    type=click.Path(exists=True, dir_okay=False),
    help="Text to calibrate on instead of the model's own.",
)
@click.option(
    "--clock", type=click.FloatRange(min=0.001), default=60.0, show_default=True, help="MHz of the board."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    tokenizer_path: str | None,
    prompts: tuple[str, ...],
    tokens: int,
    target: str,
    config_name: str,
    chips: int,
    topology: str | None,
    cut: str,
    temperature: float,
    top_p: float,
    seed: int,
    calibration: str | None,
    clock: float,
    json_path: str | None,
    line: BoardLine,
) -> None:
    """Run a language model on golden model, RTL, a board or float reference.

    MODEL is a Hugging Face folder or a llama2.c .bin. The text comes as it is made, then cycles per token, predicted and
    counted. Exit code 1 if they differ.
    """
    import time

    from lpu.compiler.frontend import load_model, load_tokenizer
    from lpu.runtime.generate import Generation
    from lpu.runtime.sampling import Sampler
    from lpu.runtime.session import check_prompt
    from lpu.runtime.text import TextStream

    config = load(config_name)
    sampler = Sampler(temperature, top_p, seed)
    graph, tokenizer = load_model(model), load_tokenizer(tokenizer_path or model)
    if chips > 1:
        if target == "board":
            raise click.UsageError("--target board is one chip: leave out --chips")
        from lpu.commands.chips import linked, several
    if len(prompts) > 1:
        if len(prompts) > chips or target == "reference" or not sampler.greedy:
            raise click.UsageError(
                f"{len(prompts)} prompts: several texts at once need as many --chips, another --target, no --temperature"
            )
        several(
            ctx,
            graph,
            tokenizer,
            prompts,
            tokens,
            target,
            config,
            chips,
            topology,
            cut,
            calibration,
            clock,
            json_path,
        )
        return
    ids = tokenizer.encode(prompts[0] if prompts else "")
    check_prompt(ids, graph.vocabulary, graph.positions)
    if chips > 1 and target != "reference":
        engine: Engine = linked(graph, tokenizer, target, config, chips, topology, cut, 1, calibration)
    else:
        engine = _engine(graph, tokenizer, target, config, calibration, line)
    started = time.perf_counter()
    generation = Generation(engine, ids, tokens, sampler, {tokenizer.bos, tokenizer.eos})
    stream = TextStream(tokenizer.decode_piece, ids[0])
    quiet = json_path == "-"
    shown = "".join(stream.feed(token) for token in ids[1:])
    click.echo("" if quiet else shown, nl=False)
    steps: list[Step] = []
    for step in generation.steps():
        steps.append(step)
        new = stream.feed(step.token)
        click.echo("" if quiet else new, nl=False)
    rest = stream.finish()
    seconds = time.perf_counter() - started
    if not quiet:
        click.echo(rest)
    data = figures(stream.text, ids, generation, steps, config, target, chips)
    if json_path:
        report(data, json_path)
    if not quiet:
        if generation.stopped:
            click.echo(f"stopped after {len(steps)} of {tokens} tokens: {generation.stopped}")
        if steps[0].cycles is not None:
            show(data, clock, seconds)
    if (
        data["cycles"] != data["predicted_cycles"]
        or data["prefill_cycles"] != data["predicted_prefill_cycles"]
    ):
        ctx.exit(1)


def _engine(
    graph: Graph,
    tokenizer: Tokenizer,
    target: str,
    config: TileConfig,
    calibration: str | None,
    line: BoardLine,
) -> Engine:
    """The float reference, or the compiled model in a machine."""
    if target == "reference":
        from golden.session import ReferenceSession

        return ReferenceSession(graph)
    from golden.calibrate import quantised_model, text_sequences
    from lpu.commands.progress import progress
    from lpu.compiler.model import compile_model
    from lpu.runtime.session import Session

    with progress() as tell:
        tell("calibrating")
        text = text_sequences(graph, tokenizer, calibration) if calibration else None
        quantised = quantised_model(graph, text, tokenizer.bos)
        program = compile_model(
            quantised, config, progress=lambda entry, done, of: tell(f"compiling {entry}", done, of)
        )
        tell("starting the machine")
        if target == "board":
            # The board may hold the program from the last run.
            at = board(
                config, line, reuse=True, progress=lambda done, of: tell("loading the board", done, of)
            )
            return Session(at, program)
        return Session(machine(config, target, line=line), program)


def figures(
    text: str,
    prompt: list[int],
    generation: Generation,
    steps: list[Step],
    config: TileConfig,
    target: str,
    chips: int = 1,
) -> dict[str, Any]:
    """What a run is worth telling, as JSON has it; no cycles for the float reference."""
    from lpu.arch import SliceKind

    arrays = max(1, sum(s.kind is SliceKind.MXM for s in config.floorplan)) * chips
    counted = [s for s in steps if s.cycles is not None]
    return {
        "text": text,
        "prompt_tokens": prompt,
        "tokens": [s.token for s in steps],
        "cycles": [s.cycles for s in counted],
        "predicted_cycles": [s.predicted for s in counted],
        "prefill_cycles": generation.prefill.cycles,
        "predicted_prefill_cycles": generation.prefill.predicted,
        "mxm_busy": [round((s.passes or 0) / max(s.cycles or 0, 1) / arrays, 4) for s in counted],
        "config": config.name,
        "chips": chips,
        "target": target,
    }


def show(data: dict[str, Any], clock: float, seconds: float) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    cycles, predicted = data["cycles"], data["predicted_cycles"]
    mean = sum(cycles) / len(cycles)
    total = sum(cycles) + data["prefill_cycles"]
    where = data["config"] if data["chips"] == 1 else f"{data['chips']} chips of {data['config']}"
    table = Table(title=f"{len(cycles)} tokens on {where}, {data['target']}")
    for column in ("", "counted", "predicted"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("cycles a token, first", f"{cycles[0]:,}", f"{predicted[0]:,}")
    table.add_row("cycles a token, last", f"{cycles[-1]:,}", f"{predicted[-1]:,}")
    table.add_row("cycles a token, mean", f"{mean:,.0f}", f"{sum(predicted) / len(predicted):,.0f}")
    table.add_row(
        "cycles of the prompt", f"{data['prefill_cycles']:,}", f"{data['predicted_prefill_cycles']:,}"
    )
    busy = sum(share * n for share, n in zip(data["mxm_busy"], cycles, strict=True)) / sum(cycles)
    table.add_row("MXM busy", f"{busy:.1%}", "")
    if data["target"] == "board":
        table.add_row("tokens/s, serial line included", f"{len(cycles) / seconds:,.1f}", "")
    else:
        table.add_row("simulated kHz", f"{total / seconds / 1000:,.1f}", "")
    table.add_row(f"tokens/s at {clock:g} MHz", "", f"{clock * 1e6 / mean:,.1f}")
    Console().print(table)
