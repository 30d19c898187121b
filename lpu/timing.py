"""When every instruction samples, produces and takes effect. Standard library only; the one place of latencies.

All times count cycles from *dispatch*, the cycle in which an instruction stands at its slice's instruction port.
``d_skew`` is the offset at which an operand is sampled from the slice's stream input, ``d_func`` the offset at which a
result stands at the slice's stream output; a slice ``n`` positions further samples it ``n`` cycles later. The RTL
builds its pipelines from these numbers, the golden model and the scheduler read them, and a test counts each in RTL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lpu.arch import TileConfig, clog2
from lpu.isa import (
    Accumulate,
    Destination,
    Instruction,
    Operand,
    Quantise,
    Source,
    Special,
    chain_result_is_byte,
)

#: Cycles from the dispatch of LOOP to that of the next word (first of the body, or behind it).
LOOP_CYCLES = 3
#: Cycles from the dispatch of NOTIFY to that of the word behind a SYNC which waits.
SYNC_CYCLES = 4
#: An index register or lane mask written by an instruction dispatched at t is seen by dispatches from t + this on.
INDEX_VISIBLE = 4

#: Every stream operand but those of VXM stages B, C and D.
SAMPLE = 1

#: MEM: READ and READB result; GATHER samples addresses at SAMPLE and reads its words this much later than READ would.
READ_RESULT = 2
GATHER_LATE = 2
#: MEM: a word written by an instruction at t is read by READ/READB dispatched from t + this on; one cycle earlier the
#: two collide, before that the old word is read.
WRITE_VISIBLE = 3

#: MXM: an activation loaded at t is seen by PASS from t + this on.
ACTIVATION_VISIBLE = 2
#: MXM: weights loaded at t are seen by PASS from t + this on; one cycle earlier they collide if the context is the same.
WEIGHTS_VISIBLE = 3
#: MXM: DRAIN result.
DRAIN_RESULT = 1

#: SXM: result of a lane move.
MOVE_RESULT = 3
#: SXM: LDMAP at t is seen by PERMUTE from t + this on; TLOAD by TREAD.
MAP_VISIBLE = 2
TRANSPOSE_VISIBLE = 1

#: HOST: VPOP result.
VPOP_RESULT = 2

#: C2C: RECEIVE result; and the cycles by which a word is due later than its last beat is sent, in which it crosses pins and
#: clock domains, is corrected, and waits for its time.
RECEIVE_RESULT = 2
LINK_SLACK = 24
#: Bits of a flit, 64 of them payload, and of a frame's check.
FLIT_BITS, FLIT_PAYLOAD, CHECK_BITS = 72, 64, 16

#: VXM: cycles of each stage of the chain, input to output.
CONVERT, MULTIPLY, ADD, SPECIAL, QUANTISE = 3, 3, 5, 7, 2


def pass_visible(config: TileConfig) -> int:
    """MXM: a PASS at t is in its accumulator for DRAIN from t + this on.

    One cycle a row, four to read, multiply, add and accumulate.
    """
    return config.lanes + 4


def link_cycles(config: TileConfig) -> int:
    """C2C: cycles for which a SEND occupies its link: one of header, the flits of a word of lanes x 32 bit, the check."""
    flits = -(-config.lanes * 32 // FLIT_PAYLOAD)
    return 1 + -(-flits * FLIT_BITS // config.link_width) + -(-CHECK_BITS // config.link_width)


def link_latency(config: TileConfig) -> int:
    """C2C: a word of the SEND dispatched at t is there for RECEIVE, at the other end, from the same chip time t + this on."""
    return link_cycles(config) + LINK_SLACK


def reduce_result(config: TileConfig) -> int:
    """SXM: d_func of REDUCE; one level of the tree a cycle."""
    return 3 + clog2(config.lanes)


@dataclass(frozen=True)
class ChainTiming:
    """Offsets from dispatch within a CHAIN; None where the stage is skipped.

    ``source``: A is sampled or read. ``convert`` ... ``quantise``: beat 0 stands at the input of that stage.
    ``b``, ``c``, ``d``: that operand is sampled or its register read (stage input less one). ``tapped``: the value after
    MUL1/ADD is complete. ``end``: beat 0 of the last stage's value is complete. ``out``: ``tapped`` or ``end``, whichever
    is the result; a register is written at the end of cycle ``out``, an accumulator at the end of cycle ``end`` (+ beat).
    ``result``: the stream result stands at the slice output (d_func).
    """

    source: int
    convert: int | None
    multiply: int
    add: int | None
    special: int | None
    multiply2: int | None
    quantise: int | None
    b: int
    c: int | None
    d: int | None
    tapped: int
    end: int
    out: int
    result: int


def chain(args: Mapping[str, int], config: TileConfig) -> ChainTiming:
    """Timing of a CHAIN from its fields: the sum of the stages it uses."""
    at = SAMPLE + 1
    convert = None
    if args["a"] in (Source.INT32, Source.INT8, Source.ACC):
        convert, at = at, at + CONVERT
    multiply, at = at, at + MULTIPLY
    add = special = multiply2 = quantise = None
    if args["c"] != Operand.NONE:
        add, at = at, at + ADD
    tapped = at
    if args["f"] != Special.NONE:
        special, at = at, at + SPECIAL
    if args["d"] != Operand.NONE:
        multiply2, at = at, at + MULTIPLY
    if args["q"] != Quantise.NONE:
        quantise, at = at, at + QUANTISE
    out = tapped if args["tap"] else at
    return ChainTiming(
        source=SAMPLE,
        convert=convert,
        multiply=multiply,
        add=add,
        special=special,
        multiply2=multiply2,
        quantise=quantise,
        b=multiply - 1,
        c=None if add is None else add - 1,
        d=None if multiply2 is None else multiply2 - 1,
        tapped=tapped,
        end=at,
        out=out,
        result=out + config.beats,
    )


@dataclass(frozen=True)
class Access:
    """A stream operand or result: stream code (lpu.isa), bytes (1 or 4), offset from dispatch."""

    stream: int
    bytes: int
    at: int


def operands(instruction: Instruction, config: TileConfig) -> list[Access]:
    """Every stream sample of one dispatch of the instruction, with its d_skew."""
    a = instruction.args
    match instruction.op:
        case "CHAIN":
            t = chain(a, config)
            found = []
            if a["a"] in (Source.INT32, Source.FLOAT):
                found.append(Access(a["a_at"], 4, t.source))
            if a["a"] == Source.INT8:
                found.append(Access(a["a_at"], 1, t.source))
            for name, at in (("b", t.b), ("c", t.c), ("d", t.d)):
                if a[name] == Operand.STREAM and at is not None:
                    found.append(Access(a[f"{name}_at"], 4, at))
            return found
        case "SCATTER":
            return [Access(a["src"], 4, SAMPLE), Access(a["at"], 4, SAMPLE)]
        case (
            "SEND"
            | "LDX"
            | "VPUSH"
            | "GATHER"
            | "WRITE"
            | "ROTATE"
            | "SHIFTD"
            | "SHIFTU"
            | "BROADCAST"
            | "REDUCE"
        ):
            return [Access(a["src"], 4, SAMPLE)]
        case "WRITEB" | "LA" | "LWR" | "LWC" | "PERMUTE" | "LDMAP" | "TLOAD":
            return [Access(a["src"], 1, SAMPLE)]
    return []


def results(instruction: Instruction, config: TileConfig) -> list[Access]:
    """Every stream result of one dispatch of the instruction, with its d_func."""
    a = instruction.args
    match instruction.op:
        case "CHAIN" if a["to"] == Destination.STREAM:
            return [Access(a["to_at"], 1 if chain_result_is_byte(a) else 4, chain(a, config).result)]
        case "REDUCE" if a["emit"]:
            return [Access(a["dst"], 4, reduce_result(config))]
        case "VPOP":
            return [Access(a["dst"], 4, VPOP_RESULT)]
        case "RECEIVE":
            return [Access(a["dst"], 4, RECEIVE_RESULT)]
        case "READ":
            return [Access(a["dst"], 4, READ_RESULT)]
        case "READB":
            return [Access(a["dst"], 1, READ_RESULT)]
        case "GATHER":
            return [Access(a["dst"], 4, READ_RESULT + GATHER_LATE)]
        case "DRAIN":
            return [Access(a["dst"], 4, DRAIN_RESULT)]
        case "ROTATE" | "SHIFTD" | "SHIFTU" | "BROADCAST":
            return [Access(a["dst"], 4, MOVE_RESULT)]
        case "PERMUTE" | "TREAD":
            return [Access(a["dst"], 1, MOVE_RESULT)]
    return []


def last_effect(instruction: Instruction, config: TileConfig) -> int:
    """Offset of the last cycle in which one dispatch still changes state within its slice (streams excluded)."""
    a = instruction.args
    match instruction.op:
        case "CHAIN":
            t = chain(a, config)
            last = t.source
            if a["to"] == Destination.REG:
                last = max(last, t.out + config.beats - 1)
            if a["accumulate"] != Accumulate.NONE:
                last = max(last, t.end + config.beats - 1)
            return last
        case "WRITE" | "WRITEB" | "SCATTER":
            return WRITE_VISIBLE - 1
        case "LA":
            return ACTIVATION_VISIBLE - 1
        case "LWR" | "LWC":
            return WEIGHTS_VISIBLE - 1 + config.lanes - 1
        case "PASS":
            return pass_visible(config) - 1
        case "REDUCE":
            return reduce_result(config) - 1
        case "LDMAP" | "TLOAD":
            return SAMPLE + 1
        case "CONFIG" | "INDEX" | "LDX" | "POP" | "PUSH" | "TAIL" | "VPUSH":
            return INDEX_VISIBLE - 1
    return 0
