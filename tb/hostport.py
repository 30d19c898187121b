"""The host port by the book: docs/architecture.md ("Host port") over the golden tile.

What a bench's scoreboard expects, and a transport: ``RtlMachine(HostPort(config), config)`` is the golden
tile behind the driver that otherwise drives RTL. A program runs to its end within START: it is never busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from golden.mem import Mem
from golden.mxm import Mxm
from golden.tile import Tile
from lpu.arch import TileConfig
from lpu.asm import format_instruction
from lpu.isa import Instruction, decode, queue_names
from lpu.program import Program
from lpu.runtime.machine import MachineError, Result
from lpu.runtime.protocol import MAGIC, Op, Space, Status, answer, entry_words, split_words


class Refused(Exception):
    """A command that is answered by an error status."""

    def __init__(self, status: Status):
        self.status = status


class HostPort:
    """Commands in, answers out.

    Parameters
    ----------
    config : the tile's.

    Attributes
    ----------
    tile : the golden tile behind it. result : of the last run.
    writers : (memory, word) -> the instruction that wrote it last, in text with its cycle (SCATTER left out).
    """

    def __init__(self, config: TileConfig):
        self.config = config
        self.tile = Tile(config, self._trace)
        self.writers: dict[tuple[str, int], str] = {}
        self.result = Result(0, None, 0)
        self._host = self.tile.slices["host0"]
        self._names = queue_names(config)
        self._queues = {name: [0] * config.queue_depth for name in self._names}
        self._commands: deque[int] = deque()
        self._answers: deque[int] = deque()

    def _trace(self, cycle: int, queue: str, instruction: Instruction) -> None:
        if instruction.op in ("WRITE", "WRITEB"):
            word = instruction.args["addr"] >> (2 if instruction.op == "WRITEB" else 0)
            text = f"{queue} {format_instruction(self.config, queue, instruction)} in cycle {cycle}"
            self.writers[queue.split(".")[0], word] = text

    # Transport -----------------------------------------------------------------------------------

    def send(self, words: Sequence[int] | np.ndarray) -> None:
        """Words of the command stream; a command is executed when all of it is there."""
        self._commands.extend(int(w) for w in words)
        while self._commands and len(self._commands) > (count := self._arguments(self._commands[0])):
            header, *arguments = (self._commands.popleft() for _ in range(count + 1))
            self._execute(header, arguments)

    def receive(self, count: int) -> np.ndarray:
        """The next words of the response stream. Raises MachineError if there are not so many."""
        if len(self._answers) < count:
            raise MachineError(f"the host port has {len(self._answers)} words for {count}")
        return np.array([self._answers.popleft() for _ in range(count)], np.uint32)

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Nothing runs between commands."""

    @property
    def waiting(self) -> int:
        """Response words that nobody has received yet."""
        return len(self._answers)

    # Commands ------------------------------------------------------------------------------------

    @staticmethod
    def _arguments(header: int) -> int:
        """Words that follow a command's header."""
        op, n = header >> 24, header & 0xFFFF
        return {Op.WRITE: n + 1, Op.READ: 1, Op.TOKENS_IN: n, Op.VECTORS_IN: n}.get(op, 0)

    def _execute(self, header: int, arguments: list[int]) -> None:
        op, space, n = header >> 24, header >> 16 & 0xFF, header & 0xFFFF
        try:
            # There are no links, and so no time to start at.
            if op not in set(Op) or op == Op.DESKEW:
                raise Refused(Status.UNKNOWN_OP)
            words = getattr(self, f"_{Op(op).name.lower()}")(space, n, arguments)
            self._answers += [answer(op, Status.DONE, len(words)), *words]
        except Refused as refused:
            self._answers.append(answer(op & 0x7F, refused.status))

    def _ping(self, space: int, n: int, arguments: list[int]) -> list[int]:
        fingerprint = int(self.config.fingerprint, 16)
        return [MAGIC, fingerprint >> 32, fingerprint & 0xFFFFFFFF]

    def _room(self, space: int, write: bool) -> int:
        """Entries of a space. Raises Refused if there is none, or not that way."""
        part = self._slice(space)
        if isinstance(part, Mem):
            return part.depth
        if write and isinstance(part, Mxm):
            return self.config.contexts * self.config.lanes
        if write and Space.QUEUE <= space < Space.QUEUE + len(self._names):
            return self.config.queue_depth
        if write and space == Space.MASK:
            return self.config.masks
        if space == Space.INDEX:
            return self.config.index_registers
        if not write and space == Space.STATUS:
            return 10
        raise Refused(Status.NO_SPACE)

    def room(self, space: int) -> int:
        """Entries of a space that can be read or written. Raises Refused if there is no such space."""
        try:
            return self._room(space, write=True)
        except Refused:
            return self._room(space, write=False)

    def _slice(self, space: int) -> object:
        names = self.config.slice_names
        return self.tile.slices.get(names[space]) if space < len(names) else None

    def _write(self, space: int, n: int, arguments: list[int]) -> list[int]:
        start, *words = arguments
        room, size = self._room(space, write=True), entry_words(self.config, space)
        if start + -(-n // size) > room:
            raise Refused(Status.PAST_END)
        for k in range(n // size):
            self._store(space, start + k, words[k * size : (k + 1) * size])
        return []

    def _store(self, space: int, entry: int, words: list[int]) -> None:
        part, lanes = self._slice(space), self.config.lanes
        if isinstance(part, Mem):
            part.memory[entry] = words
        elif isinstance(part, Mxm):
            part.weights[entry // lanes, entry % lanes] = np.array(words, "<u4").view(np.int8)
        elif space == Space.INDEX:
            if entry:
                self._host.x[entry] = self._host.visible[entry] = words[0] & 0xFFFF
        else:
            value = sum(word << 32 * i for i, word in enumerate(words))
            if space == Space.MASK:
                if entry:
                    bits = [value >> lane & 1 for lane in range(lanes)]
                    self.tile.fabric.masks[entry] = np.array(bits, np.bool_)
            else:
                self._queues[self._names[space - Space.QUEUE]][entry] = value

    def _read(self, space: int, n: int, arguments: list[int]) -> list[int]:
        start = arguments[0]
        room, size = self._room(space, write=False), entry_words(self.config, space)
        if start + -(-n // size) > room:
            raise Refused(Status.PAST_END)
        part = self._slice(space)
        if isinstance(part, Mem):
            return part.memory[start:].ravel()[:n].tolist()
        values = self._host.x if space == Space.INDEX else self._status()
        return [int(v) for v in values[start : start + n]]

    def _status(self) -> list[int]:
        violation = self.result.violation
        where = violation.position << 8 | violation.kind if violation else 0
        host = self._host
        fifos = (host.tokens_in, host.tokens_out, host.vectors_in, host.vectors_out)
        return [
            2 if violation else 0,
            where,
            violation.cycle if violation else 0,
            *split_words(self.result.cycles, 2),
            self.result.passes,
            *(len(fifo) for fifo in fifos),
        ]

    def _start(self, space: int, n: int, arguments: list[int]) -> list[int]:
        if n >= self.config.queue_depth:
            raise Refused(Status.PAST_END)
        program = Program(self.config, entries={"main": n})
        for name, raw in self._queues.items():
            length = max((i for i, word in enumerate(raw) if word), default=-1) + 1
            program.queues[name] = [decode(self.config, name, word) for word in raw[:length]]
        self.tile.load(program)
        self.result = self.tile.run()
        return []

    def _tokens_in(self, space: int, n: int, arguments: list[int]) -> list[int]:
        if len(self._host.tokens_in) + n > self.config.token_fifo:
            raise Refused(Status.NO_ROOM)
        self.tile.push_tokens(word & 0xFFFF for word in arguments)
        return []

    def _tokens_out(self, space: int, n: int, arguments: list[int]) -> list[int]:
        fifo = self._host.tokens_out
        return [fifo.popleft() for _ in range(min(n, len(fifo)))]

    def _vectors_in(self, space: int, n: int, arguments: list[int]) -> list[int]:
        vectors = np.array(arguments, np.uint32)[: n // self.config.lanes * self.config.lanes]
        if len(self._host.vectors_in) + n // self.config.lanes > self.config.vector_fifo:
            raise Refused(Status.NO_ROOM)
        self.tile.push_vectors(vectors.reshape(-1, self.config.lanes))
        return []

    def _vectors_out(self, space: int, n: int, arguments: list[int]) -> list[int]:
        fifo = self._host.vectors_out
        count = min(n // self.config.lanes, len(fifo))
        return [int(word) for _ in range(count) for word in fifo.popleft()]

    def _clear(self, space: int, n: int, arguments: list[int]) -> list[int]:
        self.tile.clear()
        self.result = Result(0, None, 0)
        return []
