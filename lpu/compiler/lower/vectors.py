"""Lowerings of float vectors: Gather, Norm, Residual."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lpu.compiler.flow import Flow, Step
from lpu.compiler.lower.machine import BRIEF, MXM, TOKEN, VXM, Bytes, Float, Lowering
from lpu.compiler.quantised import Gather, Norm
from lpu.isa import Destination, Operand, Quantise, Reduction, Source, Special


def store(low: Lowering, flow: Flow, chain: Step, value: Float, start: int, count: int) -> None:
    """Write a chain's words ``start`` .. of a float vector to memory and take part in the maximum of magnitudes.

    Behind the last one the reciprocal of the quantisation step follows at once: the norm that comes next waits for it.
    """
    write = flow.step(
        low.west_write, "WRITE", count=count, strides={"addr": 1}, addr=value.word + start, src=0, mask=0
    )
    steps, last = low.reduce(
        flow, Reduction.FABSMAX, low.absmax, value.axis.vectors, start=start, count=count
    )
    flow.net(chain, (write, "src"), *((s, "src") for s in steps))
    if last is not None:
        _reciprocal(low, flow, last)


def _reciprocal(low: Lowering, flow: Flow, largest: Step) -> None:
    """Of the quantisation step that a maximum of magnitudes gives, into its register."""
    reciprocal = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        b=Operand.STREAM,
        f=Special.RECIP,
        to=Destination.REG,
        to_at=low.recip,
    )
    flow.net(largest, (reciprocal, "a_at", False))
    low.constant(flow, reciprocal, "b_at", low.scalar("1/127", 1 / 127), paired=False)


def gather(low: Lowering, op: Gather, value: Float, table: int) -> None:
    """Embedding row of the token in X[TOKEN]: planes ``vocabulary`` apart from west plane ``table`` on."""
    vocabulary, nv = len(op.table), value.axis.vectors
    scales = low.scales("embedding scale", value.axis, op.scale)
    flow = low.flow("embedding")
    read = flow.step(
        low.west,
        "READB",
        count=nv,
        strides={"addr": vocabulary},
        index={"addr": TOKEN},
        region=("table",),
        addr=table,
        dst=0,
    )
    _dequantise(low, flow, read, "a_at", Source.INT8, scales, value, 1)
    low.place(flow)


def gather_by_pass(low: Lowering, op: Gather, value: Float, context: int, unit: int) -> None:
    """The same from the array: a one-hot activation picks a row of context X[BRIEF 0] of each of the table's columns.

    ``context``: first one; ``unit``: first west plane of the unit vectors.
    """
    nv, blocks = value.axis.vectors, -(-len(op.table) // low.lanes)
    scales = low.scales("embedding scale", value.axis, op.scale)
    flow = low.flow("embedding")
    read = flow.step(low.west, "READB", index={"addr": BRIEF[1]}, region=("unit",), addr=unit, dst=0)
    act = low.config.activations - 1
    load = flow.step(f"{MXM}.load", "LA", act=act, src=0, mask=0)
    flow.net(read, (load, "src"), bytes=1)
    low.place(flow)
    for first in range(0, nv, low.config.accumulators // 2):
        count = min(nv - first, low.config.accumulators // 2)
        flow = low.flow("embedding", chained=False)
        flow.step(
            f"{MXM}.passes",
            "PASS",
            count=count,
            strides={"ctx": blocks, "acc": 1},
            index={"ctx": BRIEF[0]},
            ctx=context + first * blocks,
            act=act,
            acc=0,
            clear=1,
        )
        low.place(flow)
        flow = low.flow("embedding")
        drain = flow.step(f"{MXM}.drain", "DRAIN", count=count, strides={"acc": 1}, acc=0, dst=0)
        _dequantise(low, flow, drain, "a_at", Source.INT32, scales, value, 4, first, count)
        low.place(flow)


def _dequantise(
    low: Lowering,
    flow: Flow,
    source: Step,
    field: str,
    kind: Source,
    scales: int,
    value: Float,
    size: int,
    first: int = 0,
    count: int | None = None,
) -> None:
    count = value.axis.vectors if count is None else count
    chain = flow.step(f"{VXM}.chain", "CHAIN", count=count, a=kind, b=Operand.STREAM, to=Destination.STREAM)
    flow.net(source, (chain, field), bytes=size)
    low.constant(flow, chain, "b_at", scales + first, count=count)
    store(low, flow, chain, value, first, count)


def arrived(low: Lowering, value: Float) -> None:
    """The maximum of magnitudes of a float vector that is in memory, and its reciprocal, as :func:`store` makes them."""
    nv = value.axis.vectors
    flow = low.flow("arrival")
    read = flow.step(low.west, "READ", count=nv, strides={"addr": 1}, addr=value.word, dst=0)
    steps, last = low.reduce(flow, Reduction.FABSMAX, low.absmax, nv)
    flow.net(read, *((s, "src") for s in steps))
    assert last is not None
    _reciprocal(low, flow, last)
    low.place(flow)


def norm(low: Lowering, op: Norm, source: Float, act: int, m: int) -> Bytes:
    """Quantise by the maximum of magnitudes, and make the step that the projections' results take."""
    nv, n = source.axis.vectors, len(source.axis.at)
    shift = 17 - math.ceil(math.log2(n))
    scale = np.sqrt(2.0**-shift / n) / 127
    flow = low.flow("norm")
    chain = _read(low, flow, source, b=Operand.REG, b_at=low.recip, to=Destination.STREAM, q=Quantise.INT8)
    low.load_bytes(flow, chain, act, count=nv)
    low.place(flow)
    for register, name, factor, squared in (
        (low.step_size, "1/127", 1 / 127, Operand.NONE),
        (low.square, f"norm {n}", scale, Operand.SELF),
    ):
        flow = low.flow("norm")
        emitted = low.again(flow, Reduction.FABSMAX, low.absmax, 0)
        chain = flow.step(
            f"{VXM}.chain", "CHAIN", b=Operand.STREAM, d=squared, to=Destination.REG, to_at=register
        )
        flow.net(emitted, (chain, "a_at", False))
        low.constant(flow, chain, "b_at", low.scalar(name, factor), paired=False)
        low.place(flow)
    flow = low.flow("norm")
    chain = _read(
        low,
        flow,
        source,
        b=Operand.REG,
        b_at=low.recip,
        d=Operand.SELF,
        q=Quantise.INT32,
        shift=shift,
        to=Destination.STREAM,
    )
    steps, last = low.reduce(flow, Reduction.SUM, low.squares, nv)
    flow.net(chain, *((s, "src") for s in steps))
    assert last is not None
    step = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        a=Source.INT32,
        b=Operand.REG,
        b_at=low.square,
        c=Operand.STREAM,
        f=Special.RSQRT,
        d=Operand.REG,
        d_at=low.step_size,
        to=Destination.REG,
        to_at=low.step(m),
    )
    flow.net(last, (step, "a_at", False))
    low.constant(flow, step, "c_at", low.scalar(f"eps {op.eps}", op.eps), paired=False)
    low.place(flow)
    return Bytes(source.axis, act, low.step(m))


def _read(low: Lowering, flow: Flow, source: Float, **args: Any) -> Step:
    """A chain over the words of a float vector in memory."""
    nv = source.axis.vectors
    read = flow.step(low.west, "READ", count=nv, strides={"addr": 1}, addr=source.word, dst=0)
    chain = flow.step(f"{VXM}.chain", "CHAIN", count=nv, **args)
    flow.net(read, (chain, "a_at"))
    return chain


def block_passes(
    low: Lowering, what: str, context: int, act: int, *, acc: int, count: int, clear: bool
) -> None:
    """One input block times ``count`` columns: contexts in a row, accumulators ``acc`` .."""
    flow = low.flow(what, chained=False)
    flow.step(
        f"{MXM}.passes",
        "PASS",
        count=count,
        strides={"ctx": 1, "acc": 1},
        ctx=context,
        act=act,
        acc=acc,
        clear=int(clear),
    )
    low.place(flow)


def add(low: Lowering, left: Float, right: Float, value: Float) -> None:
    """The sum of two float vectors of west memory, a word at a time: both come through one port."""
    for n in range(value.axis.vectors):
        flow = low.flow("sum")
        chain = flow.step(f"{VXM}.chain", "CHAIN", c=Operand.STREAM, to=Destination.STREAM)
        for source, field in ((left, "a_at"), (right, "c_at")):
            read = flow.step(low.west, "READ", addr=source.word + n, dst=0)
            flow.net(read, (chain, field))
        store(low, flow, chain, value, n, 1)
        low.place(flow)


def add_residual(
    low: Lowering,
    what: str,
    scales: int,
    addend: Float | None,
    value: Float,
    acc: int,
    first: int,
    count: int,
) -> None:
    """Finished columns plus the addend, of which the maximum is taken; or alone, to be added elsewhere."""
    flow = low.flow(what)
    drain = flow.step(f"{MXM}.drain", "DRAIN", count=count, strides={"acc": 1}, acc=acc, dst=0)
    chain = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        count=count,
        a=Source.INT32,
        b=Operand.STREAM,
        c=Operand.NONE if addend is None else Operand.STREAM,
        to=Destination.STREAM,
    )
    flow.net(drain, (chain, "a_at"))
    low.constant(flow, chain, "b_at", scales + first, count=count)
    if addend is None:
        word = value.word + first
        write = flow.step(low.west_write, "WRITE", count=count, strides={"addr": 1}, addr=word, src=0, mask=0)
        flow.net(chain, (write, "src"))
    else:
        read = flow.step(low.west, "READ", count=count, strides={"addr": 1}, addr=addend.word + first, dst=0)
        flow.net(read, (chain, "c_at"))
        store(low, flow, chain, value, first, count)
    low.place(flow)
