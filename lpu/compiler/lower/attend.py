"""Lowering of Attend: scores, softmax and weighted sum over a context whose length is known at run time.

Whole blocks of ``lanes`` positions are the iterations of two counted loops; the block that holds the current position
comes first, under a mask, and starts the running maxima and sums that the loops go on with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lpu.compiler.access import Place
from lpu.compiler.flow import Flow
from lpu.compiler.lower.machine import BLOCK, MXM, SXM, VXM, Lowering
from lpu.compiler.place import Axis, Heads
from lpu.isa import LOOP_INDEX, AddMode, Destination, Operand, Quantise, Reduction, Source, Special
from lpu.timing import pass_visible

LOWEST = -(1 << 31)


@dataclass(frozen=True)
class Attention:
    """One group of rows (query heads of one position) and its places.

    Parameters
    ----------
    heads : lanes of the heads. wanted : the query heads. mask : lane mask of the current block's visible positions.
    keys, values : (first context, contexts a vector) of the caches. cache : the places that stand for them.
    queries, weights : activation entries, one a row. sums, totals : MXM accumulators of the weighted sums, running
        accumulators of the weights' sums, likewise. results : entry of each vector of the result.
    tail, scores : west words of the current block's scores and of whole blocks'. bounds : east words, one a row.
    alpha, kappa : east words. scales : first east word of the result's scales, one a head.
    """

    heads: Heads
    wanted: range
    mask: int
    keys: tuple[int, int]
    values: tuple[int, int]
    cache: tuple[Place, Place]
    queries: int
    weights: int
    results: int
    sums: int
    totals: int
    tail: int
    scores: int
    bounds: int
    alpha: int
    kappa: int
    scales: int
    slots: tuple[int, ...]

    @property
    def rows(self) -> int:
        return len(self.wanted)

    def runs(self) -> list[tuple[int, int, int]]:
        """(first row, rows, key vector) of stretches of rows whose keys share a vector."""
        found: list[tuple[int, int, int]] = []
        for row, head in enumerate(self.wanted):
            vector = head // self.heads.group // self.heads.slots
            if found and found[-1][2] == vector:
                found[-1] = (found[-1][0], found[-1][1] + 1, vector)
            else:
                found.append((row, 1, vector))
        return found


def _passes(
    low: Lowering,
    a: Attention,
    what: str,
    cache: tuple[int, int],
    act: int,
    base: int,
    *,
    clear: int,
    tail: bool,
    place: Place | None,
) -> Flow:
    """A pass a row."""
    flow = low.flow(what, chained=False)
    flow.polite = False
    for first, count, vector in a.runs():
        flow.step(
            f"{MXM}.passes",
            "PASS",
            at=first,
            count=count,
            strides={"act": 1, "acc": 1},
            index={"ctx": BLOCK if tail else LOOP_INDEX},
            loop_step=1,
            region=place,
            ctx=cache[0] + vector * cache[1],
            act=act + first,
            acc=base + first,
            clear=clear,
        )
    return flow


def _scores(low: Lowering, a: Attention, *, tail: bool) -> list[Flow]:
    """Scores of one block to memory and into the running maxima."""
    passes = _passes(
        low,
        a,
        "scores",
        a.keys,
        a.queries,
        low.scores,
        clear=1,
        tail=tail,
        place=a.cache[0] if tail else None,
    )
    flow = passes
    drain = flow.step(
        f"{MXM}.drain",
        "DRAIN",
        at=pass_visible(low.config),
        count=a.rows,
        strides={"acc": 1},
        acc=low.scores,
        dst=0,
    )
    write = flow.step(
        low.west_write,
        "WRITE",
        count=a.rows,
        strides={"addr": 1},
        index={} if tail else {"addr": LOOP_INDEX},
        region=None if tail else ("scores", a.scores),
        loop_step=a.rows,
        varies=True,
        addr=a.tail if tail else a.scores,
        src=0,
        mask=0,
    )
    reduce = flow.step(
        f"{SXM}.reduce",
        "REDUCE",
        count=a.rows,
        strides={"acc": 1},
        acc=0,
        how=int(Reduction.MAX),
        clear=int(tail),
        emit=0,
        src=0,
        dst=0,
        mask=a.mask if tail else 0,
    )
    flow.net(drain, (write, "src"), (reduce, "src"))
    return [flow]


def _weights(low: Lowering, a: Attention, *, tail: bool) -> list[Flow]:
    """Softmax weights of one block's scores, as activations and into the running sums, and their passes."""
    flow = low.flow("softmax")
    flow.polite = False
    read = flow.step(
        low.west,
        "READ",
        count=a.rows,
        strides={"addr": 1},
        index={} if tail else {"addr": LOOP_INDEX},
        region=None if tail else ("scores", a.scores),
        loop_step=a.rows,
        varies=True,
        addr=a.tail if tail else a.scores,
        dst=0,
    )
    chain = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        count=a.rows,
        a=Source.INT32,
        b=Operand.REG,
        b_at=low.recip,
        c=Operand.STREAM,
        add=AddMode.SUB,
        f=Special.EXP2,
        q=Quantise.INT32,
        shift=7,
        to=Destination.STREAM,
        mask=a.mask if tail else 0,
    )
    flow.net(read, (chain, "a_at"))
    low.constant(flow, chain, "c_at", a.bounds, count=a.rows)
    # Weights are 0 to 127: the lowest byte of the word is the int8 activation.
    load = flow.step(f"{MXM}.load", "LA", count=a.rows, strides={"act": 1}, act=a.weights, src=0, mask=0)
    total = flow.step(
        f"{SXM}.reduce",
        "REDUCE",
        count=a.rows,
        strides={"acc": 1},
        acc=a.totals,
        how=int(Reduction.SUM),
        clear=int(tail),
        emit=0,
        src=0,
        dst=0,
        mask=0,
    )
    flow.net(chain, (load, "src"), (total, "src"))
    passes = _passes(
        low,
        a,
        "weighted sum",
        a.values,
        a.weights,
        a.sums,
        clear=int(tail),
        tail=tail,
        place=a.cache[1] if tail else None,
    )
    return [flow, passes]


def scores(low: Lowering, a: Attention) -> None:
    """Scores of all blocks, and from their maxima the bounds that are subtracted."""
    for flow in _scores(low, a, tail=True):
        low.place(flow)
    low.timeline.loop(BLOCK, _scores(low, a, tail=False))


def bounds(low: Lowering, a: Attention) -> None:
    """What is subtracted before the exponential: the maximum's place and a little more, so that weights end at 127."""
    flow = low.flow("softmax")
    chain = flow.step(f"{VXM}.chain", "CHAIN", to=Destination.REG, to_at=low.recip)
    low.constant(flow, chain, "a_at", a.alpha)
    low.place(flow)
    flow = low.flow("softmax")
    emitted = low.again(flow, Reduction.MAX, 0, LOWEST, count=a.rows)
    chain = flow.step(
        f"{VXM}.chain",
        "CHAIN",
        count=a.rows,
        a=Source.INT32,
        b=Operand.REG,
        b_at=low.recip,
        c=Operand.STREAM,
        to=Destination.STREAM,
    )
    flow.net(emitted, (chain, "a_at"))
    low.constant(flow, chain, "c_at", a.kappa, count=a.rows, stride=0)
    write = flow.step(
        low.east_write, "WRITE", count=a.rows, strides={"addr": 1}, addr=a.bounds, src=0, mask=0
    )
    flow.net(chain, (write, "src"))
    low.place(flow)


def mix(low: Lowering, a: Attention) -> None:
    """Softmax and weighted sum over all blocks."""
    for flow in _weights(low, a, tail=True):
        low.place(flow)
    low.timeline.loop(BLOCK, _weights(low, a, tail=False))


def results(low: Lowering, a: Attention) -> None:
    """Weighted sums over the sums of weights, as int8 into each row's lanes of an activation entry."""
    for row, head in enumerate(a.wanted):
        flow = low.flow("softmax")
        emitted = low.again(flow, Reduction.SUM, a.totals + row, 0)
        chain = flow.step(
            f"{VXM}.chain",
            "CHAIN",
            a=Source.INT32,
            f=Special.RECIP,
            d=Operand.STREAM,
            to=Destination.REG,
            to_at=low.row_registers[row],
        )
        flow.net(emitted, (chain, "a_at"))
        low.constant(flow, chain, "d_at", a.scales + head)
        low.place(flow)
    for row, head in enumerate(a.wanted):
        flow = low.flow("attention result")
        drain = flow.step(f"{MXM}.drain", "DRAIN", acc=a.sums + row, dst=0)
        chain = flow.step(
            f"{VXM}.chain",
            "CHAIN",
            a=Source.INT32,
            b=Operand.REG,
            b_at=low.row_registers[row],
            q=Quantise.INT8,
            to=Destination.STREAM,
        )
        flow.net(drain, (chain, "a_at"))
        low.load_bytes(flow, chain, a.results + a.heads.vector(head), mask=a.slots[a.heads.slot(head)])
        low.place(flow)


def softmax_kappa() -> float:
    """docs/quantised.md: the largest weight is 127/128."""
    return -math.log2(127 / 128)


def head_scales(low: Lowering, heads: Heads, axis: Axis, values: np.ndarray) -> np.ndarray:
    """Scales of the result [heads, lanes], each head's in its lanes."""
    out = np.zeros((heads.heads, low.lanes))
    for head in range(heads.heads):
        here = slice(head * heads.head_dim, (head + 1) * heads.head_dim)
        out[head, axis.at[here] % low.lanes] = values[here]
    return out
