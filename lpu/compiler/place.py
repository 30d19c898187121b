"""Where everything lies: lanes of channels, contexts of matrices, words of constants; and the images they make."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpu.arch import FloatFormat, SliceKind, TileConfig
from lpu.compiler.graph import GraphError
from lpu.compiler.quantised import Attend

#: Stored bits of a mantissa below which softmax would lose kappa (docs/quantised.md), and weights would reach 128.
LEAST_MANTISSA = 14


class FitError(GraphError):
    """A model that the configuration has no room for; one line saying what does not fit and by how much."""


def float_words(fmt: FloatFormat, values: ArrayLike) -> NDArray[np.uint32]:
    """Constants rounded to the float format (docs/numerics.md), as stream words."""
    values = np.asarray(values, np.float64)
    significand, exponent = np.frexp(np.abs(values))  # in [0.5, 1)
    mantissa = np.rint(np.ldexp(significand, fmt.mantissa + 1)).astype(np.int64)
    carried = mantissa >> (fmt.mantissa + 1)
    mantissa, exponent = mantissa >> carried, exponent + carried
    biased = exponent - 1 + fmt.bias
    bits = (biased << fmt.mantissa) + mantissa - (1 << fmt.mantissa)
    infinity = ((1 << fmt.exponent) - 1) << fmt.mantissa
    bits = np.where((biased < 1) | (values == 0), 0, np.minimum(bits, infinity))
    bits |= np.signbit(values).astype(np.int64) << (fmt.width - 1)
    return (bits << fmt.word_shift).astype(np.uint32)


@dataclass(frozen=True)
class Axis:
    """A vector's channels in lanes: channel c at ``at[c]`` = vector * lanes + lane; ``vectors`` of them."""

    at: NDArray[np.int64]
    vectors: int

    def spread(self, lanes: int, values: NDArray, fill: float = 0) -> NDArray:
        """[channels] to [vectors, lanes], padding filled."""
        out = np.full(self.vectors * lanes, fill, values.dtype)
        out[self.at] = values
        return out.reshape(self.vectors, lanes)


def plain(lanes: int, channels: int) -> Axis:
    """Channels in order."""
    return Axis(np.arange(channels), -(-channels // lanes))


@dataclass(frozen=True)
class Heads:
    """Attention heads in lanes: ``slots`` key heads share a vector; the query heads of a key head lie in its lanes.

    Halves of rotary pairs lie half a vector apart, so that one rotation by lanes/2 brings each channel its partner.

    Parameters
    ----------
    lanes, heads, kv_heads, head_dim : head_dim even and at most lanes.
    """

    lanes: int
    heads: int
    kv_heads: int
    head_dim: int

    @property
    def slots(self) -> int:
        return self.lanes // self.head_dim

    @property
    def group(self) -> int:
        """Query heads of a key head."""
        return self.heads // self.kv_heads

    @property
    def kv_vectors(self) -> int:
        return -(-self.kv_heads // self.slots)

    def vector(self, head: int) -> int:
        """Vector of a query head."""
        kv = head // self.group
        return kv // self.slots * self.group + head % self.group

    def slot(self, head: int) -> int:
        """Which of a vector's slots a query head has."""
        return head // self.group % self.slots

    def lanes_of(self, slot: int) -> NDArray[np.int64]:
        """Lanes of a slot: first halves of its pairs, then second halves."""
        half = self.head_dim // 2
        first = np.arange(slot * half, (slot + 1) * half)
        return np.concatenate([first, first + self.lanes // 2])

    def _order(self, interleaved: bool) -> NDArray[np.int64]:
        """Position within ``lanes_of`` of each channel of a head."""
        half, channel = self.head_dim // 2, np.arange(self.head_dim)
        return channel // 2 + channel % 2 * half if interleaved else channel

    def queries(self, interleaved: bool) -> Axis:
        """Channels of the query, and of the attention's result."""
        order = self._order(interleaved)
        at = [self.vector(h) * self.lanes + self.lanes_of(self.slot(h))[order] for h in range(self.heads)]
        return Axis(np.concatenate(at), self.kv_vectors * self.group)

    def keys(self, interleaved: bool) -> Axis:
        """Channels of key and value."""
        order = self._order(interleaved)
        at = [
            g // self.slots * self.lanes + self.lanes_of(g % self.slots)[order] for g in range(self.kv_heads)
        ]
        return Axis(np.concatenate(at), self.kv_vectors)

    def angles(self, base: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(angle a position [lanes], sign [lanes] of the sine), padding lanes with angle 0."""
        half = self.head_dim // 2
        angle, sign = np.zeros(self.lanes), np.ones(self.lanes)
        for slot in range(self.slots):
            lanes = self.lanes_of(slot)
            angle[lanes] = np.tile(base ** (-2 * np.arange(half) / self.head_dim), 2)
            sign[lanes[:half]] = -1
        return angle, sign


def heads_of(config: TileConfig, op: Attend) -> Heads:
    """Layout of an attention's heads. Raises GraphError where the tile cannot hold or compute them."""
    if op.head_dim > config.lanes or op.head_dim % 2:
        raise GraphError(
            f"attention {op.out!r} with head_dim {op.head_dim}: {config.name} takes even ones up to its {config.lanes} lanes; "
            "use more lanes"
        )
    if op.heads % op.kv_heads:
        raise GraphError(f"attention {op.out!r}: {op.heads} heads are no multiple of {op.kv_heads} key heads")
    if config.float_format.mantissa < LEAST_MANTISSA:
        raise GraphError(
            f"attention {op.out!r}: floats of {config.name} have a mantissa of {config.float_format.mantissa} bits, "
            f"softmax needs {LEAST_MANTISSA}"
        )
    return Heads(config.lanes, op.heads, op.kv_heads, op.head_dim)


@dataclass
class Memory:
    """Words of one MEM slice given out in order, with their contents.

    Parameters
    ----------
    slice, lanes, depth : the memory.
    """

    slice: str
    lanes: int
    depth: int
    used: int = 0
    map: list[tuple[int, int, str]] = field(default_factory=list)
    contents: dict[int, NDArray[np.uint32]] = field(default_factory=dict)
    _same: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def room(self, name: str, words: int) -> int:
        """First of ``words`` words."""
        at, self.used = self.used, self.used + words
        self.map.append((at, words, name))
        return at

    def constant(self, name: str, words: NDArray[np.uint32]) -> int:
        """First word of [n, lanes] constants; the same ones of one name are kept once."""
        words = np.ascontiguousarray(words, np.uint32).reshape(-1, self.lanes)
        key = name, words.tobytes()
        if key not in self._same:
            self._same[key] = self.room(name, len(words))
            self.contents[self._same[key]] = words
        return self._same[key]

    def image(self) -> bytes:
        """All words given out, those without contents zero."""
        out = np.zeros((min(self.used, self.depth), self.lanes), np.uint32)
        for at, words in self.contents.items():
            out[at : at + len(words)] = words
        return out.tobytes()


@dataclass
class Contexts:
    """Contexts of one MXM given out in order."""

    lanes: int
    total: int
    used: int = 0
    map: list[tuple[int, int, str]] = field(default_factory=list)
    _contents: dict[int, NDArray[np.int8]] = field(default_factory=dict)
    _same: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def room(self, name: str, count: int) -> int:
        """First of ``count`` contexts."""
        at, self.used = self.used, self.used + count
        self.map.append((at, count, name))
        return at

    def matrix(self, name: str, weight: NDArray[np.int8], rows: Axis, columns: Axis, *, outer: str) -> int:
        """First context of ``weight`` [outputs, inputs], inputs in ``rows``, outputs in ``columns``.

        ``outer`` "columns": context n * rows.vectors + k holds input block k of output block n; "rows": k * columns.vectors + n.
        """
        lanes = self.lanes
        whole = np.zeros((rows.vectors * lanes, columns.vectors * lanes), np.int8)
        whole[np.ix_(rows.at, columns.at)] = weight.T
        blocks = whole.reshape(rows.vectors, lanes, columns.vectors, lanes)
        order = (2, 0, 1, 3) if outer == "columns" else (0, 2, 1, 3)
        packed = blocks.transpose(order).reshape(-1, lanes, lanes)
        at = self.room(name, len(packed))
        self._contents[at] = packed
        return at

    def image(self) -> bytes:
        """Contexts up to the last one with contents."""
        end = max((at + len(c) for at, c in self._contents.items()), default=0)
        out = np.zeros((min(end, self.total), self.lanes, self.lanes), np.int8)
        for at, contents in self._contents.items():
            out[at : at + len(contents)] = contents
        return out.tobytes()


@dataclass
class Space:
    """All places of a tile that a program gives out: memories west and east of the array, contexts, lane masks.

    ``west`` holds what SXM and MXM need, ``east`` the VXM's constants.
    """

    config: TileConfig
    west: Memory
    east: Memory
    contexts: Contexts
    masks: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, config: TileConfig) -> Space:
        """Raises GraphError for a floorplan that programs of this kind cannot use."""
        names = config.slice_names
        for kind in (SliceKind.MXM, SliceKind.VXM, SliceKind.SXM):
            if f"{kind}0" not in names:
                raise GraphError(
                    f"{config.name} has no {kind} slice: the compiler needs one; add it to the floorplan"
                )
        memories = [n for n, s in zip(names, config.floorplan, strict=True) if s.kind is SliceKind.MEM]
        place = config.position
        west = [m for m in memories if place(m) < place("vxm0")]
        east = [m for m in memories if place(m) > place("vxm0")]
        if not west or not east or max(place("sxm0"), place("mxm0")) > place("vxm0"):
            raise GraphError(
                f"{config.name}: the compiler needs a mem, the sxm and the mxm west of the vxm and a mem east of it"
            )
        nearest = min(west, key=lambda m: config.hops(m, "sxm0"))
        west_memory, east_memory = (Memory(m, config.lanes, config.spec(m).depth) for m in (nearest, east[0]))
        contexts = Contexts(config.lanes, config.contexts)
        return cls(config, west_memory, east_memory, contexts, [(1 << config.lanes) - 1])

    def mask(self, lanes: NDArray[np.int64]) -> int:
        """Number of the mask with just these lanes."""
        bits = sum(1 << int(lane) for lane in lanes)
        if bits not in self.masks:
            self.masks.append(bits)
        return self.masks.index(bits)

    def reserve_mask(self) -> int:
        """Number of a mask that the program writes."""
        self.masks.append(0)
        return len(self.masks) - 1

    def check(self, source: str) -> None:
        """Raise FitError naming everything that has no room, and by how much."""
        config = self.config
        wants = [("MXM contexts", self.contexts.used, config.contexts)]
        wants += [(f"{m.slice} words", m.used, m.depth) for m in (self.west, self.east)]
        wants.append(("lane masks", len(self.masks), config.masks))
        short = [
            f"{want:,} {what} where there are {have:,}: {want - have:,} too many"
            for what, want, have in wants
            if want > have
        ]
        if short:
            raise FitError(
                f"{source} does not fit {config.name}: it needs {'; '.join(short)}. Use a larger configuration or a smaller model"
            )
