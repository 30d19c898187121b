"""Where a matrix product lives: memory spans, streams, images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lpu.arch import SliceKind, TileConfig


class MatmulError(ValueError):
    """A matrix product that the configuration cannot hold; one line with what is missing."""


@dataclass(frozen=True)
class Shape:
    """Sizes of [m, k] x [k, n] on ``lanes`` lanes."""

    m: int
    k: int
    n: int
    lanes: int

    @property
    def blocks_k(self) -> int:
        """Vectors of one activation row: ceil(k / lanes)."""
        return -(-self.k // self.lanes)

    @property
    def blocks_n(self) -> int:
        """Vectors of one result row: ceil(n / lanes)."""
        return -(-self.n // self.lanes)

    @property
    def ideal(self) -> int:
        """Passes, hence cycles of an array that is never idle."""
        return self.m * self.blocks_k * self.blocks_n


@dataclass(frozen=True)
class Span:
    """Items ``first`` ... ``first + count - 1`` of something, ``size`` addresses each, from ``start`` of a MEM slice on."""

    slice: str
    start: int
    first: int
    count: int
    size: int

    def address(self, item: int) -> int:
        """Address of an item's first word (or byte plane)."""
        return self.start + (item - self.first) * self.size


def locate(spans: Sequence[Span], item: int) -> Span:
    """The span that holds an item."""
    return next(s for s in spans if s.first <= item < s.first + s.count)


@dataclass(frozen=True)
class Layout:
    """Placement of one matrix product.

    ``activations``: rows of byte planes. ``weights``: single byte planes in order of use (streamed weights only). ``results``:
    rows of int32 words. ``stream`` codes by (what, slice).
    """

    array: str
    activations: tuple[Span, ...]
    weights: tuple[Span, ...]
    results: tuple[Span, ...]
    streams: dict[tuple[str, str], int]

    def symbols(self) -> dict[str, Any]:
        """Where things lie, as a program's symbols."""
        return {
            "array": self.array,
            "activations": [asdict(s) for s in self.activations],
            "weights": [asdict(s) for s in self.weights],
            "results": [asdict(s) for s in self.results],
        }


def place(config: TileConfig, shape: Shape, *, streamed: bool) -> Layout:
    """Choose MEM slices, nearest to the array first, and streams. Raises MatmulError with the words missing."""
    kinds = dict(zip(config.slice_names, config.floorplan, strict=True))
    arrays = [n for n, s in kinds.items() if s.kind is SliceKind.MXM]
    memories = [n for n, s in kinds.items() if s.kind is SliceKind.MEM]
    if not arrays or not memories:
        raise MatmulError(
            f"{config.name} has no {'mxm' if memories else 'mem'} slice: a matrix product needs one of each"
        )
    array = min(arrays, key=lambda a: min(config.hops(a, m) for m in memories))
    nearest = sorted(memories, key=lambda m: config.hops(array, m))
    room = {m: kinds[m].depth for m in memories}

    planes = shape.m * shape.blocks_k
    bytes_of_weights = shape.blocks_k * shape.blocks_n * shape.lanes if streamed else 0
    words = shape.m * shape.blocks_n
    need = -(-planes // 4) + -(-bytes_of_weights // 4) + words
    total = sum(room.values())
    parts = f"activations {-(-planes // 4)}, weights {-(-bytes_of_weights // 4)}, results {words}"
    if need > total:
        raise MatmulError(
            f"{shape.m}x{shape.k}x{shape.n} needs {need} MEM words ({parts}), {config.name} has {total}: "
            f"{need - total} missing; use deeper or more mem slices"
        )
    activations = _fill(room, nearest, shape.m, shape.blocks_k, 4)
    held = {s.slice for s in activations or ()}
    weights = _fill(room, sorted(nearest, key=lambda m: m in held), bytes_of_weights, 1, 4)
    results = _fill(room, nearest, shape.m, shape.blocks_n, 1)
    if activations is None or weights is None or results is None:
        raise MatmulError(
            f"{shape.m}x{shape.k}x{shape.n} needs {need} of {total} MEM words ({parts}), but whole rows of it do not fit "
            f"the {len(memories)} mem slices of {config.name}; use deeper ones"
        )
    return Layout(
        array, activations, weights, results, _streams(config, array, activations, weights, results)
    )


def _fill(
    room: dict[str, int], order: list[str], items: int, size: int, per_word: int
) -> tuple[Span, ...] | None:
    """Spans of ``items`` items of ``size`` addresses (``per_word`` to a word), taking room from the top down."""
    spans, first = [], 0
    for name in order:
        count = min(items - first, room[name] * per_word // size)
        if count > 0:
            room[name] -= -(-count * size // per_word)
            spans.append(Span(name, room[name] * per_word, first, count, size))
            first += count
    return tuple(spans) if first == items else None


def _streams(
    config: TileConfig,
    array: str,
    activations: Sequence[Span],
    weights: Sequence[Span],
    results: Sequence[Span],
) -> dict[tuple[str, str], int]:
    """Stream codes. Inputs take one word stream's bytes, results another word if both go the same way."""
    codes: dict[tuple[str, str], int] = {}
    taken: set[tuple[str, int]] = set()

    def choose(what: str, source: str, sink: str, byte: int, avoid: set[tuple[str, int]]) -> tuple[str, int]:
        routes = [route for route in config.routes(source, sink) if route not in avoid]
        if not routes:
            raise MatmulError(
                f"no word stream left from {source} to {sink} for {what} on {config.name}: use more streams, inject or tap"
            )
        direction, word = routes[0]
        codes[what, sink if source == array else source] = 2 * (4 * word + byte) + "ew".index(direction)
        return routes[0]

    for what, spans, byte in (("activations", activations, 0), ("weights", weights, 1)):
        for name in {s.slice for s in spans}:
            taken.add(choose(what, name, array, byte, set()))
    for name in {s.slice for s in results}:
        choose("results", array, name, 0, taken)
    return codes


def memory_images(
    config: TileConfig,
    layout: Layout,
    shape: Shape,
    activations: np.ndarray,
    weight_planes: np.ndarray | None,
) -> dict[str, bytes]:
    """MEM images. ``activations``: int8 [m, k]; ``weight_planes``: int8 [planes, lanes] in order of use."""
    padded = np.zeros((shape.m, shape.blocks_k * shape.lanes), np.int8)
    padded[:, : shape.k] = activations
    rows = padded.reshape(shape.m, shape.blocks_k, shape.lanes)
    images: dict[str, np.ndarray] = {}
    pieces = [(s, rows[s.first : s.first + s.count].reshape(-1, shape.lanes)) for s in layout.activations]
    if weight_planes is not None:
        pieces += [(s, weight_planes[s.first : s.first + s.count]) for s in layout.weights]
    for span, planes in pieces:
        depth = config.spec(span.slice).depth
        image = images.setdefault(span.slice, np.zeros((depth * 4, shape.lanes), np.int8))
        image[span.start : span.start + len(planes)] = planes
    # A word holds its four planes byte by byte within each lane.
    return {
        name: planes.reshape(-1, 4, shape.lanes).transpose(0, 2, 1).tobytes()
        for name, planes in sorted(images.items())
    }


def blocks(weights: np.ndarray, shape: Shape) -> np.ndarray:
    """int8 [k, n] -> [blocks_k, blocks_n, row, column], padded with zeros."""
    padded = np.zeros((shape.blocks_k * shape.lanes, shape.blocks_n * shape.lanes), np.int8)
    padded[: shape.k, : shape.n] = weights
    return padded.reshape(shape.blocks_k, shape.lanes, shape.blocks_n, shape.lanes).transpose(0, 2, 1, 3)
