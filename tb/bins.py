"""The bins of functional coverage: everything that random programs of a configuration should do at least once."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from lpu.arch import FloatFormat, SliceKind, TileConfig
from lpu.isa import (
    AddMode,
    Destination,
    Operand,
    Quantise,
    Reduction,
    Source,
    Special,
    layout,
    queue_names,
    stream_name,
    unit_of,
    vector_ops,
)
from lpu.runtime.machine import ViolationKind
from tb.picker import BYTE_SOURCES, WORD_SOURCES, Picker

FLOAT_CLASSES = ("+0", "-0", "exponent 0", "smallest", "largest", "+inf", "-inf", "NaN", "ordinary")
INTEGER_CLASSES = ("lowest", "highest", "zero", "minus one", "ordinary")
REPETITIONS = ("0", "1", "2", "3 to 7", "8 to 62", "63 and up")
FRONT = ("multiply", "add")
STAGES = ("convert", "add", "special", "multiply2", "quantise")
#: Which slices can have which violation.
VIOLATIONS = {
    ViolationKind.CONFLICT: ("host", "mem", "mxm", "vxm", "sxm"),
    ViolationKind.NO_OPERAND: ("host", "mem", "mxm", "vxm", "sxm"),
    ViolationKind.PORT: ("mem", "vxm"),
    ViolationKind.COLLISION: ("mem", "mxm"),
    ViolationKind.RANGE: ("mem", "mxm", "vxm", "sxm"),
    ViolationKind.UNDERFLOW: ("host",),
    ViolationKind.OVERFLOW: ("host",),
}


def repetition(n: int) -> str:
    """The bin of a count, interval, gap or distance."""
    return str(n) if n < 3 else "3 to 7" if n < 8 else "8 to 62" if n < 63 else "63 and up"


def classes_of(form: FloatFormat, words: Any) -> set[str]:
    """Classes of the floats in an array of words."""
    word = np.asarray(words, np.uint32)
    sign = word >> np.uint32(31)
    exponent = word >> np.uint32(31 - form.exponent) & np.uint32((1 << form.exponent) - 1)
    mantissa = word >> np.uint32(form.word_shift) & np.uint32((1 << form.mantissa) - 1)
    top, full = (1 << form.exponent) - 1, (1 << form.mantissa) - 1
    zero, special = exponent == 0, exponent == top
    found = {
        "+0": zero & (mantissa == 0) & (sign == 0),
        "-0": zero & (mantissa == 0) & (sign == 1),
        "exponent 0": zero & (mantissa != 0),
        "smallest": (exponent == 1) & (mantissa == 0),
        "largest": (exponent == top - 1) & (mantissa == full),
        "+inf": special & (mantissa == 0) & (sign == 0),
        "-inf": special & (mantissa == 0) & (sign == 1),
        "NaN": special & (mantissa != 0),
    }
    names = {name for name, where in found.items() if where.any()}
    if not np.logical_or.reduce(list(found.values())).all():
        names.add("ordinary")
    return names


def integers_of(values: Any, narrow: bool) -> set[str]:
    """Classes of int32 (or int8) values."""
    array = np.asarray(values).astype(np.int64)
    bound = 7 if narrow else 31
    special = {"lowest": -(1 << bound), "highest": (1 << bound) - 1, "zero": 0, "minus one": -1}
    names = {name for name, value in special.items() if (array == value).any()}
    if (~np.isin(array, list(special.values()))).any():
        names.add("ordinary")
    return names


@lru_cache(maxsize=16)
def universe(config: TileConfig) -> dict[str, list[str]]:
    """Group -> bins, in the order of the report."""
    queues = queue_names(config)
    kinds = {spec.kind for spec in config.floorplan}
    groups = {
        "op": [f"{q} {op}" for q in queues for op in layout(config, q).ops],
        "stream": _streams(config),
        "byte plane": [f"{op} {n}" for op in ("READB", "WRITEB") for n in range(4)],
        "address": [
            f"{q} {op.name} {f.name} {end}"
            for q in queues
            for op in unit_of(config, q).ops
            for f in op.fields
            if f.slot is not None
            for end in ("first", "last")
            if not (q.endswith(".write") and end == "first")  # constants lie there
        ],
        "spacing": [
            f"{q} {n}"
            for q in queues
            for n in REPETITIONS[1:]
            if not (q.endswith(".chain") and n.isdigit() and int(n) < config.beats)
        ],
        "control": [
            *(f"loop of {n} iterations" for n in ("no", "one", "more") if config.loop_depth),
            *(f"sync waits {n}" for n in REPETITIONS[:-1]),
            "entry behind word 0",
        ],
        "loop": [
            *(
                f"count from {n}"
                for n in ("immediate", "X", *(["loop index"] if config.loop_depth > 1 else []))
            ),
            *(f"step {n}" for n in ("negative", "zero", "positive")),
            *(f"level {n + 1}" for n in range(config.loop_depth)),
            "body of one word",
        ]
        if config.loop_depth
        else [],
        "gap": list(REPETITIONS),
        "repeat": [*(f"count {n}" for n in REPETITIONS[2:]), *(f"interval {n}" for n in REPETITIONS[1:])],
        "stride": [f"{q} {n}" for q in _slotted(config) for n in ("zero", "up", "down", "wraps")],
        "index": [
            f"{q} {n}"
            for q in _slotted(config)
            for n in (
                *(f"X{x}" for x in range(1, config.index_registers)),
                *(f"loop {n}" for n in range(config.loop_depth)),
            )
        ],
        "mask": ["full", "some", "none"],
        "fifo": [
            f"{op} {what}"
            for op, what in (
                ("PUSH", "fills it"),
                ("VPUSH", "fills it"),
                ("POP", "takes all of a full one"),
                ("VPOP", "takes all of a full one"),
            )
            if op in ("PUSH", "POP", *vector_ops(config))
        ],
        **_vxm(),
        "reduce": [
            f"{r.name} {c} {e}" for r in Reduction for c in ("clear", "go on") for e in ("emit", "keep")
        ],
        "value": _values(),
        "violation": [
            f"{k.name} {kind}" for k, names in VIOLATIONS.items() for kind in names if kind in kinds
        ],
    }
    return groups


def _slotted(config: TileConfig) -> list[str]:
    return [q for q in queue_names(config) if layout(config, q).slots]


def _streams(config: TileConfig) -> list[str]:
    """Every stream that a slice can sample and something upstream can drive, and every one that it can drive."""
    picker = Picker(random.Random(0), config)
    found = []
    for name in config.slice_names:
        position, kind = config.position(name), config.spec(name).kind
        for attribute in ("tap", "inject"):
            for direction, word in config.reachable(name, attribute):
                for b in range(4):
                    code = 2 * (4 * word + b) + "ew".index(direction)
                    if attribute == "tap":
                        word_ok = kind is not SliceKind.MXM and b == 0
                        byte_ok = kind is not SliceKind.HOST
                        fed = picker.sources(position, code, 4) or picker.sources(position, code, 1)
                        ok = fed and (word_ok or byte_ok)
                    else:
                        ok = (b == 0 and kind in WORD_SOURCES) or kind in BYTE_SOURCES
                    if ok:
                        found.append(f"{name} {attribute} {stream_name(code)}")
    return found


def _vxm() -> dict[str, list[str]]:
    paths = [
        "+".join(s for s, on in zip(STAGES, bits, strict=True) if on) for bits in product((0, 1), repeat=5)
    ]
    results = []
    for to, q, tap, use in product(Destination, Quantise, (0, 1), ("", "set", "add")):
        legal = not (use and not q) and not (tap and to is Destination.NONE)
        legal &= not (to is Destination.REG and q and not tap) and not (to is Destination.NONE and not use)
        if legal:
            results.append(" ".join([to.name, q.name, *(["tap"] * tap), *([use] * bool(use))]))
    return {
        "chain path": [p or "multiply only" for p in paths],
        "chain source": [s.name for s in Source],
        "chain operand": [f"{n} {o.name}" for n in "bcd" for o in Operand if (n, o) != ("b", Operand.SELF)],
        "chain add": [f"{o.name} {m.name}" for o in Operand if o for m in AddMode],
        "chain special": [s.name for s in Special],
        "chain result": results,
        "chain shift": [str(n) for n in (-32, -1, 0, 1, 31)],
    }


def _values() -> list[str]:
    units = ("multiply", "add", *(s.name.lower() for s in Special if s))
    return [
        # What comes out of a multiplier has no exponent 0 but in zeros.
        *(f"{unit} {c}" for unit in units for c in FLOAT_CLASSES if unit in FRONT or c != "exponent 0"),
        *(f"convert {c}" for c in INTEGER_CLASSES),
        *(f"quantise {q} {s}limit" for q in ("INT8", "INT32") for s in "+-"),
        *(f"{what} {bound}" for what in ("activation", "weight") for bound in (-128, 127)),
        *(f"tie in {r.name}" for r in Reduction),
    ]
