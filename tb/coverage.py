"""Functional coverage of random programs: what is there to be hit, what was hit, which holes are left.

Most bins come from the golden model's trace (every dispatch with its effective fields) and from the words of the
program; the values that arithmetic sees come from the golden functions themselves. Bins are text in groups, so that
the results of many seeds and processes merge by addition.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

import golden.mxm
import golden.sxm
import golden.vxm
from golden.tile import Tile
from lpu import timing
from lpu.arch import TileConfig
from lpu.isa import (
    LOOP_INDEX,
    Destination,
    Instruction,
    Operand,
    Quantise,
    Reduction,
    Source,
    Special,
    layout,
    stream_name,
)
from lpu.program import Program
from lpu.runtime.machine import Result
from tb.bins import classes_of, integers_of, repetition, universe
from tb.programs import feed


class Coverage:
    """Hits of one configuration.

    Members
    -------
    hits : (group, bin) -> how often. programs, dispatches : how many were seen.
    """

    def __init__(self, config: TileConfig):
        self.config = config
        self.hits: Counter[tuple[str, str]] = Counter()
        self.programs = self.dispatches = 0
        self._universe = universe(config)
        self._known = {g: frozenset(bins) for g, bins in self._universe.items()}

    def hit(self, group: str, *parts: object) -> None:
        """Count a bin; one that is not in the universe is a mistake of this module."""
        name = " ".join(map(str, parts))
        if name not in self._known[group]:
            raise KeyError(f"{group}: {name}")
        self.hits[group, name] += 1

    def merge(self, other: Coverage) -> None:
        """Add what another collected."""
        self.hits += other.hits
        self.programs += other.programs
        self.dispatches += other.dispatches

    def holes(self) -> dict[str, list[str]]:
        """Group -> bins never hit."""
        missing = {g: [b for b in bins if not self.hits[g, b]] for g, bins in self._universe.items()}
        return {g: bins for g, bins in missing.items() if bins}

    def table(self) -> str:
        """One line a group: bins hit of those there are, then the holes by name."""
        holes = self.holes()
        lines = [
            f"functional coverage at {self.config.name}: {self.programs} programs, {self.dispatches} dispatches"
        ]
        total = hit = 0
        for group, bins in self._universe.items():
            missing = holes.get(group, [])
            total, hit = total + len(bins), hit + len(bins) - len(missing)
            lines.append(
                f"  {group:22}{len(bins) - len(missing):5} /{len(bins):5}  {', '.join(missing[:12])}"
                + (f" and {len(missing) - 12} more" if len(missing) > 12 else "")
            )
        lines.append(f"  {'all':22}{hit:5} /{total:5}  {100 * hit / total:.1f} %")
        return "\n".join(line.rstrip() for line in lines)

    # Collection ----------------------------------------------------------------------------------

    def run(self, program: Program, max_cycles: int, tile: Tile | None = None) -> tuple[Tile, Result]:
        """Run a program of tb.programs on a golden tile, by default a fresh one, and count what it does.

        Raises what :meth:`Tile.run` raises.
        """
        trace: list[tuple[int, str, Instruction]] = []
        tile = tile or Tile(self.config)

        def dispatched(cycle: int, queue: str, instruction: Instruction) -> None:
            trace.append((cycle, queue, instruction))
            number = instruction.args.get("mask", 0)
            if number and instruction.op != "TAIL":
                mask = tile.fabric.masks[number]
                lanes = self.config.lanes if mask is None else int(mask.sum())
                self.hit("mask", "full" if lanes == self.config.lanes else "some" if lanes else "none")

        tile.trace = dispatched
        feed(tile, program)
        before = self.hits.copy()
        with self._values():
            result = tile.run(max_cycles=max_cycles)
        self.programs += 1
        if result.violation:
            # What such a program does otherwise counts for nothing.
            self.hits = before
            kind = self.config.floorplan[result.violation.position].kind
            self.hit("violation", result.violation.kind.name, kind)
            return tile, result
        self._dispatches(trace)
        for queue, words in program.queues.items():
            self._words(queue, words[program.entries["main"] :])
        if program.entries["main"]:
            self.hit("control", "entry behind word 0")
        return tile, result

    def _dispatches(self, trace: list[tuple[int, str, Instruction]]) -> None:
        before: dict[str, int] = {}
        fifo: Counter[str] = Counter()
        notified = [cycle for cycle, _, i in trace if i.op == "NOTIFY"]
        for cycle, queue, instruction in trace:
            op, name = instruction.op, queue.split(".")[0]
            self.hit("op", queue, op)
            if op in ("LOOP", "SYNC", "NOTIFY", "HALT", "NOP"):
                self._control(instruction, cycle, notified)
                continue
            self.dispatches += 1
            if queue in before:
                self.hit("spacing", queue, repetition(cycle - before[queue]))
            before[queue] = cycle
            for what, accesses in (("tap", timing.operands), ("inject", timing.results)):
                for access in accesses(instruction, self.config):
                    self.hit("stream", name, what, stream_name(access.stream))
            self._fields(queue, instruction)
            if op in ("POP", "PUSH", "VPOP", "VPUSH"):
                fifo[op] += 1
        for op, size in (("PUSH", self.config.token_fifo), ("VPUSH", self.config.vector_fifo)):
            if size and fifo[op] == size:
                self.hit("fifo", f"{op} fills it")
        for op, size in (("POP", self.config.token_fifo), ("VPOP", self.config.vector_fifo)):
            if size and fifo[op] == size:
                self.hit("fifo", f"{op} takes all of a full one")

    def _control(self, instruction: Instruction, cycle: int, notified: list[int]) -> None:
        match instruction.op:
            case "LOOP":
                count = instruction.args["count"]
                self.hit(
                    "control", f"loop of {'no' if not count else 'one' if count == 1 else 'more'} iterations"
                )
            case "SYNC":
                waits = min((u for u in notified if u >= cycle), default=cycle) - cycle
                self.hit("control", f"sync waits {repetition(waits)}")

    def _fields(self, queue: str, instruction: Instruction) -> None:
        """Extreme addresses, byte planes, and the shapes of CHAIN and REDUCE."""
        a, op = instruction.args, instruction.op
        lay = layout(self.config, queue)
        for f in lay.ops[op].fields:
            if f.slot is not None and not (op == "CHAIN" and not a["accumulate"]):
                top = (1 << lay.fields[op][f.name][1]) - 1
                if a[f.name] in (0, top):
                    self.hit("address", queue, op, f.name, "first" if a[f.name] == 0 else "last")
        if op in ("READB", "WRITEB"):
            self.hit("byte plane", op, a["addr"] & 3)
        elif op == "REDUCE":
            self.hit(
                "reduce",
                Reduction(a["how"]).name,
                "clear" if a["clear"] else "go on",
                "emit" if a["emit"] else "keep",
            )
        elif op == "CHAIN":
            self._chain(a)

    def _chain(self, a: Any) -> None:
        t = timing.chain(a, self.config)
        path = [
            n for n in ("convert", "add", "special", "multiply2", "quantise") if getattr(t, n) is not None
        ]
        self.hit("chain path", "+".join(path) or "multiply only")
        self.hit("chain source", Source(a["a"]).name)
        for n in "bcd":
            self.hit("chain operand", n, Operand(a[n]).name)
        if a["c"]:
            self.hit("chain add", Operand(a["c"]).name, ("ADD", "SUB", "RSUB")[a["add"]])
        self.hit("chain special", Special(a["f"]).name)
        use = ("", "set", "add")[a["accumulate"]]
        self.hit(
            "chain result",
            Destination(a["to"]).name,
            Quantise(a["q"]).name,
            *(["tap"] * a["tap"]),
            *([use] * bool(use)),
        )
        if a["q"] and a["shift"] in (-32, -1, 0, 1, 31):
            self.hit("chain shift", a["shift"])

    def _words(self, queue: str, words: list[Instruction]) -> None:
        """Forms of the words themselves, up to HALT."""
        ends: list[int] = []
        for at, word in enumerate(words):
            ends = [e for e in ends if e > at]
            if word.op == "HALT":
                return
            if word.op == "LOOP":
                ends.append(at + 1 + word.args["length"])
                select, step = word.args["index"], word.args["step"]
                source = "loop index" if select >= LOOP_INDEX else "X" if select else "immediate"
                self.hit("loop", f"count from {source}")
                self.hit("loop", f"step {'negative' if step < 0 else 'positive' if step else 'zero'}")
                self.hit("loop", f"level {len(ends)}")
                if word.args["length"] == 1:
                    self.hit("loop", "body of one word")
                continue
            if word.op in ("SYNC", "NOTIFY"):
                continue
            self.hit("gap", repetition(word.gap))
            if word.count > 1:
                self.hit("repeat", f"count {repetition(word.count)}")
                self.hit("repeat", f"interval {repetition(word.interval)}")
            if word.op != "NOP":
                self._slots(queue, word)
        return

    def _slots(self, queue: str, word: Instruction) -> None:
        lay = layout(self.config, queue)
        for f in lay.ops[word.op].fields:
            if f.slot is None:
                continue
            stride, width = word.strides.get(f.name, 0), lay.slots[f.slot].width
            if word.count > 1:
                end = word.args[f.name] + stride * (word.count - 1)
                shape = (
                    "zero"
                    if not stride
                    else "wraps"
                    if not 0 <= end < 1 << width
                    else "down"
                    if stride < 0
                    else "up"
                )
                self.hit("stride", queue, shape)
            if select := word.index.get(f.name, 0):
                kind = f"loop {select - LOOP_INDEX}" if select >= LOOP_INDEX else f"X{select}"
                self.hit("index", queue, kind)

    @contextlib.contextmanager
    def _values(self) -> Iterator[None]:
        """Look at what the golden functions are given."""
        form = self.config.float_format
        front, back, product, reduce_vector = (
            golden.vxm.front, golden.vxm.back, golden.mxm.product, golden.sxm.reduce_vector,
        )  # fmt: skip

        def seen_front(fmt: Any, args: Any, a: Any, b: Any, c: Any) -> Any:
            if args["a"] in (Source.FLOAT, Source.REG):
                self._classes("multiply", classes_of(form, a))
            else:
                self._classes("convert", integers_of(a, args["a"] == Source.INT8))
            if args["b"]:
                self._classes("multiply", classes_of(form, b))
            if args["c"] in (Operand.STREAM, Operand.REG):
                self._classes("add", classes_of(form, c))
            return front(fmt, args, a, b, c)

        def seen_back(fmt: Any, args: Any, x: Any, d: Any) -> Any:
            if args["f"]:
                self._classes(Special(args["f"]).name.lower(), classes_of(form, x))
            y = back(fmt, args, x, d)
            if args["q"]:
                limit = 127 if args["q"] == Quantise.INT8 else (1 << 31) - 1
                name = Quantise(args["q"]).name
                self._classes(
                    "quantise",
                    {f"{name} {'+' if v > 0 else '-'}limit" for v in np.unique(y) if abs(int(v)) == limit},
                )
            return y

        def seen_product(activation: Any, weights: Any) -> Any:
            for what, array in (("activation", activation), ("weight", weights)):
                for bound in (-128, 127):
                    if (array == bound).any():
                        self.hit("value", what, bound)
            return product(activation, weights)

        def seen_reduce(how: Any, value: Any, mask: Any, running: Any, clear: Any) -> Any:
            if (value == value.max()).sum() > 1:
                self.hit("value", "tie in", Reduction(how).name)
            return reduce_vector(how, value, mask, running, clear)

        with (
            mock.patch.object(golden.vxm, "front", seen_front),
            mock.patch.object(golden.vxm, "back", seen_back),
            mock.patch.object(golden.mxm, "product", seen_product),
            mock.patch.object(golden.sxm, "reduce_vector", seen_reduce),
        ):
            yield

    def _classes(self, where: str, found: set[str]) -> None:
        for name in found:
            self.hit("value", where, name)
