"""Compression, first half: neighbouring dispatches of equal stride become one queue word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lpu.arch import TileConfig
from lpu.isa import COUNT_BITS, INTERVAL_BITS, Instruction, layout


@dataclass(frozen=True)
class Placed:
    """A queue word whose first dispatch is in a known cycle. Its gap is still zero."""

    cycle: int
    instruction: Instruction

    @property
    def last(self) -> int:
        """Cycle of the last dispatch."""
        return self.cycle + (self.instruction.count - 1) * self.instruction.interval


class SlotMap:
    """Which fields of a queue's ops are address slots, and how wide.

    Parameters
    ----------
    config, queue : the queue's layout.
    """

    def __init__(self, config: TileConfig, queue: str):
        lay = layout(config, queue)
        self._slots = {
            op.name: {f.name: lay.slots[f.slot].width for f in op.fields if f.slot is not None}
            for op in lay.ops.values()
        }
        self._fields = lay.fields

    def slots(self, op: str) -> Mapping[str, int]:
        """Slot field name -> width of the slot in bits, in the order of the op's fields."""
        return self._slots[op]

    def field_width(self, op: str, name: str) -> int:
        """Width of the field itself; a slot shared with a wider field of another op is wider."""
        return self._fields[op][name][1]


def merge_runs(slots: SlotMap, placed: list[Placed]) -> list[Placed]:
    """Fewest words a greedy walk finds: ``placed`` is in order of time and does not overlap."""
    merged: list[Placed] = []
    for item in placed:
        joined = _join(slots, merged[-1], item) if merged else None
        if joined is None:
            merged.append(item)
        else:
            merged[-1] = joined
    return merged


def _join(slots: SlotMap, a: Placed, b: Placed) -> Placed | None:
    """One word that dispatches what ``a`` and then ``b`` would, or None."""
    x, y = a.instruction, b.instruction
    count = x.count + y.count
    if x.op != y.op or x.index != y.index or count > 1 << COUNT_BITS:
        return None
    interval = b.cycle - a.last
    if interval > 1 << INTERVAL_BITS:
        return None
    for word in (x, y):
        if word.count > 1 and word.interval != interval:
            return None
    widths = slots.slots(x.op)
    strides = {}
    for name, value in x.args.items():
        if name not in widths:
            if y.args[name] != value:
                return None
            continue
        modulus = 1 << widths[name]
        last = value + (x.count - 1) * x.strides.get(name, 0)
        stride = (y.args[name] - last) % modulus
        for word in (x, y):
            if word.count > 1 and (word.strides.get(name, 0) - stride) % modulus:
                return None
        if stride:
            strides[name] = stride - modulus if stride >= modulus // 2 else stride
    return Placed(a.cycle, replace(x, count=count, interval=interval, strides=strides))
