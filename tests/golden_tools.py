"""Small programs placed by cycle, for the tests of the golden tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.tile import Tile
from lpu.arch import PRESETS, TileConfig, parse_floorplan
from lpu.isa import Instruction, east, west
from lpu.program import Program
from lpu.runtime.machine import Result

#: host0 mem0 sxm0 mxm0 vxm0 mem1 at positions 0 to 5; four lanes, two beats.
TINY = PRESETS["tiny"]
#: The same kinds in another order, so that streams also flow west to east between other pairs.
TWICE = TileConfig("twice", 4, 4, 4, parse_floorplan("mem:16 mxm host mem:16 vxm sxm mxm mem:16"))

E0, E4, W0, W4 = east(0), east(4), west(0), west(4)

#: A CHAIN that copies a float word stream; tests override fields.
COPY = {
    **dict.fromkeys(
        ("b", "b_at", "c", "c_at", "add", "f", "d", "d_at", "q", "shift", "tap", "accumulate"), 0
    ),
    **{"a": 1, "a_at": E0, "to": 1, "to_at": E0, "acc": 0, "mask": 0},
}


def i(
    op: str, count: int = 1, interval: int = 1, gap: int = 0, strides=None, index=None, **args: int
) -> Instruction:
    """An instruction; ``mask`` may be left out."""
    if op in ("WRITE", "WRITEB", "SCATTER", "LA", "LWR", "LWC", "REDUCE"):
        args.setdefault("mask", 0)
    return Instruction(op, args, count, interval, gap, strides or {}, index or {})


def chain(**fields: int) -> Instruction:
    """A CHAIN, COPY but for the fields given."""
    return Instruction("CHAIN", {**COPY, **fields})


def place(items: Mapping[int, Instruction]) -> list[Instruction]:
    """Queue words that dispatch each instruction in its cycle, and HALT right behind the last."""
    words, now = [], 0
    for cycle in sorted(items):
        assert cycle >= now, f"{items[cycle].op} at {cycle}: the queue is busy until {now}"
        if cycle > now:
            words.append(Instruction("NOP", count=cycle - now))
        words.append(items[cycle])
        now = cycle + items[cycle].length
    return [*words, Instruction("HALT")]


def program(
    queues: Mapping[str, Mapping[int, Instruction]], config: TileConfig = TINY, **fields: Any
) -> Program:
    """A program of queues placed by cycle."""
    return Program(config, {name: place(items) for name, items in queues.items()}, **fields)


def run(tile: Tile, queues: Mapping[str, Mapping[int, Instruction]]) -> Result:
    """Load and run; the tile keeps its memories."""
    tile.load(program(queues, tile.config))
    return tile.run()


def tile_with(config: TileConfig = TINY, **memories: Any) -> Tile:
    """A tile with words written from address 0 of the memories named."""
    tile = Tile(config)
    for name, words in memories.items():
        tile.write_memory(name, 0, np.asarray(words, np.uint32))
    return tile


def ramp(words: int, lanes: int = 4) -> np.ndarray:
    """Words whose every byte is different: 0x1w1l2w2l ... enough to see misplaced lanes and planes."""
    w, lane = np.arange(words)[:, None], np.arange(lanes)[None]
    return (0x01000000 * (16 * w + lane) + 0x00800000 + 0x4000 + 256 * lane + 8 * w + lane + 0x80).astype(
        np.uint32
    )


def violation(result: Result) -> tuple[str, int, int] | None:
    """(kind, position, cycle)"""
    found = result.violation
    return None if found is None else (found.kind.name, found.position, found.cycle)


def result_of(
    tile: Tile,
    queues: Mapping[str, Mapping[int, Instruction]],
    source: str,
    stream: int,
    at: int,
    byte: bool = False,
) -> np.ndarray:
    """What left slice ``source`` in cycle ``at``, caught by a WRITE (or WRITEB) in mem1 of TINY.

    Proves the cycle: a write one cycle earlier or later finds nothing.
    """
    dispatch = at + TINY.hops(source, "mem1") - 1
    write = i("WRITEB", addr=4 * 59, src=stream) if byte else i("WRITE", addr=59, src=stream)
    for beside in (-1, 1):
        found = violation(run(_copy(tile), {**queues, "mem1.write": {dispatch + beside: write}}))
        assert found == ("NO_OPERAND", 5, dispatch + beside + 1), "a result beside its cycle"
    tile.write_memory("mem1", 59, np.zeros((1, 4), np.uint32))
    found = violation(run(tile, {**queues, "mem1.write": {dispatch: write}}))
    assert found is None, found
    return tile.read_memory("mem1", 59, 1)[0]


def _copy(tile: Tile) -> Tile:
    """A tile with the same memories, weights, registers and buffers."""
    other = Tile(tile.config)
    for name in ("mem0", "mem1"):
        other.write_memory(name, 0, tile.read_memory(name, 0, tile.config.spec(name).depth))
    for name, unit in tile.slices.items():
        for attribute in ("weights", "activations", "registers", "accumulators", "maps", "transpose"):
            if hasattr(unit, attribute):
                getattr(other.slices[name], attribute)[...] = getattr(unit, attribute)
    return other


def with_mask(lanes: str, mask: int = 1) -> dict[int, Instruction]:
    """Host queue that makes a mask of the first lanes (``"1100"``); dispatches from cycle 10 on see it."""
    return {0: i("CONFIG", x=1, value=lanes.count("1")), 1: i("TAIL", mask=mask, src=1)}
