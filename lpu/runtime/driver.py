"""The host driver: a tile behind its host port, whatever carries the words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from lpu.arch import SliceKind, TileConfig
from lpu.isa import queue_names
from lpu.program import Program, ProgramError
from lpu.runtime.machine import MAX_CYCLES, MachineError, Result
from lpu.runtime.protocol import (
    MAGIC,
    MAX_WORDS,
    STATUS_WORDS,
    MachineStatus,
    Op,
    Space,
    check_answer,
    entry_words,
    header,
    split_words,
)

Words = np.ndarray[Any, Any]


class Transport(Protocol):
    """What carries words to and from a tile: a simulator, a serial line.

    An attribute ``max_words`` says how many words of arguments or of an answer's data one command may have, if that is fewer
    than the MAX_WORDS that a header can say.
    """

    def send(self, words: Words) -> None:
        """Queue uint32 words for the command stream."""
        ...

    def receive(self, count: int) -> Words:
        """The next ``count`` response words. Raises MachineError if they do not come in time."""
        ...

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Let the tile run about ``cycles`` clock cycles; with ``until_idle``, fewer if it idles before."""
        ...


class RtlMachine:
    """A tile driven through its host port; the interface is :class:`lpu.runtime.machine.Machine`.

    Parameters
    ----------
    transport : carries the words.
    config : the configuration the tile should have. PING proves it; MachineError if it has another.
    """

    def __init__(self, transport: Transport, config: TileConfig):
        self._transport, self._config = transport, config
        self._program: Program | None = None
        # A transport may carry less in one command than a header can say.
        self._most = getattr(transport, "max_words", MAX_WORDS)
        magic, high, low = self._command(Op.PING, "ping", expect=3).tolist()
        if magic != MAGIC:
            raise MachineError(
                f"ping: the answer starts with {magic:#010x}, not {MAGIC:#010x}: this is no LPU tile"
            )
        if (fingerprint := f"{high:08x}{low:08x}") != config.fingerprint:
            raise MachineError(
                f"ping: the tile has configuration {fingerprint}, not {config.name} ({config.fingerprint}):"
                " choose its configuration, or build the tile again"
            )

    @property
    def config(self) -> TileConfig:
        """The tile's configuration."""
        return self._config

    # Commands ------------------------------------------------------------------------------------

    def _command(
        self,
        op: Op,
        what: str,
        n: int = 0,
        space: int = 0,
        arguments: Words | None = None,
        expect: int | None = None,
    ) -> Words:
        """Send one command; the words of its answer. Raises MachineError naming ``what`` was attempted."""
        words = np.array([header(op, n, space)], np.uint32)
        self._transport.send(
            words if arguments is None else np.concatenate([words, arguments.astype(np.uint32)])
        )
        count = check_answer(op, int(self._transport.receive(1)[0]), what)
        if expect is not None and count != expect:
            raise MachineError(
                f"{what}: the answer has {count} words, not {expect}: the machine is out of step, reset it"
            )
        return self._transport.receive(count) if count else np.zeros(0, np.uint32)

    def write_space(self, space: int, start: int, words: Words, what: str) -> None:
        """Write 32-bit words from entry ``start``, in as many commands as it takes."""
        entry = entry_words(self._config, space)
        chunk = self._most // entry * entry
        for at in range(0, len(words), chunk):
            part = words[at : at + chunk]
            arguments = np.concatenate([np.array([start + at // entry], np.uint32), part])
            self._command(Op.WRITE, what, len(part), space, arguments, expect=0)

    def read_space(self, space: int, start: int, count: int, what: str) -> Words:
        """``count`` entries from entry ``start``: uint32 [count, words of an entry]."""
        entry = entry_words(self._config, space)
        chunk = self._most // entry
        parts = [np.zeros(0, np.uint32)]
        for at in range(0, count, chunk):
            n = min(chunk, count - at) * entry
            first = np.array([start + at], np.uint32)
            parts.append(self._command(Op.READ, what, n, space, first, expect=n))
        return np.concatenate(parts).reshape(count, entry)

    def status(self) -> MachineStatus:
        """The status words, decoded; also while a program runs."""
        return MachineStatus.decode(
            self.read_space(Space.STATUS, 0, STATUS_WORDS, "read status").ravel().tolist()
        )

    def clear(self) -> None:
        """Halt every queue; empty FIFOs; clear violation, counters, index registers and masks 1 and up."""
        self._command(Op.CLEAR, "clear", expect=0)

    # Machine -------------------------------------------------------------------------------------

    def load(self, program: Program) -> None:
        """Fill queues, memories, weights, masks. Raises MachineError for another configuration's program."""
        if program.config.fingerprint != self._config.fingerprint:
            raise MachineError(
                f"load: the program was made for {program.config.name} ({program.config.fingerprint}),"
                f" this machine is {self._config.name} ({self._config.fingerprint}): compile it again"
            )
        try:
            program.check()
        except ProgramError as error:
            raise MachineError(f"load: {error}") from None
        reach = max(program.entries.values(), default=0) + 1
        for number, queue in enumerate(queue_names(self._config)):
            # A queue that the program leaves out, and any word behind its last, must halt: zero is HALT.
            words = program.words(queue)
            end = min(max(len(words) + 1, reach), self._config.queue_depth)
            words += [0] * (end - len(words))
            size = entry_words(self._config, Space.QUEUE + number)
            flat = np.array([part for word in words for part in split_words(word, size)], np.uint32)
            self.write_space(Space.QUEUE + number, 0, flat, f"load queue {queue}")
        for name, data in program.images.items():
            if name == "masks":
                size = (self._config.lanes + 7) // 8
                words = [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
                count = entry_words(self._config, Space.MASK)
                flat = np.array([part for word in words for part in split_words(word, count)], np.uint32)
                self.write_space(Space.MASK, 0, flat, "load masks")
            else:
                space = self._config.position(name)
                # A row of weights may be less than a word.
                whole = 4 * entry_words(self._config, space)
                size = min(whole, self._config.lanes) if name.startswith(SliceKind.MXM.value) else whole
                rows = np.frombuffer(data, np.uint8).reshape(-1, size)
                flat = np.pad(rows, ((0, 0), (0, whole - size))).view("<u4").ravel()
                self.write_space(space, 0, flat, f"load image {name}")
        self._program = program

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> Result:
        """Start all queues at the entry's word and run until idle. Raises MachineError past ``max_cycles``.

        A run that is given up is cleared: the machine takes commands again, but has lost FIFOs and registers.
        """
        self.start(entry)
        return self.finish(entry, max_cycles)

    def start(self, entry: str, moment: int | None = None) -> None:
        """Start all queues at the entry's word: at once, or at chip time ``moment`` (of a tile with links)."""
        if self._program is None:
            raise MachineError("run: no program is loaded: load one first")
        if entry not in self._program.entries:
            known = ", ".join(self._program.entries)
            raise MachineError(f"run: the program has no entry {entry!r}: it has {known}")
        word = self._program.entries[entry]
        if moment is None:
            self._command(Op.START, f"start {entry}", word, expect=0)
        else:
            at = np.array([moment & 0xFFFFFFFF], np.uint32)
            self._command(Op.DESKEW, f"start {entry} at chip time {moment}", word, 0, at, expect=0)

    def finish(self, entry: str, max_cycles: int = MAX_CYCLES) -> Result:
        """Run until idle. Raises MachineError past ``max_cycles``, after clearing the machine."""
        while True:
            self._transport.wait(max_cycles + 1, until_idle=True)
            status = self.status()
            if not status.busy and status.cycles <= max_cycles:
                break
            if status.cycles > max_cycles:
                self.clear()
                raise MachineError(
                    f"run {entry}: not idle after {max_cycles} cycles: some queue waits in SYNC for a NOTIFY"
                    " that never comes; or raise max_cycles"
                )
        # Instructions in flight at the last HALT may still violate: their cycles are later than the count.
        self._transport.wait(settle_cycles(self._config), until_idle=False)
        status = self.status()
        return Result(status.cycles, status.violation, status.passes)

    def read_memory(self, slice_name: str, start: int, count: int) -> Words:
        """``count`` words of a MEM slice from word ``start``: uint32 [count, lanes]."""
        return self.read_space(self._memory(slice_name), start, count, f"read {slice_name} from {start}")

    def write_memory(self, slice_name: str, start: int, words: Words) -> None:
        """Write uint32 [count, lanes] (or the same bits as int32 or float32) from word ``start``."""
        flat = self._vectors(words, f"write {slice_name}")
        self.write_space(self._memory(slice_name), start, flat, f"write {slice_name} from {start}")

    def index_registers(self) -> Words:
        """X0, X1 ...: uint16 [index_registers]; X0 reads 0."""
        found = self.read_space(Space.INDEX, 0, self._config.index_registers, "read index registers")
        return found.ravel().astype(np.uint16)

    def push_tokens(self, tokens: Iterable[int]) -> None:
        """Put tokens (16 bits) into the token FIFO; all or, with a MachineError, none."""
        words = np.array([int(t) for t in tokens], np.int64)
        if len(words) and (words.min() < 0 or words.max() > 0xFFFF):
            raise MachineError("push tokens: a token has 16 bits: use 0 to 65535")
        what, waiting = f"push {len(words)} tokens", lambda: self.status().tokens_in
        self._push(Op.TOKENS_IN, what, words, self._most, self._config.token_fifo, waiting)

    def pop_tokens(self) -> list[int]:
        """All tokens that wait at the output."""
        return self._pop(Op.TOKENS_OUT, "pop tokens", self._most).tolist()

    def push_vectors(self, vectors: Words) -> None:
        """Put uint32 [n, lanes] into the vector FIFO; all or, with a MachineError, none."""
        flat = self._vectors(vectors, "push vectors")
        lanes = self._config.lanes
        what, waiting = f"push {len(flat) // lanes} vectors", lambda: self.status().vectors_in * lanes
        most, room = self._most // lanes * lanes, self._config.vector_fifo * lanes
        self._push(Op.VECTORS_IN, what, flat, most, room, waiting)

    def pop_vectors(self) -> Words:
        """All vectors that wait at the output: uint32 [n, lanes]."""
        lanes = self._config.lanes
        return self._pop(Op.VECTORS_OUT, "pop vectors", self._most // lanes * lanes).reshape(-1, lanes)

    def _push(
        self, op: Op, what: str, words: Words, most: int, depth: int, waiting: Callable[[], int]
    ) -> None:
        """Push words, at most ``most`` a command; all of them or, with a MachineError, none."""
        if len(words) > most and len(words) + waiting() > depth:
            raise MachineError(
                f"{what}: no room in the FIFO, nothing was pushed: let the program take some first"
            )
        for at in range(0, len(words), most):
            part = words[at : at + most]
            self._command(op, what, len(part), 0, part, expect=0)

    def _pop(self, op: Op, what: str, most: int) -> Words:
        """All that waits, at most ``most`` words a command."""
        parts = [self._command(op, what, most)]
        while len(parts[-1]) == most:
            parts.append(self._command(op, what, most))
        return np.concatenate(parts)

    def _memory(self, slice_name: str) -> int:
        if (
            slice_name not in self._config.slice_names
            or self._config.spec(slice_name).kind is not SliceKind.MEM
        ):
            known = ", ".join(n for n in self._config.slice_names if n.startswith("mem"))
            raise MachineError(f"no memory {slice_name!r} in {self._config.name}: it has {known}")
        return self._config.position(slice_name)

    def _vectors(self, words: Words, what: str) -> Words:
        array = np.ascontiguousarray(words)
        if array.ndim != 2 or array.shape[1] != self._config.lanes or array.dtype.itemsize != 4:
            raise MachineError(
                f"{what}: give 32-bit [n, {self._config.lanes}], not {array.dtype} {list(array.shape)}"
            )
        return array.view(np.uint32).ravel()


def settle_cycles(config: TileConfig) -> int:
    """Cycles after the last HALT in which an instruction may still act: the array's skew, or a long chain."""
    return 2 * config.lanes + len(config.floorplan) + 64
