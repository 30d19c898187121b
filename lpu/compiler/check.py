"""The schedule check: proves a finished program against lpu.timing, from its queue words alone.

It finds what a tile would latch as a violation (docs/architecture.md), before anything runs. Where addresses depend on
data (GATHER, SCATTER, index registers read from a FIFO or stream) it says so instead of guessing, and lane masks count
as if every lane were in them; so no program passes that could fail, but a few that are legal do not pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpu import timing
from lpu.arch import SliceKind, TileConfig
from lpu.asm import format_instruction
from lpu.compiler.expand import Dispatch, Expansion, addresses, expand, slot_fields
from lpu.isa import Destination, IsaError, encode, stream_name
from lpu.program import Program, ProgramError


@dataclass
class _Table:
    """Columns of numbers gathered piece by piece: key, cycle, place and dispatch number of events."""

    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, key: np.ndarray, cycle: np.ndarray, place: int, number: int) -> None:
        whole = np.ones(len(cycle), dtype=np.int64)
        self.pieces.append((key, cycle, place * whole, number * whole))

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Key, cycle, place, number: int64 each, sorted by key."""
        if not self.pieces:
            none = np.zeros(0, dtype=np.int64)
            return none, none, none, none
        columns = [np.concatenate(c) for c in zip(*self.pieces, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return columns[0][order], columns[1][order], columns[2][order], columns[3][order]


class _Checker:
    """One check of one expanded program."""

    def __init__(self, program: Program, run: Expansion):
        self.config, self.run = program.config, run
        self.found: list[tuple[int, str]] = list(run.faults)
        self.positions = {n: p for p, n in enumerate(self.config.slice_names)}

    def text(self, number: int) -> str:
        """A dispatch in words."""
        d = self.run.dispatches[number]
        return f"{d.queue} word {d.word} {format_instruction(self.config, d.queue, d.instruction)}"

    def fault(self, cycle: int, text: str) -> None:
        self.found.append((int(cycle), text))

    # Streams -------------------------------------------------------------------------------------

    def streams(self) -> None:
        """CONFLICT and NO_OPERAND: everything on one diagonal of time and place of one byte stream is one value."""
        injected, sampled = _Table(), _Table()
        shape = 2 * self.config.streams
        names: dict[tuple, list[timing.Access]] = {}
        for number, d in enumerate(self.run.dispatches):
            p = self.positions[d.queue.split(".")[0]]
            times = d.times
            for table, function in ((injected, timing.results), (sampled, timing.operands)):
                key = (function.__name__, d.queue, d.word)
                if key not in names:
                    names[key] = function(d.instruction, self.config)
                for access in names[key]:
                    for b in range(access.bytes):
                        code = access.stream + 2 * b
                        diagonal = times + access.at + (p if code & 1 else -p)
                        # Diagonals start at minus the last position.
                        table.add(
                            (diagonal + len(self.positions)) * shape + code, times + access.at, p, number
                        )
        keys, cycles, places, numbers = injected.columns()
        order = np.lexsort((cycles, keys))
        keys, cycles, places, numbers = keys[order], cycles[order], places[order], numbers[order]
        for i in np.flatnonzero(keys[1:] == keys[:-1]):
            where = self.config.slice_names[places[i + 1]]
            self.fault(
                cycles[i + 1],
                f"CONFLICT at {where} on {stream_name(int(keys[i]) % shape)}: "
                f"{self.text(numbers[i + 1])} meets {self.text(numbers[i])}",
            )
        wanted, when, at, who = sampled.columns()
        # The first injection on a diagonal is the one furthest upstream: the earliest.
        first = np.searchsorted(keys, wanted)
        inside = np.minimum(first, max(0, len(keys) - 1))
        present = np.zeros(len(wanted), dtype=bool)
        if len(keys):
            present = (first < len(keys)) & (keys[inside] == wanted) & (cycles[inside] < when)
        for i in np.flatnonzero(~present):
            where = self.config.slice_names[at[i]]
            self.fault(
                when[i],
                f"NO_OPERAND at {where}: {self.text(who[i])} finds nothing on {stream_name(int(wanted[i]) % shape)}",
            )

    # Addresses -----------------------------------------------------------------------------------

    def address(self, number: int, name: str) -> np.ndarray | None:
        """A slot field at every dispatch, cut to its field; None if it depends on data."""
        d = self.run.dispatches[number]
        for slot, slot_width, width in slot_fields(self.config, d.queue, d.instruction.op):
            if slot == name:
                values = addresses(self.run, d, name, slot_width)
                return None if values is None else values % (1 << width)
        raise KeyError(name)

    def ranges(self) -> None:
        """RANGE, and addresses that cannot be known."""
        for number, d in enumerate(self.run.dispatches):
            for name, slot_width, width in slot_fields(self.config, d.queue, d.instruction.op):
                values = addresses(self.run, d, name, slot_width)
                if values is None:
                    self.fault(d.cycle, f"{self.text(number)}: {name} depends on data; it cannot be checked")
                    continue
                for k in np.flatnonzero(values >= 1 << width)[:1]:
                    self.fault(
                        d.times[k],
                        f"RANGE at {d.queue.split('.')[0]}: {self.text(number)}: dispatch {k} has "
                        f"{name}={values[k]}, past {(1 << width) - 1}",
                    )

    def memories(self) -> None:
        """COLLISION in a MEM, and GATHER against READ."""
        for name, spec in zip(self.config.slice_names, self.config.floorplan, strict=True):
            if spec.kind is not SliceKind.MEM:
                continue
            reads, writes, blind = _Table(), _Table(), _Table()
            place = self.positions[name]
            for number, d in self.of(f"{name}.read"):
                late = timing.GATHER_LATE if d.instruction.op == "GATHER" else 0
                self._access(reads, blind, number, d, d.times + late, place)
            self._same_cycle(name, reads, blind)
            for number, d in self.of(f"{name}.write"):
                self._access(writes, blind, number, d, d.times + timing.WRITE_VISIBLE - 1, place)
            self._collide(f"{name} word", reads, writes)
            self._blind(name, reads, writes, blind)

    def _access(
        self, table: _Table, blind: _Table, number: int, d: Dispatch, cycles: np.ndarray, place: int
    ) -> None:
        """Enter cycle * 2**20 + word address; what has no known address goes to ``blind`` with the bare cycle."""
        op = d.instruction.op
        values = None if op in ("GATHER", "SCATTER") else self.address(number, "addr")
        if values is None:
            blind.add(cycles, cycles, place, number)
            return
        table.add(
            (cycles << 20) + (values // 4 if op in ("READB", "WRITEB") else values), cycles, place, number
        )

    def _same_cycle(self, name: str, reads: _Table, blind: _Table) -> None:
        at, _, _, who = reads.columns()
        gathered, _, _, gatherer = blind.columns()
        for i in np.flatnonzero(np.isin(gathered, at >> 20)):
            other = who[np.searchsorted(at >> 20, gathered[i])]
            self.fault(
                gathered[i], f"PORT at {name}: {self.text(gatherer[i])} and {self.text(other)} both read"
            )

    def _collide(self, what: str, reads: _Table, writes: _Table) -> None:
        at, cycles, _, reader = reads.columns()
        hit, _, _, writer = writes.columns()
        if not len(hit):
            return
        where = np.minimum(np.searchsorted(hit, at), len(hit) - 1)
        for i in np.flatnonzero(hit[where] == at):
            self.fault(
                cycles[i],
                f"COLLISION at {what} {at[i] & 0xFFFFF}: {self.text(reader[i])} reads what "
                f"{self.text(writer[where[i]])} writes",
            )

    def _blind(self, name: str, reads: _Table, writes: _Table, blind: _Table) -> None:
        """GATHER in the cycle of a write, SCATTER in the cycle of a read."""
        cycles, _, _, who = blind.columns()
        for i in range(len(cycles)):
            gathers = self.run.dispatches[who[i]].queue.endswith(".read")
            others = [writes if gathers else reads]
            rest = np.concatenate([t.columns()[0] >> 20 for t in others])
            sides = [self.run.dispatches[w].queue.endswith(".read") for w in who[cycles == cycles[i]]]
            if cycles[i] in rest or len(set(sides)) > 1:
                self.fault(
                    cycles[i],
                    f"COLLISION at {name} cannot be ruled out: {self.text(who[i])}, addresses are data",
                )

    def weights(self) -> None:
        """COLLISION of PASS and LW on one context."""
        for name, spec in zip(self.config.slice_names, self.config.floorplan, strict=True):
            if spec.kind is not SliceKind.MXM:
                continue
            reads, writes = _Table(), _Table()
            for table, queue, late in ((reads, "passes", 0), (writes, "weights", timing.WEIGHTS_VISIBLE - 1)):
                for number, d in self.of(f"{name}.{queue}"):
                    values = self.address(number, "ctx")
                    if values is not None:
                        table.add(
                            ((d.times + late) << 20) + values, d.times + late, self.positions[name], number
                        )
            self._collide(f"{name} context", reads, writes)

    # Units ---------------------------------------------------------------------------------------

    def chains(self) -> None:
        """PORT in a VXM: distance of dispatches, and chains of different length that catch up with each other."""
        beats = self.config.beats
        for name, spec in zip(self.config.slice_names, self.config.floorplan, strict=True):
            if spec.kind is not SliceKind.VXM:
                continue
            stages: dict[str, list[tuple[int, int]]] = {}
            for number, d in self.of(f"{name}.chain"):
                t = timing.chain(d.instruction.args, self.config)
                used = {
                    "dispatch": 0,
                    "convert": t.convert,
                    "multiply": t.multiply,
                    "add": t.add,
                    "special": t.special,
                }
                used |= {"multiply2": t.multiply2, "quantise": t.quantise}
                if d.instruction.args["to"] != Destination.NONE:
                    used["out"] = t.out
                for stage, offset in used.items():
                    if offset is not None:
                        stages.setdefault(stage, []).extend((int(c) + offset, number) for c in d.times)
            for stage, events in stages.items():
                events.sort()
                for (a, x), (b, y) in itertools.pairwise(events):
                    if b - a < beats:
                        self.fault(
                            b, f"PORT at {name}: {self.text(y)} meets {self.text(x)} in its {stage} stage"
                        )

    def fifos(self, vectors_in: int, tokens_in: int) -> None:
        """UNDERFLOW and OVERFLOW, the host neither adding nor taking while the program runs."""
        host = next(
            n
            for n, s in zip(self.config.slice_names, self.config.floorplan, strict=True)
            if s.kind is SliceKind.HOST
        )
        for op, kind, room in (
            ("VPOP", "UNDERFLOW", vectors_in),
            ("POP", "UNDERFLOW", tokens_in),
            ("VPUSH", "OVERFLOW", self.config.vector_fifo),
            ("PUSH", "OVERFLOW", self.config.token_fifo),
        ):
            late = 0 if op == "VPOP" else 1
            events = [
                (int(c), n) for n, d in self.of(f"{host}.port") if d.instruction.op == op for c in d.times
            ]
            for cycle, number in sorted(events)[room:][:1]:
                self.fault(
                    cycle + late,
                    f"{kind} at {host}: {self.text(number)} is number {room + 1}, there are {room}",
                )

    def of(self, queue: str) -> Iterable[tuple[int, Dispatch]]:
        """Dispatches of one queue with their numbers."""
        return ((n, d) for n, d in enumerate(self.run.dispatches) if d.queue == queue)


def check_program(
    program: Program,
    entry: str = "main",
    *,
    vectors_in: int = 0,
    tokens: Sequence[int] = (),
    cycles: int | None = None,
    shown: int | None = 20,
) -> list[str]:
    """Everything wrong with a program's schedule, earliest first, as ``"cycle 41: NO_OPERAND at mxm0: ..."``; empty if legal.

    Parameters
    ----------
    entry : label to start from. Index registers are taken to be zero there.
    vectors_in : how many vectors, and tokens : which tokens, the host has put into the FIFOs before the start.
    cycles : cycle count that the run must have; the program's own prediction if None.
    shown : how many to spell out; None for all.
    """
    config: TileConfig = program.config
    try:
        program.check()
        for queue, words in program.queues.items():
            for number, word in enumerate(words):
                try:
                    encode(config, queue, word)
                except IsaError as error:
                    raise IsaError(f"word {number}: {error}") from None
    except (ProgramError, IsaError) as error:
        return [f"cycle 0: {error}"]
    checker = _Checker(program, run := expand(program, entry, tokens))
    checker.ranges()
    checker.streams()
    checker.memories()
    checker.weights()
    checker.chains()
    checker.fifos(vectors_in, len(tokens))
    expected = program.cycles.get(entry) if cycles is None else cycles
    if isinstance(expected, int) and expected != run.cycles:
        checker.fault(run.cycles, f"the last HALT is here, the prediction says {expected}")
    found = sorted(set(checker.found))
    texts = [f"cycle {cycle}: {text}" for cycle, text in found[:shown]]
    return texts if len(found) == len(texts) else [*texts, f"and {len(found) - len(texts)} more"]
