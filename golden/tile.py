"""The tile: executes a program in schedule time, event by event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.c2c import C2c
from golden.fabric import DISPATCH, READ, Fabric
from golden.host import Host
from golden.icu import Queue, State, take_apart
from golden.mem import Mem
from golden.mxm import Mxm
from golden.sxm import Sxm
from golden.vxm import Vxm
from lpu.arch import SliceKind, TileConfig
from lpu.isa import Instruction, queue_names, unit_of
from lpu.program import Program
from lpu.runtime.machine import MAX_CYCLES, MachineError, Result, ViolationKind

Trace = Callable[[int, str, Instruction], None]
AnySlice = C2c | Host | Mem | Mxm | Sxm | Vxm

_SLICES: dict[SliceKind, type[AnySlice]] = {
    SliceKind.C2C: C2c,
    SliceKind.HOST: Host,
    SliceKind.MEM: Mem,
    SliceKind.MXM: Mxm,
    SliceKind.SXM: Sxm,
    SliceKind.VXM: Vxm,
}
#: Method of an instruction whose name Python keeps for itself.
_METHODS = {"PASS": "pass_"}


class Timeout(MachineError):
    """A run longer than ``max_cycles``."""


class Deadlock(MachineError):
    """Every queue that has not halted waits in SYNC for a NOTIFY that nobody can dispatch."""


class Tile:
    """The golden tile: :class:`lpu.runtime.machine.Machine` by arithmetic instead of hardware.

    Memories, weights, registers, masks and FIFOs keep their contents from run to run.

    Parameters
    ----------
    config : what to build.
    trace : called for every dispatch with cycle, queue name and the instruction with its effective fields.

    Attributes
    ----------
    slices : name -> slice.
    """

    def __init__(self, config: TileConfig, trace: Trace | None = None):
        self.config = config
        self.trace = trace
        self.fabric = Fabric(config)
        self.slices: dict[str, AnySlice] = {
            name: _SLICES[spec.kind](self.fabric, name)
            for spec, name in zip(config.floorplan, config.slice_names, strict=True)
        }
        self._host = self._named(Host, "host0")
        self._queues = [Queue(config, name) for name in queue_names(config)]
        self._entries: dict[str, int] = {"main": 0}
        # A method an instruction, by queue.
        self._units: dict[str, dict[str, Callable[[int, Mapping[str, int]], None]]] = {}
        for queue in self._queues:
            unit = self.slices[queue.name.split(".")[0]]
            ops = [op.name for op in unit_of(config, queue.name).ops]
            self._units[queue.name] = {op: getattr(unit, _METHODS.get(op, op.lower())) for op in ops}

    def _named(self, kind: type[Any], name: str) -> Any:
        found = self.slices.get(name)
        if not isinstance(found, kind):
            names = ", ".join(n for n, s in self.slices.items() if isinstance(s, kind))
            raise MachineError(
                f"{self.config.name} has no {kind.__name__.lower()} slice {name!r}: it has {names}"
            )
        return found

    # Running ---------------------------------------------------------------------------------------

    def load(self, program: Program) -> None:
        """Replace all queues; write the images. Raises MachineError, ProgramError or IsaError in one line."""
        if program.config.fingerprint != self.config.fingerprint:
            raise MachineError(
                f"the program was made for configuration {program.config.name} "
                f"({program.config.fingerprint}), this tile is {self.config.name} "
                f"({self.config.fingerprint}): compile it again"
            )
        program.check()
        for queue in self._queues:
            program.words(queue.name)  # checks every field
            instructions = program.queues.get(queue.name, [])
            queue.words = [take_apart(self.config, queue.name, i) for i in instructions]
        self._entries = dict(program.entries)
        lanes = self.config.lanes
        for name, data in program.images.items():
            if name == "masks":
                size = (lanes + 7) // 8
                for n in range(1, len(data) // size):
                    raw = np.frombuffer(data[n * size : (n + 1) * size], np.uint8)
                    self.fabric.masks[n] = np.unpackbits(raw, bitorder="little")[:lanes].astype(np.bool_)
            elif isinstance(found := self.slices[name], Mem):
                words = np.frombuffer(data, "<u4").reshape(-1, lanes)
                found.memory[: len(words)] = words
            elif isinstance(found, Mxm):
                blocks = np.frombuffer(data, np.int8).reshape(-1, lanes, lanes)
                found.weights[: len(blocks)] = blocks

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> Result:
        """Start every queue at the entry's word; run until all have halted and nothing is in flight.

        Raises Timeout or Deadlock (both MachineError) if it does not end.
        """
        self.start(entry)
        self.advance(None, max_cycles)
        return self.result()

    def start(self, entry: str = "main") -> None:
        """Every queue at the entry's word, in cycle 0. Raises MachineError for an unknown entry."""
        if entry not in self._entries:
            raise MachineError(f"the program has no entry {entry!r}: it has {', '.join(self._entries)}")
        fabric = self.fabric
        fabric.restart()
        for unit in self.slices.values():
            unit.restart()
        for queue in self._queues:
            queue.start(self._entries[entry])
            fabric.at(0, DISPATCH, self._dispatch, queue)
        self._running = len(self._queues)
        self._last_halt = 0
        self._waiting: list[Queue] = []

    def advance(self, until: int | None, max_cycles: int = MAX_CYCLES) -> int | None:
        """Go on through all cycles before ``until``, or to the end; the next cycle in which anything happens, if any.

        Raises Timeout.
        """
        fabric = self.fabric
        while fabric.advance():
            if until is not None and fabric.now >= until:
                return fabric.now
            if self._running and fabric.now > max_cycles:
                raise Timeout(
                    f"no end after {max_cycles} cycles: {self._unfinished()} run on; "
                    "raise max_cycles or look for a loop"
                )
            fabric.execute()
        return None

    def result(self) -> Result:
        """What a run left behind that has come to its end. Raises Deadlock if it has not."""
        fabric = self.fabric
        if self._running:
            raise Deadlock(
                f"deadlock in cycle {fabric.now}: {self._unfinished()} wait in SYNC and no NOTIFY is left"
            )
        for unit in self.slices.values():
            if isinstance(unit, C2c):
                unit.settle(self._last_halt)
        passes = sum(s.passes for s in self.slices.values() if isinstance(s, Mxm))
        return Result(self._last_halt, fabric.violation, passes)

    def _unfinished(self) -> str:
        return ", ".join(q.name for q in self._queues if q.state is not State.HALTED)

    def _dispatch(self, queue: Queue) -> None:
        """One queue's dispatch in this cycle."""
        fabric, now = self.fabric, self.fabric.now
        found = queue.dispatch(now, self._host.visible)
        if self.trace is not None:
            self.trace(now, queue.name, Instruction(found.op, found.args))
        if queue.state is State.RUNNING:
            fabric.at(queue.next, DISPATCH, self._dispatch, queue)
        match found.op:
            case "HALT":
                self._running -= 1
                self._last_halt = now
            case "SYNC":
                self._waiting.append(queue)
            case "NOTIFY":
                # A SYNC of this very cycle is released too, wherever its queue stands in the order.
                fabric.at(now, READ, self._release)
            case "NOP" | "LOOP":
                pass
            case op:
                if found.out_of_range:
                    fabric.violate(ViolationKind.RANGE, self.config.position(queue.name.split(".")[0]), now)
                self._units[queue.name][op](now, found.args)

    def _release(self) -> None:
        for queue in self._waiting:
            queue.release(self.fabric.now)
            self.fabric.at(queue.next, DISPATCH, self._dispatch, queue)
        self._waiting.clear()

    # Host side -------------------------------------------------------------------------------------

    def read_memory(self, slice_name: str, start: int, count: int) -> NDArray[np.uint32]:
        """``count`` words from word ``start`` of a MEM slice: uint32 [count, lanes]."""
        return self._window(slice_name, start, count).copy()

    def write_memory(self, slice_name: str, start: int, words: NDArray[Any]) -> None:
        """uint32 [count, lanes] (or the same bits as int32 or float32) from word ``start`` of a MEM slice."""
        bits = np.ascontiguousarray(words).view(np.uint32)
        self._window(slice_name, start, len(bits))[...] = bits

    def _window(self, slice_name: str, start: int, count: int) -> NDArray[np.uint32]:
        unit = self._named(Mem, slice_name)
        if start < 0 or count < 0 or start + count > unit.depth:
            raise MachineError(
                f"words {start} to {start + count - 1} of {slice_name}: it has 0 to {unit.depth - 1}"
            )
        return unit.memory[start : start + count]

    def index_registers(self) -> NDArray[np.uint16]:
        """X0, X1 ..."""
        return np.array(self._host.x, np.uint16)

    def push_tokens(self, tokens: Iterable[int]) -> None:
        """Tokens (16 bits used) into the input FIFO; all or, with a MachineError, none."""
        tokens = [int(token) & 0xFFFF for token in tokens]
        self._room("token", len(self._host.tokens_in), len(tokens), self.config.token_fifo)
        self._host.tokens_in.extend(tokens)

    def pop_tokens(self) -> list[int]:
        """All tokens that wait at the output."""
        tokens = list(self._host.tokens_out)
        self._host.tokens_out.clear()
        return tokens

    def push_vectors(self, vectors: NDArray[Any]) -> None:
        """uint32 [n, lanes] into the input FIFO; all or, with a MachineError, none."""
        bits = np.array(vectors).view(np.uint32).reshape(-1, self.config.lanes)
        self._room("vector", len(self._host.vectors_in), len(bits), self.config.vector_fifo)
        self._host.vectors_in.extend(bits)

    def pop_vectors(self) -> NDArray[np.uint32]:
        """All vectors that wait at the output: uint32 [n, lanes]."""
        vectors = np.array(self._host.vectors_out, np.uint32).reshape(-1, self.config.lanes)
        self._host.vectors_out.clear()
        return vectors

    def _room(self, what: str, held: int, more: int, size: int) -> None:
        if held + more > size:
            raise MachineError(
                f"no room for {more} {what}s: {held} of {size} places are taken; run or pop first"
            )

    def clear(self) -> None:
        """What the host port's CLEAR does: index registers, masks 1.., FIFOs and the violation."""
        self._host.clear()
        self.fabric.violation = None
