"""The faults that tb.faults writes into the RTL: which text becomes what, and which seeds catch it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    name, slice : what is wrong, and where. file : in rtl/.
    old, new : text that occurs there once, and what it becomes; FAULT in it is 1 while the fault is active.
    kind, seeds : the random programs that catch it: ``python -m tb.regress`` calls them --legal and --illegal.
    """

    name: str
    slice: str
    file: str
    old: str
    new: str
    kind: str = "legal"
    seeds: range = range(12)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "mask ignored by WRITE",
        "mem",
        "mem.py",
        "lanes1.eq(self.masks[mask]),",
        "lanes1.eq(self.masks[mask] | FAULT.replicate(config.lanes)),",
    ),
    Fault(
        "WRITEB writes all planes",
        "mem",
        "mem.py",
        "bytes2.eq(Mux(narrow1, 1 << byte1, 15)),",
        "bytes2.eq(Mux(narrow1 & ~FAULT, 1 << byte1, 15)),",
    ),
    Fault(
        "GATHER adds no base",
        "mem",
        "mem.py",
        'late_address, late_dst = delayed(m, gather["addr"], 2)',
        'late_address, late_dst = delayed(m, Mux(FAULT, 0, gather["addr"]), 2)',
    ),
    Fault(
        "collision not seen",
        "mem",
        "mem.py",
        "                reading\n                & Cat(",
        "                reading & ~FAULT\n                & Cat(",
        "illegal",
        range(0, 42),
    ),
    Fault(
        "activation skew off by one",
        "mxm",
        "mxm_array.py",
        "m.d.comb += row.activation.eq(activation)",
        "m.d.comb += row.activation.eq(Mux(FAULT & (number == 1), self.activations[number], activation))",
    ),
    Fault(
        "column of weights off by one",
        "mxm",
        "mxm_array.py",
        "columns.eq(write.columns),",
        "columns.eq(Mux(FAULT, write.columns.rotate_left(1), write.columns)),",
    ),
    Fault(
        "equal maxima take the later index",
        "sxm",
        "reduce.py",
        "greater.eq(key.as_signed() > held_key.as_signed()),",
        "greater.eq((key.as_signed() > held_key.as_signed()) | (FAULT & (key == held_key))),",
    ),
    Fault(
        "shift keeps lane 0",
        "sxm",
        "moves.py",
        "keep[lane].eq(Mux(self.down, shifted_in, ~self.up | kept_up)),",
        "keep[lane].eq(Mux(self.down, shifted_in, ~self.up | kept_up) | (FAULT & (lane == 0))),",
    ),
    Fault(
        "map's zero bit ignored",
        "sxm",
        "sxm.py",
        "crossbar.enable[lane].eq(Mux(permute1, ~entry[-1], read1 | load_row1)),",
        "crossbar.enable[lane].eq(Mux(permute1, ~entry[-1] | FAULT, read1 | load_row1)),",
    ),
    Fault(
        "product rounds ties up",
        "vxm",
        "floating.py",
        "        up = guard & (sticky | kept[0])\n",
        "        up = guard & (sticky | kept[0] | FAULT)\n",
    ),
    Fault(
        "no saturation",
        "vxm",
        "floating.py",
        "full.eq(x.top | (down < Mux(byte, 24, 0))),",
        "full.eq((x.top | (down < Mux(byte, 24, 0))) & ~FAULT),",
    ),
    Fault(
        "hop drops valid",
        "hop",
        "streams.py",
        "m.d.sync += [passed[s].eq(value), sink.valid[s].eq(Cat(present).any())]",
        "m.d.sync += [passed[s].eq(value), sink.valid[s].eq(Cat(present).any() & ~(FAULT & (s == 2)))]",
    ),
    Fault(
        "loop count off by one",
        "icu",
        "icu.py",
        'left[0].eq(head[loop["count"]] + operands[0].value),',
        'left[0].eq(head[loop["count"]] + operands[0].value + FAULT),',
    ),
    Fault(
        "index not added",
        "icu",
        "icu.py",
        "m.d.comb += total.eq(head[slot.offset :][: slot.width] + operands[n].value[: slot.width])",
        "m.d.comb += total.eq("
        "head[slot.offset :][: slot.width] + Mux(FAULT, 0, operands[n].value[: slot.width]))",
    ),
)
