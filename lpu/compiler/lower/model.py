"""A quantised graph placed on a tile: matrices in contexts, tables and scales in memory, room for every value."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lpu.arch import TileConfig
from lpu.compiler.graph import GraphError
from lpu.compiler.lower import attend
from lpu.compiler.lower.machine import (
    Float,
    Lowering,
)
from lpu.compiler.place import Axis, Heads, Space, float_words, heads_of, plain
from lpu.compiler.quantised import (
    Arrival,
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Op,
    Partial,
    Project,
    Quantised,
    Residual,
    Sum,
)

#: Positions of a rotary table's fine part (docs/quantised.md).
FINE = 16


@dataclass
class Stored:
    """A matrix in its contexts, and its scales in east memory (none for a table)."""

    context: int
    scales: int


@dataclass
class Model:
    """A quantised graph placed on a tile: what all its entries share.

    Parameters
    ----------
    graph, config : what and where. chunk : most positions of one entry, which memories have room for.
    sequences : texts whose keys and values are kept side by side.

    Attributes
    ----------
    caches : name of a key or value -> for each sequence (first context, contexts a vector).
    """

    graph: Quantised
    config: TileConfig
    chunk: int
    sequences: int = 1
    space: Space = field(init=False)
    matrices: dict[str, Stored] = field(default_factory=dict)
    heads: dict[str, Heads] = field(default_factory=dict)
    caches: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    floats: dict[str, list[Float]] = field(default_factory=dict)
    words: dict[str, list[int]] = field(default_factory=dict)
    tail_masks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        #: Whether embedding rows lie in memory, not in contexts; true where there are none.
        self.in_memory = True
        self.space = Space.of(self.config)
        self.ops: dict[str, Op] = {op.out: op for op in self.graph.ops}
        most = max((op.heads for op in self.graph.ops if isinstance(op, Attend)), default=1)
        limit = Lowering(self.config, self.space).rows
        #: Query heads handled together, and groups of them whose scores are in memory at once.
        self.rows = -(-most // -(-most // limit))
        self.score_sets = self.chunk * -(-most // self.rows)
        self._place()
        self.space.check(self.graph.source)

    def groups(self, heads: int) -> list[range]:
        """Query heads in groups of at most ``rows``."""
        return [range(f, min(f + self.rows, heads)) for f in range(0, heads, self.rows)]

    # Places --------------------------------------------------------------------------------------

    def _place(self) -> None:
        config, space, lanes = self.config, self.space, self.config.lanes
        self.blocks = -(-self.graph.positions // lanes)
        self.attends = [op for op in self.graph.ops if isinstance(op, Attend)]
        for op in self.attends:
            heads = heads_of(config, op)
            self.heads |= dict.fromkeys((op.out, op.query, op.key, op.value), heads)
        self.interleaved = any(
            op.rotary.interleaved for op in self.graph.ops if isinstance(op, Project) and op.rotary
        )
        low = Lowering(config, space)
        for label, made in zip(self.graph.layers, self.graph.ops, strict=True):
            self._op(low, label, made)
        for op in self.attends:
            for kind, name in (("keys", op.key), ("values", op.value)):
                heads = self.heads[name]
                for _ in range(self.sequences):
                    at = space.contexts.room(f"{name} ({kind})", heads.kv_vectors * self.blocks)
                    self.caches.setdefault(name, []).append((at, self.blocks))
        if self.attends:
            self._attention(low)
        hidden = [plain(lanes, len(op.up.weight)).vectors for op in self.graph.ops if isinstance(op, Gate)]
        self.words["gate"] = [
            space.east.room("gate scales", 2 * max(hidden, default=0)) for _ in range(self.chunk)
        ]
        self.tail_masks = [space.reserve_mask() for _ in range(self.chunk if self.attends else 0)]

    def _matrix(
        self, low: Lowering, name: str, matrix: Matrix, rows: Axis, columns: Axis, outer: str
    ) -> None:
        context = self.space.contexts.matrix(name, matrix.weight, rows, columns, outer=outer)
        self.matrices[name] = Stored(context, low.scales(name, columns, matrix.scale))

    def _float(self, op: Op, channels: int) -> Axis:
        axis = plain(self.config.lanes, channels)
        west = self.space.west
        self.floats[op.out] = [Float(axis, west.room(op.out, axis.vectors)) for _ in range(self.chunk)]
        return axis

    def _channels(self, name: str) -> Axis:
        """Lanes of a value's channels."""
        op = self.ops[name]
        if isinstance(op, Norm):
            return self._channels(op.source)
        if isinstance(op, Attend):
            return self.heads[name].queries(self.interleaved)
        if isinstance(op, Gate):
            return plain(self.config.lanes, len(op.up.weight))
        return self.floats[name][0].axis

    def _op(self, low: Lowering, label: str, op: Op) -> None:
        lanes = self.config.lanes
        match op:
            case Gather():
                axis = self._float(op, op.table.shape[1])
                self._table(op, axis)
            case Arrival():
                self._float(op, op.channels)
            case Project():
                heads = self.heads.get(op.out)
                if heads is None:
                    raise GraphError(
                        f"projection {op.out!r} feeds no attention: its result has nowhere to go"
                    )
                is_query = any(a.query == op.out for a in self.attends)
                columns = heads.queries(self.interleaved) if is_query else heads.keys(self.interleaved)
                self._matrix(low, op.out, op.matrix, self._channels(op.source), columns, "columns")
            case Gate():
                rows, columns = self._channels(op.source), plain(lanes, len(op.up.weight))
                self._matrix(low, f"{op.out} gate", op.gate, rows, columns, "columns")
                self._matrix(low, f"{op.out} up", op.up, rows, columns, "columns")
            case Sum():
                self._float(op, len(self._channels(op.left).at))
            case Residual() | Partial():
                axis = self._float(op, len(op.matrix.weight))
                self._matrix(low, op.out, op.matrix, self._channels(op.source), axis, "rows")
            case Logits():
                axis = plain(lanes, len(op.matrix.weight))
                self._matrix(low, op.out, op.matrix, self._channels(op.source), axis, "columns")
                self.logits = Float(axis, self.space.west.room("logits", axis.vectors))
            case Norm() | Attend():
                pass
            case _:
                raise GraphError(f"operation {type(op).__name__} ({op.out}, {label}) has no lowering")

    def _table(self, op: Gather, axis: Axis) -> None:
        """Embedding rows: byte planes in west memory if they take less than half of it, else contexts."""
        lanes, west = self.config.lanes, self.space.west
        vocabulary = len(op.table)
        planes = np.stack([axis.spread(lanes, row) for row in op.table]).transpose(1, 0, 2)
        count = -(-vocabulary * axis.vectors // 4)
        self.in_memory = count * 2 <= west.depth
        if self.in_memory:
            flat = np.zeros((count * 4, lanes), np.int8)
            flat[: vocabulary * axis.vectors] = planes.reshape(-1, lanes)
            self.table = 4 * west.constant("embedding", _from_planes(flat))
            return
        rows = plain(lanes, vocabulary)
        # Weight [outputs, inputs]: outputs are channels, inputs tokens, one-hot.
        self.table = self.space.contexts.matrix("embedding", op.table.T, rows, axis, outer="columns")
        self.unit = 4 * west.constant("unit vectors", _from_planes(np.eye(lanes, dtype=np.int8)))

    def _attention(self, low: Lowering) -> None:
        """Rotary tables, score memory and what rows need."""
        space, lanes = self.space, self.config.lanes
        turned = [self.ops[name] for op in self.attends for name in (op.query, op.key)]
        rotaries = [op.rotary for op in turned if isinstance(op, Project)]
        if len({r and (r.base, r.head_dim, r.interleaved) for r in rotaries}) > 1:
            raise GraphError(
                f"{turned[0].out!r} and other queries and keys: rotary embeddings of different base, head_dim or pairing "
                "in one model are not supported"
            )
        first = self.heads[self.attends[0].out]
        # Without rotary embeddings every angle is zero: cosine 1 and sine 0 change no bit.
        angle, sign = first.angles(rotaries[0].base) if rotaries[0] else (np.zeros(lanes), np.ones(lanes))
        coarse = np.arange(-(-self.graph.positions // FINE) + 1)[:, None] * FINE * angle
        fine = np.arange(FINE)[:, None] * angle
        self.tables: dict[str, int] = {}
        for memory, part, angles in ((space.west, "high", coarse), (space.east, "low", fine)):
            for name, table in (("cos", np.cos(angles)), ("sin", np.sin(angles) * sign)):
                side = "west" if memory is space.west else "east"
                rows = float_words(self.config.float_format, table)
                self.tables[f"{side} {name} {part}"] = memory.constant(f"rotary {name} {part}", rows)
        self.words["angles"] = [space.east.room("angles", 2) for _ in range(self.chunk)]
        for name, memory, words in (
            ("scores", space.west, self.rows * self.blocks),
            ("tail", space.west, self.rows),
            ("bounds", space.east, self.rows),
        ):
            self.words[name] = [memory.room(f"attention {name}", words) for _ in range(self.score_sets)]
        for op in self.attends:
            heads = self.heads[op.out]
            scales = attend.head_scales(low, heads, heads.queries(self.interleaved), op.scale)
            name = f"{op.out} scale"
            self.words[op.out] = [space.east.constant(name, float_words(self.config.float_format, scales))]


def _from_planes(planes: np.ndarray) -> np.ndarray:
    """Byte planes [4 n, lanes] int8 as words [n, lanes]: plane 4 w + b is byte b of word w."""
    bytes_ = planes.view(np.uint8).reshape(-1, 4, planes.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(bytes_).view("<u4")[..., 0]
