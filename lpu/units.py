"""Units and their instructions: every op with its fields, declared once. Standard library only.

Import these names from :mod:`lpu.isa`, which adds layouts, encoding and decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from lpu.arch import SliceKind, SliceSpec, TileConfig, clog2
from lpu.enums import Accumulate, AddMode, Destination, Operand, Quantise, Reduction, Source, Special

OP_BITS, GAP_BITS, COUNT_BITS, INTERVAL_BITS, INDEX_BITS = 4, 6, 10, 6, 4
LOOP_COUNT_BITS, LOOP_STEP_BITS = 12, 12
CONTROL_BITS = OP_BITS + GAP_BITS + COUNT_BITS + INTERVAL_BITS
#: Index select of loop level 0 (the innermost); level n is LOOP_INDEX + n. Below it 1..7 are X1..X7, 0 adds nothing.
LOOP_INDEX = 8


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
            Op(
                "CONFIG",
                8,
                (_x("x", "index register written"), Field("value", lambda c, s: 16, "value")),
                "X[x] = value",
            ),
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
            Op(
                "LDX",
                10,
                (_x("x", "index register written"), _word("src", "word stream")),
                "X[x] = low 16 bits of lane 0",
            ),
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
            Op(
                "READB",
                9,
                (_PLANE, _stream("dst", "byte stream")),
                "one byte plane of a word onto a byte stream",
            ),
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
            Op(
                "WRITE",
                8,
                (_ADDR, _word("src", "word stream"), _MASK),
                "word from four byte streams, masked lanes",
            ),
            Op(
                "WRITEB",
                9,
                (_PLANE, _stream("src", "byte stream"), _MASK),
                "one byte plane of a word, masked lanes",
            ),
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
            Op(
                "LWR",
                8,
                (_CONTEXT, _LINE, _stream("src", "byte stream"), _MASK),
                "row `line` of context `ctx`, masked columns",
            ),
            Op(
                "LWC",
                9,
                (_CONTEXT, _LINE, _stream("src", "byte stream"), _MASK),
                "column `line` of context `ctx`, masked rows",
            ),
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
            Op(
                "ROTATE",
                8,
                (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")),
                "lane i = lane (i + n) mod L",
            ),
            Op(
                "SHIFTD",
                9,
                (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")),
                "lane i = lane i + n, else 0",
            ),
            Op(
                "SHIFTU",
                10,
                (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")),
                "lane i = lane i - n, else 0",
            ),
            Op(
                "BROADCAST",
                11,
                (_AMOUNT, _word("src", "word stream"), _word("dst", "word stream")),
                "every lane = lane n",
            ),
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
                (
                    Field("map", lambda c, s: clog2(c.permute_maps), "lane map written", slot=0),
                    _stream("src", "byte stream"),
                ),
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
    Unit(
        SliceKind.C2C,
        "link",
        (
            Op("SEND", 8, (_word("src", "word stream"),), "a word to the chip at the other end of the link"),
            Op(
                "RECEIVE",
                9,
                (_word("dst", "word stream"),),
                "the word that the other end sent onto a stream",
            ),
        ),
        "One end of a link, both directions.",
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
            Field(
                "step",
                lambda c, s: LOOP_STEP_BITS,
                "added to the level's loop index each iteration",
                FieldKind.SINT,
            ),
        ),
        "counted loop over the next `length` words",
    ),
    Op("SYNC", 3, (), "wait for the next NOTIFY"),
    Op("NOTIFY", 4, (), "release every queue waiting in SYNC"),
)
