"""A matrix product that keeps the array busy in every cycle: what simulation speed is measured on.

``y[j] = round(sum over k of x[k] @ W[j * depth + k] * 2**SHIFT)`` with one block W a context, ``depth`` activation
vectors, int32 results one word a j. It initialises whatever it reads, so that it may follow a reset.
"""

from __future__ import annotations

import numpy as np

from lpu import timing
from lpu.arch import SliceKind, TileConfig
from lpu.isa import LOOP_INDEX, Destination, Instruction, Quantise, Source
from lpu.program import Program

SHIFT = -5
#: Symbols of the program: memory and first word of the results, and how many there are.
RESULT = "result"


def matmul(config: TileConfig, seed: int = 0, rounds: int = 1) -> Program:
    """The program, with random weights and activations. ``rounds``: how often all of it is computed (1 to 4095).

    A round takes one cycle a context. Needs a MEM, an MXM and a VXM with streams between them; ValueError otherwise.
    """
    names = config.slice_names
    if not all(name in names for name in ("mem0", "mxm0", "vxm0")):
        raise ValueError(f"{config.name} has no mem0, mxm0 and vxm0")
    memories = [n for n, s in zip(names, config.floorplan, strict=True) if s.kind is SliceKind.MEM]
    result = memories[-1]
    for source, sink in (("mem0", "mxm0"), ("mxm0", "vxm0"), ("vxm0", result)):
        if not config.routes(source, sink):
            raise ValueError(f"{config.name} has no stream from {source} to {sink}: widen inject or tap")
    inwards, drains, outwards = (
        2 * 4 * word + "ew".index(direction)
        for direction, word in (
            config.routes("mem0", "mxm0")[0],
            config.routes("mxm0", "vxm0")[-1],
            config.routes("vxm0", result)[0],
        )
    )
    depth = min(config.activations, config.contexts)
    blocks = min(config.contexts // depth, config.spec(result).depth - depth)

    load = {"act": 0, "src": inwards, "mask": 0}
    passing = {"ctx": 0, "act": 0, "acc": 0, "clear": 1}
    chain = dict.fromkeys(
        ("b", "b_at", "c", "c_at", "add", "f", "d", "d_at", "tap", "accumulate", "acc", "mask"), 0
    )
    chain |= {"a": Source.INT32, "a_at": drains, "q": Quantise.INT32, "shift": SHIFT}
    chain |= {"to": Destination.STREAM, "to_at": outwards}
    write = {"addr": depth, "src": chain["to_at"], "mask": 0}

    # Each instruction's first dispatch, from the one before it along the stream.
    loaded = timing.READ_RESULT + config.hops("mem0", "mxm0") - timing.SAMPLE
    passes = max(loaded + depth - 1 + timing.ACTIVATION_VISIBLE, 2 * timing.LOOP_CYCLES + 1)
    drain = passes + depth - 1 + timing.pass_visible(config)
    convert = drain + timing.DRAIN_RESULT + config.hops("mxm0", "vxm0") - timing.SAMPLE
    store = convert + timing.chain(chain, config).result + config.hops("vxm0", result) - timing.SAMPLE

    indexed = {"ctx": LOOP_INDEX}
    body = [Instruction("PASS", passing, index=indexed)]
    if depth > 1:
        following = {**passing, "ctx": 1, "act": 1, "clear": 0}
        body.append(
            Instruction("PASS", following, count=depth - 1, strides={"ctx": 1, "act": 1}, index=indexed)
        )
    rest = [Instruction("NOP", count=depth - 1)] if depth > 1 else []

    def nest(start: int, words: list[Instruction], step: int) -> list[Instruction]:
        outer = {"count": rounds, "index": 0, "length": len(words) + 2, "step": 0}
        inner = {"count": blocks, "index": 0, "length": len(words), "step": step}
        return [
            Instruction("NOP", count=start - 2 * timing.LOOP_CYCLES),
            Instruction("LOOP", outer),
            Instruction("LOOP", inner),
            *words,
            Instruction("NOP"),
            Instruction("HALT"),
        ]

    drained = Instruction("DRAIN", {"acc": 0, "dst": drains})
    stored = Instruction("WRITE", write, index={"addr": LOOP_INDEX})
    queues = {
        "mem0.read": [
            Instruction("READB", {"addr": 0, "dst": inwards}, count=depth, strides={"addr": 4}),
            Instruction("HALT"),
        ],
        "mxm0.load": [
            *([Instruction("NOP", count=loaded)] if loaded else []),
            Instruction("LA", load, count=depth, strides={"act": 1}),
            Instruction("HALT"),
        ],
        "mxm0.passes": nest(passes, body, depth),
        "mxm0.drain": nest(drain, [drained, *rest], 0),
        "vxm0.chain": nest(convert, [Instruction("CHAIN", chain), *rest], 0),
        f"{result}.write": nest(store, [stored, *rest], 1),
    }
    x, weights = operands(config, seed, depth, blocks)
    words = x.view(np.uint8).astype("<u4")
    images = {"mem0": words.tobytes(), "mxm0": weights.tobytes()}
    return Program(config, queues, images, symbols={RESULT: [result, depth, blocks], "seed": seed})


def operands(config: TileConfig, seed: int, depth: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Random activations int8 [depth, lanes] and weights int8 [blocks * depth, lanes, lanes]."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-127, 128, (depth, config.lanes), dtype=np.int8)
    return x, rng.integers(-127, 128, (blocks * depth, config.lanes, config.lanes), dtype=np.int8)


def expected(program: Program) -> np.ndarray:
    """The results by NumPy: int32 [blocks, lanes]."""
    _, depth, blocks = program.symbols[RESULT]
    x, weights = operands(program.config, program.symbols["seed"], depth, blocks)
    products = np.einsum(
        "ki,bkij->bj", x.astype(np.int64), weights.reshape(blocks, depth, *weights.shape[1:])
    )
    # int32 to the tile's float (half to even at its precision), then to an integer: half to even again.
    form = program.config.float_format
    magnitude = np.abs(products).astype(np.float64)
    unit = 2.0 ** (np.floor(np.log2(np.maximum(magnitude, 1))) - form.mantissa)
    rounded = np.sign(products) * np.round(magnitude / unit) * unit
    return np.round(rounded * 2.0**SHIFT).astype(np.int32)
