"""The matrix product kernel: int8 [m, k] x int8 [k, n] -> int32 [m, n], activations and results in MEM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lpu.arch import TileConfig
from lpu.compiler.builder import QueueOverflow, link
from lpu.compiler.matmul_layout import Layout, MatmulError, Shape, Span, blocks, memory_images, place
from lpu.compiler.matmul_schedule import Timeline, variants
from lpu.program import Program

if TYPE_CHECKING:
    from lpu.runtime.machine import Machine

#: Greatest number of products whose sum surely fits an int32.
_MAX_K = (2**31 - 1) // (128 * 128)


def ideal_cycles(config: TileConfig, m: int, k: int, n: int) -> int:
    """Cycles of an array that does a pass in every one: ceil(k / lanes) * ceil(n / lanes) * m."""
    return Shape(m, k, n, config.lanes).ideal


def compile_matmul(
    config: TileConfig, activations: np.ndarray, weights: np.ndarray, *, streamed: bool = False
) -> Program:
    """A program for ``activations @ weights``.

    Its cycle count runs from the first dispatch to the write of the last result. Read the result with :func:`read_result`.

    Parameters
    ----------
    activations, weights : int8 [m, k] and [k, n], any sizes from 1 on.
    streamed : weights start in MEM and are loaded (LWR) during the run, overlapped with passes; else they are resident.

    Raises MatmulError if contexts, MEM or queues are too small, with how much is missing.
    """
    (m, k), (_, n) = activations.shape, weights.shape
    if not min(m, k, n) >= 1 or k != weights.shape[0]:
        raise MatmulError(
            f"cannot multiply {activations.shape} by {weights.shape}: use [m, k] and [k, n], sizes from 1 on"
        )
    if k > _MAX_K:
        raise MatmulError(f"k={k} could overflow int32: use {_MAX_K} or less")
    if activations.dtype != np.int8 or weights.dtype != np.int8:
        raise MatmulError(f"operands are {activations.dtype} and {weights.dtype}: use int8")
    shape = Shape(m, k, n, config.lanes)
    needed = shape.blocks_k * (1 if streamed else shape.blocks_n)
    if needed > config.contexts:
        raise MatmulError(
            f"{m}x{k}x{n} needs {needed} contexts, {config.name} has {config.contexts}: {needed - config.contexts} missing; "
            + ("use more contexts" if streamed else "use more contexts, or streamed weights")
        )
    layout = place(config, shape, streamed=streamed)
    tight: QueueOverflow | None = None
    for timeline in variants(config, shape, layout, streamed=streamed):
        try:
            built = timeline.schedule().build()
        except QueueOverflow as overflow:
            tight = overflow if tight is None or overflow.words < tight.words else tight
            continue
        program = link(config, {"main": built})
        _images(program, timeline, activations, weights)
        program.symbols = {
            "kernel": "matmul",
            "m": m,
            "k": k,
            "n": n,
            "streamed": streamed,
            **layout.symbols(),
        }
        return program
    raise MatmulError(f"{m}x{k}x{n} on {config.name}: {tight}")


def _images(program: Program, timeline: Timeline, activations: np.ndarray, weights: np.ndarray) -> None:
    """Fill in activations, and weights in the order in which the passes want them."""
    config, shape, layout = timeline.config, timeline.shape, timeline.layout
    cut = blocks(weights, shape)
    columns = timeline.variant.columns
    groups = [
        np.stack([cut[k, g * columns + n] for k, n in row.order]) for g, row in enumerate(timeline.rows)
    ]
    if not timeline.streamed:
        program.images = memory_images(config, layout, shape, activations, None)
        program.images[layout.array] = np.concatenate(groups).tobytes()
        return
    # Line by line: row r of every block in the group, then row r + 1.
    planes = np.concatenate([g.transpose(1, 0, 2).reshape(-1, shape.lanes) for g in groups])
    program.images = memory_images(config, layout, shape, activations, planes)


def read_result(machine: Machine, program: Program) -> np.ndarray:
    """int32 [m, n] from the machine's memories after a run."""
    symbols = program.symbols
    parts = []
    for span in (Span(**s) for s in symbols["results"]):
        words = machine.read_memory(span.slice, span.start, span.count * span.size)
        parts.append(np.asarray(words).view(np.int32).reshape(span.count, -1))
    return np.concatenate(parts)[:, : symbols["n"]]


__all__ = ["Layout", "MatmulError", "compile_matmul", "ideal_cycles", "read_result"]
