"""A host's conversation with a tile, recorded on the golden model to be replayed on RTL.

session = Session(config)
machine = RtlMachine(session, config)   # golden behind the protocol
machine.load(program); machine.run(); machine.read_memory("mem0", 0, 64)
session.replay(simulation)              # the same words to the RTL, every answer compared
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lpu.arch import TileConfig
from lpu.isa import queue_names
from lpu.runtime import Transport
from lpu.runtime.protocol import Op, Space, entry_words
from tb.hostport import HostPort

_STATUS = (
    *("flags", "violation", "violation cycle", "cycles low", "cycles high", "passes"),
    *("tokens in", "tokens out", "vectors in", "vectors out"),
)


class Mismatch(AssertionError):
    """An answer that is not golden's; says where, expected and actual."""


@dataclass
class Exchange:
    """One command, its whole answer, and how long to wait before it."""

    command: list[int]
    answer: list[int] = field(default_factory=list)
    #: Cycles to wait before the command; None to wait for an idle tile.
    wait: tuple[int | None, ...] = ()
    #: Words of the answer that are compared, None for all.
    compare: int | None = None


class Session:
    """A transport that answers from the golden tile and remembers everything.

    Parameters
    ----------
    config : the tile's.

    Attributes
    ----------
    exchanges : what was said, in order. port : the golden host port.
    note : said with a mismatch. violation_only : compare nothing of what follows but the violation.
    """

    def __init__(self, config: TileConfig):
        self.config = config
        self.port = HostPort(config)
        self.exchanges: list[Exchange] = []
        self.note = ""
        self.violation_only = False
        self._wait: tuple[int | None, ...] = ()

    def send(self, words: np.ndarray) -> None:
        """One whole command."""
        self.exchanges.append(Exchange([int(w) for w in words], wait=self._wait, compare=self._compared()))
        self._wait = ()
        self.port.send(words)

    def _compared(self) -> int | None:
        # The header, the flags, and what and when.
        return 4 if self.violation_only else None

    def receive(self, count: int) -> np.ndarray:
        """The golden answer."""
        words = self.port.receive(count)
        self.exchanges[-1].answer += words.tolist()
        return words

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Wait at this place of every replay too."""
        self._wait += (None if until_idle else cycles,)

    def replay(self, transport: Transport, max_cycles: int = 1_000_000) -> None:
        """Say the same to another tile. Raises Mismatch at the first answer that differs."""
        for exchange in self.exchanges:
            for wait in exchange.wait:
                transport.wait(max_cycles if wait is None else wait, until_idle=wait is None)
            transport.send(np.array(exchange.command, np.uint32))
            self.check(exchange, transport.receive(len(exchange.answer)).tolist())

    def check(self, exchange: Exchange, actual: list[int]) -> None:
        """Raise Mismatch if an answer differs from golden's, naming the first few places."""
        words = exchange.compare
        if actual[:words] == exchange.answer[:words]:
            return
        places = [
            f"{where}: expected {expected:#010x}, actual {got:#010x}{self._writer(where)}"
            for where, expected, got in zip(self._places(exchange), exchange.answer, actual, strict=False)
            if expected != got
        ]
        if len(actual) != len(exchange.answer):
            places.append(f"expected {len(exchange.answer)} words, actual {len(actual)}")
        more = f"\n... and {len(places) - 8} more" if len(places) > 8 else ""
        note = f"({self.note})\n" if self.note else ""
        raise Mismatch(f"{self.describe(exchange)}\n{note}" + "\n".join(places[:8]) + more)

    def describe(self, exchange: Exchange) -> str:
        """A command in words: ``READ mem0, 256 words from entry 0``."""
        header = exchange.command[0]
        op, space, n = Op(header >> 24), header >> 16 & 0xFF, header & 0xFFFF
        if op in (Op.READ, Op.WRITE):
            return f"{op.name} {self._space(space)}, {n} words from entry {exchange.command[1]}"
        return f"{op.name} {n}"

    def _space(self, space: int) -> str:
        names, queues = self.config.slice_names, queue_names(self.config)
        if space < len(names):
            return names[space]
        if Space.QUEUE <= space < Space.QUEUE + len(queues):
            return f"queue {queues[space - Space.QUEUE]}"
        return Space(space).name.lower()

    def _writer(self, where: str) -> str:
        """Who wrote a memory word last, on the golden tile."""
        name, *rest = where.split()
        found = (
            self.port.writers.get((name, int(rest[1]))) if rest[:1] == ["word"] and len(rest) > 1 else None
        )
        return f" (last written by {found})" if found else ""

    def _places(self, exchange: Exchange) -> Iterator[str]:
        """What each word of an answer is."""
        yield "answer header"
        header = exchange.command[0]
        space = header >> 16 & 0xFF
        reading = header >> 24 == Op.READ
        size = entry_words(self.config, space) if reading else 1
        for k in range(len(exchange.answer) - 1):
            if reading and space == Space.STATUS:
                yield _STATUS[(exchange.command[1] + k) % len(_STATUS)]
            elif reading:
                yield f"{self._space(space)} word {exchange.command[1] + k // size} lane {k % size}"
            else:
                yield f"word {k}"
