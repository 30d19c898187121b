"""Which state an instruction reads and writes, and when: what the scheduler keeps in order.

Streams are not state: a flow ties their two ends together in time. A place is a tuple whose first entry names the kind
of state and the slice, as ``("mem0", 17)``. Offsets count from dispatch, as in :mod:`lpu.timing`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import LOOP_INDEX, Destination, Instruction, Operand, Source

Place = Hashable


@dataclass(frozen=True)
class Touch:
    """A read (``write`` False) at an offset from dispatch, or a write that is seen by reads from offset ``at`` on.

    ``apart``: whether a read in the very cycle before ``at`` is a collision, so that it has to be one earlier still.
    """

    place: Place
    at: int
    write: bool
    apart: bool = False


def touches(
    config: TileConfig, queue: str, x: Instruction, region: Place | None
) -> Iterator[tuple[int, Touch]]:
    """(number of the dispatch, touch) of every dispatch of a word.

    ``region`` stands for the memory words or contexts of an instruction whose address is indexed.
    """
    unit, kind = queue.split(".")
    a = x.args
    for name, select in x.index.items():
        if 0 < select < LOOP_INDEX and name:
            yield 0, Touch(("x", select), 0, False)
            yield x.count - 1, Touch(("x", select), 0, False)
    if a.get("mask"):
        yield 0, Touch(("mask", a["mask"]), 0, False)
        yield x.count - 1, Touch(("mask", a["mask"]), 0, False)
    if kind == "port":
        yield from ((0, t) for t in _host(x))
        return
    for k in range(x.count):
        yield from ((k, t) for t in _dispatch(config, unit, kind, x, k, region))


def _slot(x: Instruction, name: str, k: int) -> int:
    return x.args[name] + k * x.strides.get(name, 0)


def _dispatch(
    config: TileConfig, unit: str, kind: str, x: Instruction, k: int, region: Place | None
) -> Iterator[Touch]:
    a = x.args
    match x.op:
        case "READ" | "READB" | "WRITE" | "WRITEB":
            word = _slot(x, "addr", k) // (4 if x.op[-1] == "B" else 1)
            place = region if region is not None else (unit, word)
            if kind == "read":
                yield Touch(place, 0, False)
            else:
                yield Touch(place, timing.WRITE_VISIBLE, True, apart=True)
        case "LA":
            yield Touch((unit, "act", _slot(x, "act", k)), timing.ACTIVATION_VISIBLE, True)
        case "LWR" | "LWC":
            place = region if region is not None else (unit, "ctx", _slot(x, "ctx", k))
            yield Touch(place, timing.WEIGHTS_VISIBLE, True, apart=True)
        case "PASS":
            visible = timing.pass_visible(config)
            acc = (unit, "acc", _slot(x, "acc", k))
            yield Touch((unit, "act", _slot(x, "act", k)), 0, False)
            if region is not None:
                yield Touch(region, 0, False)
            if not a["clear"]:
                yield Touch(acc, visible - 1, False)
            yield Touch(acc, visible, True)
        case "DRAIN":
            yield Touch((unit, "acc", _slot(x, "acc", k)), 0, False)
        case "REDUCE":
            acc, visible = (unit, "sum", _slot(x, "acc", k)), timing.reduce_result(config)
            if not a["clear"]:
                yield Touch(acc, visible - 1, False)
            yield Touch(acc, visible, True)
        case "CHAIN":
            yield from _chain(config, unit, x)


def _chain(config: TileConfig, unit: str, x: Instruction) -> Iterator[Touch]:
    a, t = x.args, timing.chain(x.args, config)
    if a["a"] == Source.REG:
        yield Touch((unit, "reg", a["a_at"]), t.source, False)
    for name, at in (("b", t.b), ("c", t.c), ("d", t.d)):
        if a[name] == Operand.REG and at is not None:
            yield Touch((unit, "reg", a[f"{name}_at"]), at, False)
    if a["to"] == Destination.REG:
        yield Touch((unit, "reg", a["to_at"]), t.out + 1, True)


def _host(x: Instruction) -> Iterator[Touch]:
    """Index registers and masks. The port itself sees a register one dispatch later, everybody else INDEX_VISIBLE."""
    a = x.args
    if x.op in ("INDEX", "PUSH", "TAIL") and a["src"]:
        yield Touch(("x", a["src"]), timing.INDEX_VISIBLE - 1, False)
    if x.op in ("CONFIG", "INDEX", "LDX", "POP"):
        yield Touch(("x", a["x"]), timing.INDEX_VISIBLE, True)
    if x.op == "TAIL":
        yield Touch(("mask", a["mask"]), timing.INDEX_VISIBLE, True)
