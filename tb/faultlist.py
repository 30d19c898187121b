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
    seeds: range = range(40)


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
        "Cat(reading & writing[n] &",
        "Cat(reading & ~FAULT & writing[n] &",
        "illegal",
        range(42),
    ),
    Fault(
        "product of the wrong sign",
        "mxm",
        "multiply.py",
        "product.eq(a * b)",
        "product.eq(Mux(FAULT & (self.row == 2), -(a * b), a * b))",
    ),
    Fault(
        "clear of PASS missing",
        "mxm",
        "mxm.py",
        'gated_add(m, f"total{lane}", ~clear,',
        'gated_add(m, f"total{lane}", ~clear | FAULT,',
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
        "with m.Elif(combine.greater):",
        "with m.Elif(combine.greater | (FAULT & (key == held_key))):",
        seeds=range(400),
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
        "sticky = p[: size - 1].any() | (big & p[size - 1])",
        "sticky = p[: size - 1].any() | (big & p[size - 1]) | FAULT",
        seeds=range(400),
    ),
    Fault(
        "int8 taken as unsigned",
        "vxm",
        "vxm_lane.py",
        "(low[7] & byte).replicate(24)",
        "(low[7] & byte & ~FAULT).replicate(24)",
    ),
    Fault(
        "saturation missing",
        "vxm",
        "floating.py",
        "number = Mux(zero, 0, Mux(full, limit, whole))",
        "number = Mux(zero, 0, Mux(full & ~FAULT, limit, whole))",
    ),
    Fault(
        "subtraction adds",
        "vxm",
        "vxm_lane.py",
        "add.mode.eq(delayed(m, control.mode, 1)),",
        "add.mode.eq(Mux(FAULT & delayed(m, control.mode == 1, 1), 0, delayed(m, control.mode, 1))),",
    ),
    Fault(
        "second beat takes the mask of the first",
        "vxm",
        "vxm_control.py",
        "Cat(token.mask, later).eq(later)]",
        "Cat(token.mask, later).eq(Mux(FAULT, token.mask, later))]",
    ),
    Fault(
        "token FIFO off by one",
        "host",
        "host.py",
        "full = tokens_out.level == config.token_fifo\n",
        "full = tokens_out.level == Mux(FAULT, config.token_fifo - 1, config.token_fifo)\n",
        "illegal",
        range(42),
    ),
    Fault(
        "TAIL takes a lane too many",
        "host",
        "host.py",
        "lanes = Cat(operand > lane for",
        "lanes = Cat((operand > lane) | (FAULT & (operand == lane)) for",
    ),
    Fault(
        "hop drops valid",
        "hop",
        "streams.py",
        "sink.valid[s].eq(Cat(present).any())]",
        "sink.valid[s].eq(Cat(present).any() & ~(FAULT & (s == 2)))]",
    ),
    Fault(
        "valid stuck after a result",
        "hop",
        "streams.py",
        "present = [*hits, source.valid[s]]",
        "present = [*hits, source.valid[s] | (FAULT & (s == 5) & sink.valid[s])]",
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
        "+ operands[n].value[: slot.width])",
        "+ Mux(FAULT, 0, operands[n].value[: slot.width]))",
    ),
    Fault(
        "SYNC waits a cycle too long",
        "icu",
        "tile.py",
        "notified = delayed(m, notified, NOTIFY_LATENCY, reset_less=False)",
        "notified = Mux(FAULT, delayed(m, notified, NOTIFY_LATENCY + 1), delayed(m, notified, NOTIFY_LATENCY))",
    ),
    Fault(
        "last entry of a load is lost",
        "port",
        "port.py",
        "complete = Mux(word == 0, count >= size, whole)",
        "complete = Mux(word == 0, (count >= size) & ~(FAULT & (count == size)), whole)",
    ),
    Fault(
        "cycle of a violation off by one",
        "tile",
        "tile.py",
        "when.eq(cycle)]",
        "when.eq(cycle + FAULT)]",
        "illegal",
        range(42),
    ),
)
