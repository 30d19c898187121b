"""The instruction set, declared once. Standard library only.

Layouts, the assembler, the golden dispatch, the RTL decoders and docs/isa.md all derive from :data:`UNITS`. When an
instruction samples and produces is declared beside it in :mod:`lpu.timing`.

A queue word holds, lowest bit first::

    op:4 | gap:6 | count-1:10 | interval-1:6 | slot 0 .. slot k-1 | the op's other fields

A *slot* is ``value | index select:4 | stride`` and belongs to an address-like field, at the same bits for every op of
the queue, so that one piece of hardware steps and indexes them all. The word dispatches ``count`` times, ``interval``
cycles apart; dispatch k carries ``(value + k * stride) mod 2**width + index``. The next word dispatches ``1 + gap``
cycles after the last of them. LOOP keeps its own fields in place of the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache

from lpu.arch import SliceKind, SliceSpec, TileConfig, clog2

OP_BITS, GAP_BITS, COUNT_BITS, INTERVAL_BITS, INDEX_BITS = 4, 6, 10, 6, 4
LOOP_COUNT_BITS, LOOP_STEP_BITS = 12, 12
CONTROL_BITS = OP_BITS + GAP_BITS + COUNT_BITS + INTERVAL_BITS
#: Index select of loop level 0 (the innermost); level n is LOOP_INDEX + n. Below it 1..7 are X1..X7, 0 adds nothing.
LOOP_INDEX = 8


class IsaError(ValueError):
    """An instruction that cannot be encoded; the message names queue, instruction, field and range."""


class FieldKind(StrEnum):
    """How a field's number reads in text."""

    #: Plain unsigned number.
    UINT = "uint"
    #: Two's complement number.
    SINT = "sint"
    #: Byte stream: 2 * number + direction (0 east, 1 west).
    STREAM = "stream"
    #: Word stream: 2 * byte stream number + direction; the number is a multiple of four.
    WORD = "word"
    #: A named value of an enum.
    ENUM = "enum"


class Source(IntEnum):
    """Where a VXM operand A comes from; a field of the same prefix and ``_at`` says which."""

    #: int32 word stream.
    INT32 = 0
    #: Float word stream.
    FLOAT = 1
    #: int8 byte stream.
    INT8 = 2
    #: Vector register (float).
    REG = 3
    #: Accumulator (int32).
    ACC = 4


class Operand(IntEnum):
    """Operand of a VXM multiplier or the adder."""

    #: Stage not used (MUL1: multiply by one).
    NONE = 0
    #: Float word stream.
    STREAM = 1
    #: Vector register.
    REG = 2
    #: MUL2: the value that entered the special function stage. ADD: the constant one.
    SELF = 3


class AddMode(IntEnum):
    """What the adder does with P (product) and C."""

    #: P + C
    ADD = 0
    #: P - C
    SUB = 1
    #: C - P
    RSUB = 2


class Special(IntEnum):
    """Special function."""

    #: Stage not used.
    NONE = 0
    #: 2**x
    EXP2 = 1
    #: 1/x
    RECIP = 2
    #: 1/sqrt(x)
    RSQRT = 3
    #: 1/(1+exp(-x))
    SIGMOID = 4


class Quantise(IntEnum):
    """Conversion at the end of a chain."""

    #: Stage not used; the result is a float.
    NONE = 0
    #: round(x * 2**shift) saturated to -127..127.
    INT8 = 1
    #: round(x * 2**shift) saturated to -(2**31-1)..2**31-1.
    INT32 = 2


class Destination(IntEnum):
    """Where a chain's result goes."""

    #: Nowhere (accumulate only).
    NONE = 0
    #: Stream: a byte stream for INT8, else a word stream.
    STREAM = 1
    #: Vector register; the result must be a float.
    REG = 2


class Accumulate(IntEnum):
    """What the accumulator named by ``acc`` does with the quantised result."""

    #: Unchanged.
    NONE = 0
    #: acc = result
    SET = 1
    #: acc = acc + result, modulo 2**32
    ADD = 2


class Reduction(IntEnum):
    """Reduction over lanes (and over time, in a named accumulator)."""

    #: int32 sum modulo 2**32.
    SUM = 0
    #: int32 maximum.
    MAX = 1
    #: Float maximum, by sign-magnitude order of the bits.
    FMAX = 2
    #: Float maximum of magnitudes.
    FABSMAX = 3
    #: Lane index of the int32 maximum, lowest index first; vector n of a run counts as lanes n*L...
    ARGMAX = 4
    #: The same for floats.
    FARGMAX = 5


Width = Callable[[TileConfig, SliceSpec], int]


@dataclass(frozen=True)
class Field:
    """A field of an instruction. ``slot``: its address slot, or None. ``width`` in bits, from configuration and slice."""

    name: str
    width: Width
    doc: str
    kind: FieldKind = FieldKind.UINT
    slot: int | None = None
    enum: type[IntEnum] | None = None


@dataclass(frozen=True)
class Op:
    """An instruction of a unit: opcode, fields, one line of documentation."""

    name: str
    code: int
    fields: tuple[Field, ...]
    doc: str


@dataclass(frozen=True)
class Unit:
    """A queue of a slice kind, with its instructions; ``name`` is the part after the dot in ``mem0.read``."""

    slice: SliceKind
    name: str
    ops: tuple[Op, ...]
    doc: str


def _streams(c: TileConfig, s: SliceSpec) -> int:
    return clog2(c.streams) + 1


def _stream(name: str, doc: str) -> Field:
    return Field(name, _streams, doc, FieldKind.STREAM)


def _word(name: str, doc: str) -> Field:
    return Field(name, _streams, doc, FieldKind.WORD)


def _enum(name: str, enum: type[IntEnum], doc: str) -> Field:
    return Field(name, lambda c, s: clog2(max(enum) + 1), doc, FieldKind.ENUM, enum=enum)


_MASK = Field("mask", lambda c, s: clog2(c.masks), "lane mask; 0 is all lanes")
_X = "index register, 0 reads as zero"


def _x(name: str, doc: str) -> Field:
    return Field(name, lambda c, s: clog2(c.index_registers), doc)


def _at(name: str, doc: str) -> Field:
    """Number of a stream (2 * number + direction), register or accumulator, whichever the kind field says."""
    return Field(
        name, lambda c, s: max(_streams(c, s), clog2(c.vxm_registers), clog2(c.vxm_accumulators)), doc
    )


_ADDR = Field("addr", lambda c, s: clog2(s.depth), "word address", slot=0)
_PLANE = Field("addr", lambda c, s: clog2(s.depth * 4), "byte plane address, 4 * word + byte", slot=0)
_CONTEXT = Field("ctx", lambda c, s: clog2(c.contexts), "context", slot=0)
_LINE = Field("line", lambda c, s: clog2(c.lanes), "row or column of the array", slot=1)
_ACC = Field("acc", lambda c, s: clog2(c.accumulators), "accumulator", slot=0)
_AMOUNT = Field("n", lambda c, s: clog2(c.lanes), "lanes", slot=0)
_FLAG: Width = lambda c, s: 1  # noqa: E731

UNITS: tuple[Unit, ...] = (
    Unit(
        SliceKind.HOST,
        "port",
        (
            Op("CONFIG", 8, (_x("x", "index register written"), Field("value", lambda c, s: 16, "value")), "X[x] = value"),
            Op(
                "INDEX",
                9,
                (
                    _x("x", "index register written"),
                    _x("src", _X),
                    Field("add", lambda c, s: 16, "added, modulo 2**16"),
                    Field("shift", lambda c, s: 4, "then shifted right by"),
                    Field("bits", lambda c, s: 5, "low bits kept, 1 to 16"),
                ),
                "X[x] = (((X[src] + add) mod 2**16) >> shift) mod 2**bits",
            ),
            Op("LDX", 10, (_x("x", "index register written"), _word("src", "word stream")), "X[x] = low 16 bits of lane 0"),
            Op("POP", 11, (_x("x", "index register written"),), "X[x] = next of the token input FIFO"),
            Op("PUSH", 12, (_x("src", _X),), "append X[src] to the token output FIFO"),
            Op(
                "TAIL",
                13,
                (Field("mask", lambda c, s: clog2(c.masks), "lane mask written, not 0"), _x("src", _X)),
                "mask[mask] = lanes i < X[src]",
            ),
            Op("VPOP", 14, (_word("dst", "word stream"),), "next of the vector input FIFO onto a stream"),
            Op("VPUSH", 15, (_word("src", "word stream"),), "append a vector to the vector output FIFO"),
        ),
        "Index registers, lane masks, and the host's FIFOs.",
    ),
    Unit(
        SliceKind.MEM,
        "read",
        (
            Op("READ", 8, (_ADDR, _word("dst", "word stream")), "word onto four byte streams"),
            Op("READB", 9, (_PLANE, _stream("dst", "byte stream")), "one byte plane of a word onto a byte stream"),
            Op(
                "GATHER",
                10,
                (_ADDR, _word("src", "word stream of per-lane addresses"), _word("dst", "word stream")),
                "each lane reads word (addr + its src) mod depth",
            ),
        ),
        "The read port.",
    ),
    Unit(
        SliceKind.MEM,
        "write",
        (
            Op("WRITE", 8, (_ADDR, _word("src", "word stream"), _MASK), "word from four byte streams, masked lanes"),
            Op("WRITEB", 9, (_PLANE, _stream("src", "byte stream"), _MASK), "one byte plane of a word, masked lanes"),
            Op(
                "SCATTER",
                10,
                (_ADDR, _word("src", "word stream"), _word("at", "word stream of per-lane addresses"), _MASK),
                "each masked lane writes word (addr + its at) mod depth",
            ),
        ),
        "The write port.",
    ),
    Unit(
        SliceKind.MXM,
        "load",
        (
            Op(
                "LA",
                8,
                (
                    Field("act", lambda c, s: clog2(c.activations), "activation buffer entry", slot=0),
                    _stream("src", "byte stream"),
                    _MASK,
                ),
                "activation buffer entry from a byte stream; lanes outside the mask keep their value",
            ),
        ),
        "Loads activations.",
    ),
    Unit(
        SliceKind.MXM,
        "weights",
        (
            Op("LWR", 8, (_CONTEXT, _LINE, _stream("src", "byte stream"), _MASK), "row `line` of context `ctx`, masked columns"),
            Op("LWC", 9, (_CONTEXT, _LINE, _stream("src", "byte stream"), _MASK), "column `line` of context `ctx`, masked rows"),
        ),
        "Loads weights (LW), by row and by column, while passes run.",
    ),
    Unit(
        SliceKind.MXM,
        "passes",
        (
            Op(
                "PASS",
                8,
                (
                    _CONTEXT,
                    Field("act", lambda c, s: clog2(c.activations), "activation buffer entry", slot=1),
                    Field("acc", lambda c, s: clog2(c.accumulators), "accumulator", slot=2),
                    Field("clear", _FLAG, "1: acc = product, 0: acc += product"),
                ),
                "acc (+)= act x weights[ctx], one vector by one L x L block",
            ),
        ),
        "Vector-matrix products.",
    ),
    Unit(
        SliceKind.MXM,
        "drain",
        (Op("DRAIN", 8, (_ACC, _word("dst", "word stream")), "accumulator (int32) onto a word stream"),),
        "Accumulators to streams.",
    ),
    Unit(
        SliceKind.VXM,
        "chain",
        (
            Op(
                "CHAIN",
                8,
                (
                    _enum("a", Source, "first operand"),
                    _at("a_at", "its stream, register or accumulator"),
                    _enum("b", Operand, "factor of MUL1: NONE is one"),
                    _at("b_at", "its stream or register"),
                    _enum("c", Operand, "addend: NONE skips ADD, SELF is the constant one"),
                    _at("c_at", "its stream or register"),
                    _enum("add", AddMode, "sign of the sum"),
                    _enum("f", Special, "special function"),
                    _enum("d", Operand, "factor of MUL2: NONE skips MUL2"),
                    _at("d_at", "its stream or register"),
                    _enum("q", Quantise, "conversion"),
                    Field("shift", lambda c, s: 6, "binary exponent added before conversion", FieldKind.SINT),
                    Field("tap", _FLAG, "1: the result is the value after ADD, whatever follows"),
                    _enum("to", Destination, "where the result goes"),
                    _at("to_at", "its stream or register"),
                    _enum("accumulate", Accumulate, "use of the quantised value"),
                    Field("acc", lambda c, s: clog2(c.vxm_accumulators), "accumulator", slot=0),
                    _MASK,
                ),
                "convert, multiply, add, special function, multiply, quantise; each but MUL1 skipped in time when unused",
            ),
        ),
        "The vector chain.",
    ),
    Unit(
        SliceKind.SXM,
        "move",
        (
            Op("ROTATE", 8, (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")), "lane i = lane (i + n) mod L"),
            Op("SHIFTD", 9, (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")), "lane i = lane i + n, else 0"),
            Op("SHIFTU", 10, (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")), "lane i = lane i - n, else 0"),
            Op("BROADCAST", 11, (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")), "every lane = lane n"),
            Op(
                "PERMUTE",
                12,
                (
                    Field("map", lambda c, s: clog2(c.permute_maps), "lane map", slot=0),
                    _stream("src", "byte stream"),
                    _stream("dst", "byte stream"),
                ),
                "lane i = lane map[i], or 0 where the map says so (distribute)",
            ),
            Op(
                "LDMAP",
                13,
                (Field("map", lambda c, s: clog2(c.permute_maps), "lane map written", slot=0), _stream("src", "byte stream")),
                "map[i] = byte of lane i: low bits the source lane, bit 7 zero",
            ),
            Op("TLOAD", 14, (_AMOUNT, _stream("src", "byte stream")), "row n of the transpose buffer"),
            Op("TREAD", 15, (_AMOUNT, _stream("dst", "byte stream")), "column n of the transpose buffer"),
        ),
        "Lane moves and the transpose buffer.",
    ),
    Unit(
        SliceKind.SXM,
        "reduce",
        (
            Op(
                "REDUCE",
                8,
                (
                    Field("acc", lambda c, s: clog2(c.reduce_accumulators), "running accumulator", slot=0),
                    _enum("how", Reduction, "reduction"),
                    _word("src", "word stream"),
                    Field("clear", _FLAG, "1: start a run, 0: go on with it"),
                    Field("emit", _FLAG, "1: put the result on dst, in every lane"),
                    _word("dst", "word stream"),
                    _MASK,
                ),
                "reduce over the masked lanes into acc",
            ),
        ),
        "Reduction across lanes.",
    ),
)

CONTROL: tuple[Op, ...] = (
    Op("HALT", 0, (), "end of the queue's program"),
    Op("NOP", 1, (), "dispatches nothing; count, interval and gap give its length"),
    Op(
        "LOOP",
        2,
        (
            Field("count", lambda c, s: LOOP_COUNT_BITS, "iterations, plus `index`; 0 in all skips the body"),
            Field("index", lambda c, s: INDEX_BITS, "index select added to count"),
            Field("length", lambda c, s: clog2(c.queue_depth), "words of the body, which follow"),
            Field("step", lambda c, s: LOOP_STEP_BITS, "added to the level's loop index each iteration", FieldKind.SINT),
        ),
        "counted loop over the next `length` words",
    ),
    Op("SYNC", 3, (), "wait for the next NOTIFY"),
    Op("NOTIFY", 4, (), "release every queue waiting in SYNC"),
)


@dataclass(frozen=True)
class Instruction:
    """A queue word. ``args`` holds fields as integers (streams as :func:`east` / :func:`west` make them)."""

    op: str
    args: Mapping[str, int] = field(default_factory=dict)
    count: int = 1
    interval: int = 1
    gap: int = 0
    #: Slot field name -> stride from one dispatch to the next.
    strides: Mapping[str, int] = field(default_factory=dict)
    #: Slot field name -> index select (1..7: X1..X7; 8 + n: loop index of level n, 0 the innermost).
    index: Mapping[str, int] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Cycles from this word's first dispatch to the next word's (SYNC and LOOP: see lpu.timing)."""
        return (self.count - 1) * self.interval + 1 + self.gap


def east(stream: int) -> int:
    """Code of an eastward byte stream, or of the word stream that starts there."""
    return 2 * stream


def west(stream: int) -> int:
    """Code of a westward byte stream, or of the word stream that starts there."""
    return 2 * stream + 1


def stream_name(code: int) -> str:
    """``E4``, ``W0``."""
    return f"{'EW'[code & 1]}{code >> 1}"


def queue_names(config: TileConfig) -> tuple[str, ...]:
    """All queues, west to east and in UNITS order within a slice: ``host0.port``, ``mem0.read`` ... The order is the queue number."""
    return tuple(
        f"{name}.{unit.name}"
        for spec, name in zip(config.floorplan, config.slice_names, strict=True)
        for unit in UNITS
        if unit.slice is spec.kind
    )


@lru_cache(maxsize=4096)
def unit_of(config: TileConfig, queue: str) -> Unit:
    """The unit behind a queue name. Raises IsaError naming the queues there are."""
    if queue in queue_names(config):
        kind = config.spec(queue.split(".")[0]).kind
        for unit in UNITS:
            if unit.slice is kind and unit.name == queue.split(".")[1]:
                return unit
    raise IsaError(f"no queue {queue!r} in {config.name}: it has {', '.join(queue_names(config))}")


@dataclass(frozen=True)
class Slot:
    """Bits of an address slot within the queue word: value, index select, stride."""

    offset: int
    width: int

    @property
    def index_offset(self) -> int:
        """Lowest bit of the index select."""
        return self.offset + self.width

    @property
    def stride_offset(self) -> int:
        """Lowest bit of the stride (two's complement, ``width`` bits)."""
        return self.index_offset + INDEX_BITS

    @property
    def end(self) -> int:
        """First bit behind the slot."""
        return self.stride_offset + self.width


@dataclass(frozen=True)
class Layout:
    """Bit layout of one queue's words.

    ``slots`` are shared by its ops; ``fields[op][name] = (offset, width)``, for a slot field the op's own width at the
    slot's offset; ``width`` is the word's.
    """

    queue: str
    width: int
    slots: tuple[Slot, ...]
    fields: Mapping[str, Mapping[str, tuple[int, int]]]
    ops: Mapping[str, Op]


@lru_cache(maxsize=4096)
def layout(config: TileConfig, queue: str) -> Layout:
    """Layout of a queue's words."""
    unit = unit_of(config, queue)
    spec = config.spec(queue.split(".")[0])
    widths: dict[int, int] = {}
    for op in unit.ops:
        for f in op.fields:
            if f.slot is not None:
                widths[f.slot] = max(widths.get(f.slot, 0), f.width(config, spec))
    slots = []
    offset = CONTROL_BITS
    for n in sorted(widths):
        slots.append(Slot(offset, widths[n]))
        offset = slots[-1].end
    fields: dict[str, dict[str, tuple[int, int]]] = {}
    end = offset
    for op in unit.ops:
        here, fields[op.name] = offset, {}
        for f in op.fields:
            width = f.width(config, spec)
            if f.slot is not None:
                fields[op.name][f.name] = (slots[f.slot].offset, width)
            else:
                fields[op.name][f.name] = (here, width)
                here += width
        end = max(end, here)
    for op in CONTROL:
        here, fields[op.name] = CONTROL_BITS, {}
        for f in op.fields:
            width = f.width(config, spec)
            fields[op.name][f.name] = (here, width)
            here += width
        end = max(end, here)
    return Layout(queue, end, tuple(slots), fields, {op.name: op for op in (*CONTROL, *unit.ops)})


def encode(config: TileConfig, queue: str, instruction: Instruction) -> int:
    """The queue word of an instruction. Raises IsaError naming queue, instruction, field, value and range."""
    lay = layout(config, queue)
    op = lay.ops.get(instruction.op)
    if op is None:
        raise IsaError(f"{queue}: no instruction {instruction.op!r}; it has {', '.join(lay.ops)}")
    where = f"{queue}: {instruction.op}"
    word = op.code
    word |= _ranged(where, "gap", instruction.gap, 0, (1 << GAP_BITS) - 1) << OP_BITS
    word |= (_ranged(where, "count", instruction.count, 1, 1 << COUNT_BITS) - 1) << (OP_BITS + GAP_BITS)
    word |= (_ranged(where, "interval", instruction.interval, 1, 1 << INTERVAL_BITS) - 1) << (
        OP_BITS + GAP_BITS + COUNT_BITS
    )
    if op.code in (0, 2, 3, 4) and instruction.length != 1:
        raise IsaError(f"{where}: count, interval and gap have no meaning here, leave them out")
    names = {f.name for f in op.fields}
    if extra := sorted(set(instruction.args) - names):
        raise IsaError(f"{where}: no field {', '.join(extra)}; it has {', '.join(sorted(names)) or 'none'}")
    slotted = {f.name: f.slot for f in op.fields if f.slot is not None}
    for what, values in (("stride", instruction.strides), ("index", instruction.index)):
        if extra := sorted(set(values) - set(slotted)):
            raise IsaError(f"{where}: {what} on {', '.join(extra)}; only {', '.join(slotted) or 'no field'} may have one")
    for f in op.fields:
        offset, width = lay.fields[op.name][f.name]
        if f.name not in instruction.args:
            raise IsaError(f"{where}: field {f.name} is missing")
        value = int(instruction.args[f.name])
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if f.kind is FieldKind.SINT else (0, (1 << width) - 1)
        if f.kind is FieldKind.ENUM and f.enum is not None:
            high = max(f.enum)
        elif f.kind in (FieldKind.STREAM, FieldKind.WORD):
            high = 2 * config.streams - 1
        _ranged(where, f.name, value, low, high)
        if f.kind is FieldKind.WORD and (value >> 1) % 4:
            raise IsaError(f"{where}: {f.name}={stream_name(value)} starts no word; use a multiple of four")
        word |= (value & ((1 << width) - 1)) << offset
        if f.slot is not None:
            slot = lay.slots[f.slot]
            limit = 1 << (slot.width - 1)
            stride = _ranged(where, f"stride of {f.name}", instruction.strides.get(f.name, 0), -limit, 2 * limit - 1)
            select = instruction.index.get(f.name, 0)
            _index_select(config, where, f.name, select)
            word |= select << slot.index_offset
            word |= (stride & ((1 << slot.width) - 1)) << slot.stride_offset
    _extra_checks(config, queue, where, instruction)
    return word


def decode(config: TileConfig, queue: str, word: int) -> Instruction:
    """Inverse of :func:`encode` (strides read back as signed). Raises IsaError for an unknown opcode."""
    lay = layout(config, queue)
    code = word & ((1 << OP_BITS) - 1)
    op = next((op for op in lay.ops.values() if op.code == code), None)
    if op is None:
        raise IsaError(f"{queue}: no instruction has opcode {code}")

    def bits(offset: int, width: int, signed: bool = False) -> int:
        value = (word >> offset) & ((1 << width) - 1)
        return value - (1 << width) if signed and value >> (width - 1) else value

    args, strides, index = {}, {}, {}
    for f in op.fields:
        args[f.name] = bits(*lay.fields[op.name][f.name], f.kind is FieldKind.SINT)
        if f.slot is not None:
            slot = lay.slots[f.slot]
            if stride := bits(slot.stride_offset, slot.width, True):
                strides[f.name] = stride
            if select := bits(slot.index_offset, INDEX_BITS):
                index[f.name] = select
    return Instruction(
        op.name,
        args,
        count=bits(OP_BITS + GAP_BITS, COUNT_BITS) + 1,
        interval=bits(OP_BITS + GAP_BITS + COUNT_BITS, INTERVAL_BITS) + 1,
        gap=bits(OP_BITS, GAP_BITS),
        strides=strides,
        index=index,
    )


def _ranged(where: str, what: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise IsaError(f"{where}: {what}={value} is outside {low}..{high}")
    return value


def _index_select(config: TileConfig, where: str, name: str, select: int) -> None:
    if not (0 <= select < config.index_registers or LOOP_INDEX <= select < LOOP_INDEX + config.loop_depth):
        raise IsaError(
            f"{where}: index select {select} of {name}; use 0 to {config.index_registers - 1}, "
            f"or {LOOP_INDEX} to {LOOP_INDEX + config.loop_depth - 1} for a loop index"
        )


def _extra_checks(config: TileConfig, queue: str, where: str, instruction: Instruction) -> None:
    """Combinations that no field range rules out."""
    args = instruction.args
    slice_name = queue.split(".")[0]
    inject, tap = (set(config.reachable(slice_name, a)) for a in ("inject", "tap"))
    for name, attribute, code in streams_of(instruction):
        allowed = tap if attribute == "tap" else inject
        if code >= 2 * config.streams:
            raise IsaError(f"{where}: {name} names stream {code >> 1}; there are {config.streams}")
        if ("ew"[code & 1], (code >> 1) // 4) not in allowed:
            raise IsaError(f"{where}: {name}={stream_name(code)} is not among the streams this slice may {attribute}")
    if instruction.op == "LOOP":
        _index_select(config, where, "count", args["index"])
        if args["length"] < 1:
            raise IsaError(f"{where}: a loop needs a body of at least one word")
    if instruction.op == "INDEX":
        _ranged(where, "bits", args["bits"], 1, 16)
    if instruction.op in ("CONFIG", "INDEX", "LDX", "POP") and args["x"] == 0:
        raise IsaError(f"{where}: X0 always reads as zero; write another index register")
    if instruction.op == "TAIL" and args["mask"] == 0:
        raise IsaError(f"{where}: mask 0 is always all lanes; write another mask")
    if instruction.op == "CHAIN":
        _check_chain(config, where, args)


def _check_chain(config: TileConfig, where: str, a: Mapping[str, int]) -> None:
    if a["b"] == Operand.SELF:
        raise IsaError(f"{where}: b=SELF does not exist; square with d=SELF")
    if a["accumulate"] and not a["q"]:
        raise IsaError(f"{where}: only a quantised value can be accumulated; set q")
    if a["to"] == Destination.REG and a["q"] and not a["tap"]:
        raise IsaError(f"{where}: registers hold floats; drop q, or set tap")
    if a["tap"] and a["to"] == Destination.NONE:
        raise IsaError(f"{where}: tap without a destination")
    if a["to"] == Destination.NONE and not a["accumulate"]:
        raise IsaError(f"{where}: the result goes nowhere; set to or accumulate")
    registers = [
        (n, config.vxm_registers)
        for n, is_reg in (
            ("a_at", a["a"] == Source.REG),
            ("b_at", a["b"] == Operand.REG),
            ("c_at", a["c"] == Operand.REG),
            ("d_at", a["d"] == Operand.REG),
            ("to_at", a["to"] == Destination.REG),
        )
        if is_reg
    ]
    if a["a"] == Source.ACC:
        registers.append(("a_at", config.vxm_accumulators))
    for name, limit in registers:
        _ranged(where, name, a[name], 0, limit - 1)
    for name, is_word in (
        ("a_at", a["a"] in (Source.INT32, Source.FLOAT)),
        ("b_at", a["b"] == Operand.STREAM),
        ("c_at", a["c"] == Operand.STREAM),
        ("d_at", a["d"] == Operand.STREAM),
        ("to_at", a["to"] == Destination.STREAM and not chain_result_is_byte(a)),
    ):
        if is_word and (a[name] >> 1) % 4:
            raise IsaError(f"{where}: {name}={stream_name(a[name])} starts no word; use a multiple of four")


def chain_result_is_byte(args: Mapping[str, int]) -> bool:
    """Whether a CHAIN's stream result is an int8 byte stream (else a word)."""
    return args["q"] == Quantise.INT8 and not args["tap"]


def streams_of(instruction: Instruction) -> list[tuple[str, str, int]]:
    """(field, ``"tap"`` or ``"inject"``, stream code) of every stream the instruction really uses."""
    a = instruction.args
    if instruction.op == "CHAIN":
        used = []
        if a["a"] in (Source.INT32, Source.FLOAT, Source.INT8):
            used.append(("a_at", "tap", a["a_at"]))
        used += [(f"{n}_at", "tap", a[f"{n}_at"]) for n in "bcd" if a[n] == Operand.STREAM]
        if a["to"] == Destination.STREAM:
            used.append(("to_at", "inject", a["to_at"]))
        return used
    if instruction.op == "REDUCE" and not a["emit"]:
        return [("src", "tap", a["src"])]
    return [
        (name, attribute, a[name])
        for name, attribute in (("src", "tap"), ("at", "tap"), ("dst", "inject"))
        if name in a and instruction.op not in ("INDEX", "PUSH", "TAIL")
    ]
