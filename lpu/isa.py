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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from lpu.arch import SliceKind, TileConfig
from lpu.enums import Accumulate, AddMode, Destination, Operand, Quantise, Reduction, Source, Special
from lpu.instruction import (
    Instruction,
    IsaError,
    chain_result_is_byte,
    east,
    stream_name,
    streams_of,
    west,
)
from lpu.units import (
    CONTROL,
    CONTROL_BITS,
    COUNT_BITS,
    GAP_BITS,
    INDEX_BITS,
    INTERVAL_BITS,
    LOOP_COUNT_BITS,
    LOOP_INDEX,
    LOOP_STEP_BITS,
    OP_BITS,
    UNITS,
    Field,
    FieldKind,
    Op,
    Unit,
)

__all__ = [
    "CONTROL",
    "CONTROL_BITS",
    "COUNT_BITS",
    "GAP_BITS",
    "INDEX_BITS",
    "INTERVAL_BITS",
    "LOOP_COUNT_BITS",
    "LOOP_INDEX",
    "LOOP_STEP_BITS",
    "OP_BITS",
    "UNITS",
    "Accumulate",
    "AddMode",
    "Destination",
    "Field",
    "FieldKind",
    "Instruction",
    "IsaError",
    "Layout",
    "Op",
    "Operand",
    "Quantise",
    "Reduction",
    "Slot",
    "Source",
    "Special",
    "Unit",
    "chain_result_is_byte",
    "decode",
    "east",
    "encode",
    "layout",
    "queue_names",
    "stream_name",
    "streams_of",
    "unit_of",
    "vector_ops",
    "west",
]


def queue_names(config: TileConfig) -> tuple[str, ...]:
    """All queues, west to east and in UNITS order within a slice; the order is the queue number."""
    return tuple(
        f"{name}.{unit.name}"
        for spec, name in zip(config.floorplan, config.slice_names, strict=True)
        for unit in UNITS
        if unit.slice is spec.kind
    )


#: Instructions of the host that move vectors through its FIFOs.
VECTOR_OPS = ("VPOP", "VPUSH")


def vector_ops(config: TileConfig) -> tuple[str, ...]:
    """Those of VECTOR_OPS that a configuration has: all of them, or none."""
    return VECTOR_OPS if config.vector_fifo else ()


@lru_cache(maxsize=4096)
def unit_of(config: TileConfig, queue: str) -> Unit:
    """The unit behind a queue name, with the instructions the configuration has. Raises IsaError naming the queues there are."""
    if queue in queue_names(config):
        kind = config.spec(queue.split(".")[0]).kind
        for unit in UNITS:
            if unit.slice is kind and unit.name == queue.split(".")[1]:
                left_out = set(VECTOR_OPS) - set(vector_ops(config)) if kind is SliceKind.HOST else set()
                return replace(unit, ops=tuple(op for op in unit.ops if op.name not in left_out))
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
    control = [op for op in CONTROL if config.loop_depth or op.name != "LOOP"]
    for op in control:
        here, fields[op.name] = CONTROL_BITS, {}
        for f in op.fields:
            width = f.width(config, spec)
            fields[op.name][f.name] = (here, width)
            here += width
        end = max(end, here)
    return Layout(queue, end, tuple(slots), fields, {op.name: op for op in (*control, *unit.ops)})


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
            raise IsaError(
                f"{where}: {what} on {', '.join(extra)}; only {', '.join(slotted) or 'no field'} may have one"
            )
    for f in op.fields:
        offset, width = lay.fields[op.name][f.name]
        if f.name not in instruction.args:
            raise IsaError(f"{where}: field {f.name} is missing")
        value = int(instruction.args[f.name])
        low, high = (
            (-(1 << (width - 1)), (1 << (width - 1)) - 1)
            if f.kind is FieldKind.SINT
            else (0, (1 << width) - 1)
        )
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
            stride = _ranged(
                where, f"stride of {f.name}", instruction.strides.get(f.name, 0), -limit, 2 * limit - 1
            )
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
            raise IsaError(
                f"{where}: {name}={stream_name(code)} is not among the streams this slice may {attribute}"
            )
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
