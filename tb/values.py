"""Random contents for memories, weights, vectors and tokens: mostly values at which arithmetic goes wrong."""

from __future__ import annotations

import random

from lpu.arch import FloatFormat, SliceKind, TileConfig
from tb.picker import Layers

#: Words of each memory, and contexts of each array, that an image covers.
IMAGE_WORDS, IMAGE_CONTEXTS = 96, 32
INT32 = (
    0,
    1,
    -1,
    2,
    -2,
    127,
    -127,
    -128,
    128,
    255,
    65535,
    1 << 24,
    (1 << 31) - 1,
    -(1 << 31),
    -(1 << 31) + 1,
)
INT8 = (0, 0, 1, -1, 2, -2, 3, 7, 63, 64, -64, 126, 127, -127, -128)


def float_word(rng: random.Random, form: FloatFormat) -> int:
    """A float: any bits, a special, a power of two, a half-way case, or a number of ordinary size."""
    top, fraction = (1 << form.exponent) - 1, (1 << form.mantissa) - 1
    sign = rng.getrandbits(1)
    kind = rng.choices(range(8), [1, 2, 3, 3, 4, 4, 4, 4])[0]
    if kind == 0:
        exponent, mantissa = rng.randint(0, top), rng.getrandbits(form.mantissa)
    elif kind == 1:
        exponent, mantissa = rng.choice(
            [(0, 0), (top, 0), (top, 1), (top, fraction), (top - 1, fraction), (1, 0), (0, 1)]
        )
    elif kind == 2:
        exponent, mantissa = form.bias + rng.randint(-6, 8), 0
    elif kind == 3:
        exponent, mantissa = (
            form.bias + rng.randint(-2, 9),
            rng.choice([1, fraction, fraction >> 1, fraction - 1]),
        )
    elif kind < 6:
        # Half the bits: products of two such are often half way between two floats.
        low = form.mantissa - (form.mantissa + 2) // 2
        exponent, mantissa = form.bias + rng.randint(-3, 5), rng.getrandbits(form.mantissa - low) << low
    else:
        exponent, mantissa = form.bias + rng.randint(-4, 6), rng.getrandbits(form.mantissa)
    exponent = max(0, min(top, exponent))
    rest = rng.getrandbits(form.word_shift) if form.word_shift and rng.random() < 0.2 else 0
    return (sign << (form.width - 1) | exponent << form.mantissa | mantissa) << form.word_shift | rest


def word(rng: random.Random, form: FloatFormat, kind: int) -> int:
    """32 bits of one lane."""
    if kind < 4:
        return float_word(rng, form)
    if kind < 6:
        return rng.choice(INT32) & 0xFFFFFFFF
    if kind < 8:
        return sum((int8(rng) & 0xFF) << 8 * b for b in range(4))
    if kind < 9:
        return rng.randint(-300, 300) & 0xFFFFFFFF
    return rng.getrandbits(32)


def int8(rng: random.Random) -> int:
    """An int8, at its bounds more often than not."""
    return rng.choice(INT8) if rng.random() < 0.5 else rng.randint(-128, 127)


def vector(rng: random.Random, config: TileConfig) -> list[int]:
    """One word a lane, all of a kind or mixed; sometimes all equal (ties in reductions)."""
    if rng.random() < 0.55:
        kinds = [0] * config.lanes
    elif rng.random() < 0.6:
        kinds = [rng.randrange(10)] * config.lanes
    else:
        kinds = [rng.randrange(10) for _ in range(config.lanes)]
    values = [word(rng, config.float_format, k) for k in kinds]
    if rng.random() < 0.15:
        values = [rng.choice(values[:2]) for _ in values]
    return values


def pack(values: list[int]) -> bytes:
    """Words, little-endian."""
    return b"".join(v.to_bytes(4, "little") for v in values)


class Inputs:
    """Everything that a random program starts from.

    Members
    -------
    images : of memories, weights and masks. constants : slice name -> the words at the start of its image, which hold
    small numbers in their low 16 bits. masks : lanes of each mask from mask 0 on.
    tokens, vectors : to push first.
    """

    def __init__(self, rng: random.Random, config: TileConfig):
        self.images: dict[str, bytes] = {}
        self.constants: dict[str, list[list[int]]] = {}
        lanes = config.lanes
        for name in config.slice_names:
            kind = config.spec(name).kind
            if kind is SliceKind.MEM:
                layers = Layers.of(config, name)
                self.constants[name] = [
                    [rng.randint(0, top) | rng.choice([0, rng.getrandbits(16)]) << 16 for _ in range(lanes)]
                    for top in rng.choices([0, 1, 7], [1, 1, 6], k=layers.constants)
                ]
                words = list(self.constants[name])
                few = vector(rng, config)[:3]
                while len(words) < min(layers.depth, IMAGE_WORDS):
                    # Some of few values: equal maxima in one vector and in several.
                    some = [rng.choice(few) for _ in range(lanes)]
                    words.append(some if rng.random() < 0.25 else vector(rng, config))
                self.images[name] = b"".join(map(pack, words))
            elif kind is SliceKind.MXM:
                size = min(config.contexts, IMAGE_CONTEXTS) * lanes**2
                self.images[name] = bytes(int8(rng) & 0xFF for _ in range(size))
        full = (1 << lanes) - 1
        some = rng.randint(0, config.masks - 1)
        self.masks = [full] + [rng.choice([0, full, *[rng.getrandbits(lanes)] * 3]) for _ in range(some)]
        self.images["masks"] = b"".join(m.to_bytes((lanes + 7) // 8, "little") for m in self.masks)
        count = rng.choice([0, rng.randint(0, config.token_fifo), config.token_fifo])
        self.tokens = [rng.choice([0, 1, 2, 3, 5, 7, rng.getrandbits(16)]) for _ in range(count)]
        count = rng.choice([0, rng.randint(0, config.vector_fifo), config.vector_fifo])
        self.vectors = [vector(rng, config) for _ in range(count)]
