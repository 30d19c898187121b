"""The schedule check: proves a finished program against lpu.timing, from its queue words alone.

It finds what a tile would latch as a violation (docs/architecture.md), before anything runs. Where addresses depend on
data (GATHER, SCATTER, index registers read from a FIFO or stream whose contents are not given) it says so instead of
guessing, and lane masks count as if every lane were in them; so no program passes that could fail, but a few that are
legal do not pass. A verdict holds for the register contents, tokens and loaded values it was asked for.

What is no violation is not looked for: an old value read from an accumulator, an activation buffer entry, a vector
register, an index register or a mask is what the architecture says the instruction sees, and only running shows
whether it was the one meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpu import timing
from lpu.arch import SliceKind
from lpu.asm import format_instruction
from lpu.compiler.expand import UNKNOWN, Expansion, Group, addresses, expand, slot_fields
from lpu.isa import Destination, IsaError, encode, stream_name
from lpu.program import Program, ProgramError
from lpu.runtime.cycles import evaluate


@dataclass
class _Table:
    """Columns of numbers gathered piece by piece: key, cycle, place and dispatch number of events."""

    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, key: np.ndarray, cycle: np.ndarray, place: int, number: np.ndarray) -> None:
        self.pieces.append((key, cycle, np.full(len(cycle), place), number))

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
        self.texts: dict[tuple[str, int], str] = {}
        self.groups: dict[str, list[Group]] = {}
        for group in run.groups():
            self.groups.setdefault(group.queue, []).append(group)

    def text(self, number: int) -> str:
        """A dispatch in words."""
        d = self.run.dispatches[number]
        if (d.queue, d.word) not in self.texts:
            spelled = format_instruction(self.config, d.queue, d.instruction)
            self.texts[d.queue, d.word] = f"{d.queue} word {d.word} {spelled}"
        return self.texts[d.queue, d.word]

    def fault(self, cycle: int, text: str) -> None:
        self.found.append((int(cycle), text))

    # Streams -------------------------------------------------------------------------------------

    def streams(self) -> None:
        """CONFLICT and NO_OPERAND: everything on one diagonal of time and place of one byte stream is one value."""
        injected, sampled = _Table(), _Table()
        shape = 2 * self.config.streams
        for queue, groups in self.groups.items():
            p = self.positions[queue.split(".")[0]]
            for g in groups:
                for table, function in ((injected, timing.results), (sampled, timing.operands)):
                    for access in function(g.instruction, self.config):
                        codes = access.stream + 2 * np.arange(access.bytes)
                        # Diagonals start at minus the last position.
                        diagonal = (
                            g.times + access.at + (p if access.stream & 1 else -p) + len(self.positions)
                        )
                        keys = (diagonal * shape + codes[:, None]).reshape(-1)
                        cycles = np.tile(g.times + access.at, access.bytes)
                        table.add(keys, cycles, p, np.tile(g.who, access.bytes))
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

    def address(self, group: Group, name: str) -> np.ndarray:
        """A slot field at every dispatch, cut to its field; UNKNOWN if it depends on data."""
        for slot, slot_width, width in slot_fields(self.config, group.queue, group.instruction.op):
            if slot == name:
                values = addresses(self.run, group, name, slot_width)
                return np.where(values == UNKNOWN, UNKNOWN, values % (1 << width))
        raise KeyError(name)

    def ranges(self) -> None:
        """RANGE, and addresses that cannot be known."""
        for g in (g for groups in self.groups.values() for g in groups):
            for name, slot_width, width in slot_fields(self.config, g.queue, g.instruction.op):
                values = addresses(self.run, g, name, slot_width)
                for number in np.unique(g.who[values == UNKNOWN]):
                    self.fault(
                        self.run.dispatches[number].cycle,
                        f"{self.text(number)}: {name} depends on data; it cannot be checked",
                    )
                past = np.flatnonzero(values >= 1 << width)
                for i in past[np.unique(g.who[past], return_index=True)[1]]:
                    self.fault(
                        g.times[i],
                        f"RANGE at {g.queue.split('.')[0]}: {self.text(g.who[i])}: dispatch "
                        f"{i % g.instruction.count} has {name}={values[i]}, past {(1 << width) - 1}",
                    )

    def memories(self) -> None:
        """COLLISION in a MEM, and GATHER against READ."""
        for name, spec in zip(self.config.slice_names, self.config.floorplan, strict=True):
            if spec.kind is not SliceKind.MEM:
                continue
            reads, writes, blind = _Table(), _Table(), _Table()
            place = self.positions[name]
            for g in self.groups.get(f"{name}.read", ()):
                late = timing.GATHER_LATE if g.instruction.op == "GATHER" else 0
                self._access(reads, blind, g, g.times + late, place)
            self._same_cycle(name, reads, blind)
            for g in self.groups.get(f"{name}.write", ()):
                self._access(writes, blind, g, g.times + timing.WRITE_VISIBLE - 1, place)
            self._collide(f"{name} word", reads, writes)
            self._blind(name, reads, writes, blind)

    def _access(self, table: _Table, blind: _Table, group: Group, cycles: np.ndarray, place: int) -> None:
        """Enter cycle * 2**20 + word address; what has no known address goes to ``blind`` with the bare cycle."""
        op, who = group.instruction.op, group.who
        if op in ("GATHER", "SCATTER"):
            blind.add(cycles, cycles, place, who)
            return
        values = self.address(group, "addr")
        known = values != UNKNOWN
        blind.add(cycles[~known], cycles[~known], place, who[~known])
        words = (values // 4 if op in ("READB", "WRITEB") else values)[known]
        table.add((cycles[known] << 20) + words, cycles[known], place, who[known])

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
        gathers = np.array([self.run.dispatches[w].queue.endswith(".read") for w in who], dtype=bool)
        for side, others in ((gathers, writes), (~gathers, reads)):
            taken = np.concatenate([others.columns()[0] >> 20, cycles[~side]])
            for i in np.flatnonzero(side & np.isin(cycles, taken)):
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
                for g in self.groups.get(f"{name}.{queue}", ()):
                    values = self.address(g, "ctx")
                    known = values != UNKNOWN
                    cycles = (g.times + late)[known]
                    table.add((cycles << 20) + values[known], cycles, self.positions[name], g.who[known])
            self._collide(f"{name} context", reads, writes)

    # Units ---------------------------------------------------------------------------------------

    def chains(self) -> None:
        """PORT in a VXM: distance of dispatches, and chains of different length that catch up with each other."""
        beats = self.config.beats
        for name, spec in zip(self.config.slice_names, self.config.floorplan, strict=True):
            if spec.kind is not SliceKind.VXM:
                continue
            stages: dict[str, _Table] = {}
            for g in self.groups.get(f"{name}.chain", ()):
                t = timing.chain(g.instruction.args, self.config)
                used = {
                    "dispatch": 0,
                    "convert": t.convert,
                    "multiply": t.multiply,
                    "add": t.add,
                    "special": t.special,
                }
                used |= {"multiply2": t.multiply2, "quantise": t.quantise}
                if g.instruction.args["to"] != Destination.NONE:
                    used["out"] = t.out
                for stage, offset in used.items():
                    if offset is not None:
                        at = g.times + offset
                        stages.setdefault(stage, _Table()).add(at, at, self.positions[name], g.who)
            for stage, table in stages.items():
                at, _, _, who = table.columns()
                for i in np.flatnonzero(np.diff(at) < beats):
                    x, y = self.text(who[i]), self.text(who[i + 1])
                    self.fault(at[i + 1], f"PORT at {name}: {y} meets {x} in its {stage} stage")

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
            events = _Table()
            for g in self.groups.get(f"{host}.port", ()):
                if g.instruction.op == op:
                    events.add(g.times, g.times, self.positions[host], g.who)
            _, times, _, who = events.columns()
            if len(times) > room:
                self.fault(
                    times[room] + late,
                    f"{kind} at {host}: {self.text(who[room])} is number {room + 1}, there are {room}",
                )

    def prediction(self, expected: int | str, names: Mapping[str, int]) -> None:
        """The run against the cycle count it should have."""
        try:
            count = evaluate(expected, **names)
        except ProgramError as error:
            self.fault(self.run.cycles, str(error))
            return
        if count != self.run.cycles:
            formula = "" if isinstance(expected, int) else f" ({expected})"
            self.fault(self.run.cycles, f"the last HALT is here, the prediction says {count}{formula}")


def check_program(
    program: Program,
    entry: str = "main",
    *,
    registers: Mapping[int, int] | None = None,
    tokens: Sequence[int] = (),
    loaded: Sequence[int] = (),
    vectors_in: int = 0,
    cycles: int | str | None = None,
    names: Mapping[str, int] | None = None,
    shown: int | None = 20,
) -> list[str]:
    """Everything wrong with a program's schedule, earliest first, as ``"cycle 41: NO_OPERAND at mxm0: ..."``; empty if legal.

    Parameters
    ----------
    entry : label to start from.
    registers : contents of index registers at the start; zero where left out.
    tokens : which tokens the host has put into the FIFO before the start, and vectors_in : how many vectors.
    loaded : what LDX finds on its stream, in order. LDX beyond that, like POP beyond ``tokens``, is data.
    cycles : cycle count that the run must have, or a formula for it (lpu.runtime.cycles); the program's own prediction
        if None.
    names : values of a formula's names besides those of :func:`register_names`.
    shown : how many to spell out; None for all.
    """
    try:
        program.check()
        for queue, words in program.queues.items():
            for number, word in enumerate(words):
                try:
                    encode(program.config, queue, word)
                except IsaError as error:
                    raise IsaError(f"word {number}: {error}") from None
        run = expand(program, entry, tokens, registers=registers, loaded=loaded)
    except (ProgramError, IsaError) as error:
        return [f"cycle 0: {error}"]
    checker = _Checker(program, run)
    checker.ranges()
    checker.streams()
    checker.memories()
    checker.weights()
    checker.chains()
    checker.fifos(vectors_in, len(tokens))
    expected = program.cycles.get(entry) if cycles is None else cycles
    if expected is not None:
        checker.prediction(expected, register_names(program, registers or {}) | dict(names or {}))
    found = sorted(set(checker.found))
    texts = [f"cycle {cycle}: {text}" for cycle, text in found[:shown]]
    return texts if len(found) == len(texts) else [*texts, f"and {len(found) - len(texts)} more"]


def register_names(program: Program, registers: Mapping[int, int]) -> dict[str, int]:
    """Values by name: ``X1`` ..., and what ``symbols["model"]["registers"]`` (name -> number) calls them.

    ``symbols["registers"]`` says the same for a program that is no model's.
    """
    values = {f"X{x}": registers.get(x, 0) for x in range(1, program.config.index_registers)}
    for place in (program.symbols.get("model"), program.symbols):
        named = place.get("registers") if isinstance(place, dict) else None
        values |= {n: registers.get(x, 0) for n, x in (named if isinstance(named, dict) else {}).items()}
    return values
