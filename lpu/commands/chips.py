"""Language models on several chips, for ``lpu run`` and ``lpu compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lpu.commands.options import cabled, report, system

if TYPE_CHECKING:
    from lpu.arch import TileConfig
    from lpu.commands.progress import Tell
    from lpu.compiler.frontend import Tokenizer
    from lpu.compiler.graph import Graph
    from lpu.compiler.quantised import Quantised


def linked(
    graph: Graph,
    tokenizer: Tokenizer,
    target: str,
    config: TileConfig,
    chips: int,
    topology: str | None,
    cut: str,
    sequences: int,
    calibration: str | None,
) -> Any:
    """The model compiled for several chips: an engine for one text, a session for several."""
    from golden.calibrate import quantised_model, text_sequences
    from lpu.commands.progress import progress
    from lpu.compiler.chips import compile_system
    from lpu.runtime.system import SystemEngine, SystemSession

    tile, shape = cabled(config, topology, chips)
    with progress() as tell:
        tell("calibrating")
        text = text_sequences(graph, tokenizer, calibration) if calibration else None
        program = compile_system(
            quantised_model(graph, text, tokenizer.bos),
            tile,
            chips,
            topology=shape,
            sequences=sequences,
            cut=cut,
            progress=lambda what, done, of: tell(what, done, of),
        )
        tell("starting the chips")
        session = SystemSession(system(tile, shape, target), program)
    return SystemEngine(session) if sequences == 1 else session


def several(
    ctx: click.Context,
    graph: Graph,
    tokenizer: Tokenizer,
    prompts: tuple[str, ...],
    tokens: int,
    target: str,
    config: TileConfig,
    chips: int,
    topology: str | None,
    cut: str,
    calibration: str | None,
    clock: float,
    json_path: str | None,
) -> None:
    """Several texts at once, each on another chip at any time; they are shown when all are told."""
    from lpu.runtime.text import TextStream

    ids = [tokenizer.encode(prompt) for prompt in prompts]
    session = linked(graph, tokenizer, target, config, chips, topology, cut, len(prompts), calibration)
    prefill = session.start(ids)
    told: list[list[int]] = [[] for _ in ids]
    cycles, predicted = [], []
    room = session.program.config.token_fifo // len(ids)
    while len(told[0]) < tokens and (left := session.capacity - max(session.positions)):
        done = session.rounds(min(tokens - len(told[0]), room, left))
        for mine, new in zip(told, done.tokens, strict=True):
            mine += new
        cycles.append(done.cycles)
        predicted.append(done.predicted)
    streams = []
    for mine, new in zip(ids, told, strict=True):
        stream = TextStream(tokenizer.decode_piece, mine[0])
        stream_end = next((n for n, t in enumerate(new) if t in {tokenizer.bos, tokenizer.eos}), len(new))
        for token in (*mine[1:], *new[:stream_end]):
            stream.feed(token)
        stream.finish()
        streams.append(stream)
    count = sum(map(len, told))
    data = {
        "text": [s.text for s in streams],
        "prompt_tokens": ids,
        "tokens": told,
        "cycles": cycles,
        "predicted_cycles": predicted,
        "prefill_cycles": prefill[0],
        "predicted_prefill_cycles": prefill[1],
        "cycles_per_token": round(sum(cycles) / max(1, count), 1),
        "config": session.program.config.name,
        "chips": chips,
        "target": target,
    }
    if json_path:
        report(data, json_path)
    if json_path != "-":
        for stream in streams:
            click.echo(stream.text + "\n")
        rate = clock * 1e6 * count / max(1, sum(cycles))
        click.echo(
            f"{count} tokens of {len(ids)} texts on {chips} chips: {sum(cycles):,} cycles, {data['cycles_per_token']:,} a token, "
            f"{rate:,.0f} tokens/s at {clock:g} MHz"
        )
    if cycles != predicted or prefill[0] != prefill[1]:
        ctx.exit(1)


def compiled(
    quantised: Quantised,
    config: TileConfig,
    chips: int,
    topology: str | None,
    cut: str,
    sequences: int,
    output: str,
    tell: Tell,
) -> None:
    """Compile for several chips: a system file, and what each chip does."""
    from lpu.compiler.chips import compile_system

    tile, shape = cabled(config, topology, chips)
    made = compile_system(quantised, tile, chips, topology=shape, sequences=sequences, cut=cut, progress=tell)
    made.save(output)
    slots = made.slots
    for chip, part in enumerate(made.symbols["chips"]):
        used = sum(count for _, count, _ in made.programs[chip].symbols["contexts"])
        click.echo(
            f"chip {chip}: {part['operations']} operations, {part['first']}, {used:,} of {tile.contexts:,} contexts"
        )
    if "why" in made.symbols:
        click.echo(made.symbols["why"])
    click.echo(
        f"a round: {len(slots.fixed)} slots of {', '.join(f'{n:,}' for n in slots.fixed)} cycles, and "
        f"{', '.join(map(str, slots.period))} more for each {slots.lanes} positions"
    )
    rounds = 16
    cycles = slots.cycles(rounds, 0)
    click.echo(
        f"{shape.name} of {chips} chips of {tile.name}, {sequences} sequence{'s' if sequences > 1 else ''}: "
        f"{cycles / rounds / sequences:,.0f} cycles a token over the first {rounds}"
    )
    click.echo(
        f"schedules and links proven for the first and the last position; {output}: entries state, decode"
    )
