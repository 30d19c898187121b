"""Lowerings of projections: query, key, value, Gate with the Residual behind it, Residual, Logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lpu.compiler.access import Place
from lpu.compiler.flow import Flow, Step
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.machine import (
    BLOCK,
    HOST,
    MXM,
    REST,
    SXM,
    TOKEN,
    VXM,
    Bytes,
    Float,
    Lowering,
)
from lpu.compiler.lower.vectors import add_residual, block_passes
from lpu.compiler.place import Axis, Heads
from lpu.isa import AddMode, Destination, Operand, Quantise, Reduction, Source, Special


def _columns(low: Lowering, what: str, context: int, source: Bytes, column: int) -> int:
    """Passes of one output column; returns its accumulator."""
    acc, blocks = low.accumulator(), source.axis.vectors
    low.passes(what, context + column * blocks, blocks, source.act, acc)
    return acc


def _scaled(low: Lowering, flow: Flow, acc: int, scales: int, column: int, **args: Any) -> Step:
    """DRAIN and a chain which converts and takes the column's scales."""
    drain = flow.step(f"{MXM}.drain", "DRAIN", acc=acc, dst=0)
    chain = flow.step(f"{VXM}.chain", "CHAIN", a=Source.INT32, b=Operand.STREAM, **args)
    flow.net(drain, (chain, "a_at"))
    low.constant(flow, chain, "b_at", scales + column)
    return chain


def angles(
    low: Lowering, tables: dict[str, int], high: int, rest: int, cosine: int, sine: int, m: int
) -> None:
    """Cosine and sine of position X[rest] + 16 X[high] of each lane into east words ``cosine`` and ``sine``."""
    products = (
        ("sin high", "sin low", None, None),
        ("cos high", "cos low", AddMode.SUB, cosine),
        ("cos high", "sin low", None, None),
        ("sin high", "cos low", AddMode.ADD, sine),
    )
    for a, b, mode, word in products:
        flow = low.flow("rotary")
        chain = flow.step(
            f"{VXM}.chain",
            "CHAIN",
            b=Operand.STREAM,
            c=Operand.NONE if mode is None else Operand.REG,
            c_at=low.cosine,
            add=AddMode.ADD if mode is None else mode,
            to=Destination.REG if mode is None else Destination.STREAM,
            to_at=low.cosine,
        )
        for field, name, at, offset in (("a_at", a, high, 0), ("b_at", b, rest, m)):
            # One operand from each memory: both lie in both.
            queue, memory = (low.west, "west") if field == "a_at" else (low.east, "east")
            read = flow.step(
                queue,
                "READ",
                index={"addr": at},
                region=("angles", memory),
                addr=tables[f"{memory} {name}"] + offset,
                dst=0,
            )
            flow.net(read, (chain, field))
        if word is not None:
            write = flow.step(low.east_write, "WRITE", addr=word, src=0, mask=0)
            flow.net(chain, (write, "src"))
        low.place(flow)


def turn(low: Lowering, cosine: int, sine: int, step: int) -> None:
    """Cosine and sine times a norm's step, into their registers."""
    for word, register in ((cosine, low.cosine), (sine, low.sine)):
        flow = low.flow("rotary")
        chain = flow.step(
            f"{VXM}.chain", "CHAIN", b=Operand.REG, b_at=step, to=Destination.REG, to_at=register
        )
        low.constant(flow, chain, "a_at", word)
        low.place(flow)


def rotated(
    low: Lowering, what: str, acc: int, scales: int, column: int, masks: Sequence[int]
) -> Iterator[tuple[Flow, Step, int]]:
    """Flows that end in chains with a rotated int8 column, one a mask: yields (flow, chain, n) to be completed and placed."""
    kept = low.temporary()
    flow = low.flow(what)
    _scaled(low, flow, acc, scales, column, d=Operand.REG, d_at=low.cosine, to=Destination.REG, to_at=kept)
    low.place(flow)
    for n, mask in enumerate(masks):
        flow = low.flow(what)
        scaled = _scaled(low, flow, acc, scales, column, to=Destination.STREAM)
        rotate = flow.step(f"{SXM}.move", "ROTATE", n=low.lanes // 2, src=0, dst=0)
        flow.net(scaled, (rotate, "src"))
        chain = flow.step(
            f"{VXM}.chain",
            "CHAIN",
            b=Operand.REG,
            b_at=low.sine,
            c=Operand.REG,
            c_at=kept,
            to=Destination.STREAM,
            mask=mask,
            q=Quantise.INT8,
        )
        flow.net(rotate, (chain, "a_at"))
        yield flow, chain, n


def query(
    low: Lowering,
    source: Bytes,
    context: int,
    scales: int,
    heads: Heads,
    masks: Sequence[int],
    act: int,
    wanted: range,
) -> None:
    """Rotated query heads ``wanted``, each alone in its lanes, into activation entries ``act`` + head - wanted.start."""
    columns: dict[int, list[int]] = {}
    for head in wanted:
        columns.setdefault(heads.vector(head), []).append(head)
    accs = {column: _columns(low, "query", context, source, column) for column in columns}
    for column, here in columns.items():
        slots = [masks[heads.slot(h)] for h in here]
        for flow, chain, n in rotated(low, "query", accs[column], scales, column, slots):
            low.load_bytes(flow, chain, act + here[n] - wanted.start)
            low.place(flow)


def key(
    low: Lowering,
    source: Bytes,
    context: int,
    scales: int,
    heads: Heads,
    cache: tuple[int, int],
    place: Place,
    m: int,
) -> None:
    """Rotated key heads, written as columns of their contexts: ``cache`` is (first context, contexts a vector)."""
    for column in range(heads.kv_vectors):
        acc = _columns(low, "key", context, source, column)
        for flow, chain, _ in rotated(low, "key", acc, scales, column, [0]):
            _cached(low, flow, chain, "LWC", cache, column, place, m)


def value(
    low: Lowering,
    source: Bytes,
    context: int,
    scales: int,
    heads: Heads,
    cache: tuple[int, int],
    place: Place,
    m: int,
) -> None:
    """Value heads, written as rows."""
    for column in range(heads.kv_vectors):
        acc = _columns(low, "value", context, source, column)
        flow = low.flow("value")
        chain = _scaled(
            low,
            flow,
            acc,
            scales,
            column,
            d=Operand.REG,
            d_at=source.step or 0,
            to=Destination.STREAM,
            q=Quantise.INT8,
        )
        _cached(low, flow, chain, "LWR", cache, column, place, m)


def _cached(
    low: Lowering, flow: Flow, chain: Step, op: str, cache: tuple[int, int], column: int, place: Place, m: int
) -> None:
    first, blocks = cache
    write = flow.step(
        f"{MXM}.weights",
        op,
        index={"ctx": BLOCK, "line": REST},
        region=place,
        ctx=first + column * blocks,
        line=m,
        src=0,
        mask=0,
    )
    flow.net(chain, (write, "src"), bytes=1)
    low.place(flow)


def residual(
    low: Lowering, what: str, source: Bytes, context: int, scales: int, addend: Float, result: Float
) -> None:
    """A projection of int8 activations with static scale plus the addend; input blocks outer: it starts with the first."""
    columns = result.axis.vectors
    room = min(columns, low.config.accumulators - low.upper)
    for first in range(0, columns, room):
        count = min(room, columns - first)
        for block in range(source.axis.vectors):
            at = context + block * columns + first
            block_passes(low, what, at, source.act + block, acc=low.upper, count=count, clear=block == 0)
        add_residual(low, what, scales, addend, result, low.upper, first, count)


def gate_scales(
    low: Lowering, scales: tuple[int, int], words: tuple[int, int], count: int, step: int
) -> None:
    """Scales of gate and up times the norm's step, for this position, into east words."""
    for source, target in zip(scales, words, strict=True):
        flow = low.flow("gate scales")
        chain = flow.step(
            f"{VXM}.chain", "CHAIN", count=count, b=Operand.REG, b_at=step, to=Destination.STREAM
        )
        low.constant(flow, chain, "a_at", source, count=count)
        write = flow.step(
            low.east_write, "WRITE", count=count, strides={"addr": 1}, addr=target, src=0, mask=0
        )
        flow.net(chain, (write, "src"))
        low.place(flow)


def feed_forward(
    low: Lowering,
    source: Bytes,
    hidden: int,
    contexts: tuple[int, int, int],
    words: tuple[int, int],
    scales: int,
    addend: Float | None,
    result: Float,
    acts: range,
) -> None:
    """Gate and the Residual (without ``addend`` the Partial) behind it: columns of gate and up, and what is ready of them at
    once into the down projection.

    ``hidden``: blocks between them. ``contexts``: gate, up, down. ``words``: east words of the scaled scales. ``acts``: a ring.
    """
    columns, total = result.axis.vectors, low.config.accumulators
    room = min(columns, total // 2)
    groups = [range(f, min(f + room, columns)) for f in range(0, columns, room)]
    # Behind the last group nothing more is made; each further group wants every block again.
    if len(groups) > 1 and hidden > len(acts):
        raise GraphError(
            f"{low.label}: {hidden} blocks between gate and down projection, {low.config.name} buffers {len(acts)}: "
            "use a larger activations or accumulators"
        )
    # The first blocks of the down projection fill the cycles in which the last ones are made.
    lag = min(len(acts), hidden)
    scores, top = low.scores, total - room
    low.scores = top

    def down(block: int) -> None:
        at = contexts[2] + block * columns + groups[0].start
        act = acts[block % len(acts)]
        block_passes(low, "down", at, act, acc=top, count=len(groups[0]), clear=block == 0)

    for block in range(hidden):
        if block >= lag:
            down(block - lag)
        gates = [_columns(low, name, contexts[n], source, block) for n, name in enumerate(("gate", "up"))]
        kept = low.temporary()
        flow = low.flow("gate")
        _scaled(
            low,
            flow,
            gates[0],
            words[0],
            block,
            f=Special.SIGMOID,
            d=Operand.SELF,
            to=Destination.REG,
            to_at=kept,
        )
        low.place(flow)
        flow = low.flow("up")
        chain = _scaled(
            low,
            flow,
            gates[1],
            words[1],
            block,
            d=Operand.REG,
            d_at=kept,
            to=Destination.STREAM,
            q=Quantise.INT8,
        )
        low.load_bytes(flow, chain, acts[block % len(acts)])
        low.place(flow)
    for block in range(max(0, hidden - lag), hidden):
        down(block)
    add_residual(low, "down", scales, addend, result, top, 0, len(groups[0]))
    low.scores = scores
    for group in groups[1:]:
        for block in range(hidden):
            at = contexts[2] + block * columns + group.start
            block_passes(low, "down", at, acts[block], acc=0, count=len(group), clear=block == 0)
        add_residual(low, "down", scales, addend, result, 0, group.start, len(group))


def logits(low: Lowering, source: Bytes, context: int, scales: int, axis: Axis, word: int) -> None:
    """All logits to west memory, the arg-max into X[TOKEN]."""
    total, padding = axis.vectors, len(axis.at) % low.lanes
    mask = low.space.mask(np.arange(padding)) if padding else 0
    for column in range(total):
        acc = _columns(low, "logits", context, source, column)
        flow = low.flow("logits")
        chain = _scaled(
            low, flow, acc, scales, column, d=Operand.REG, d_at=source.step or 0, to=Destination.STREAM
        )
        write = flow.step(low.west_write, "WRITE", addr=word + column, src=0, mask=0)
        steps, last = low.reduce(flow, Reduction.FARGMAX, low.argmax, total, start=column, count=1, mask=mask)
        flow.net(chain, (write, "src"), *((s, "src") for s in steps))
        if last is not None:
            index = flow.step(f"{HOST}.port", "LDX", x=TOKEN, src=0)
            flow.net(last, (index, "src", False))
        low.place(flow)
