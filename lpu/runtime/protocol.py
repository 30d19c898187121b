"""The host port's words: commands, answers, spaces, status. Standard library only.

docs/architecture.md ("Host port") is the definition. A command is a header ``op:8 | space:8 | n:16`` and
its arguments; the answer is a header ``op + 0x80 : 8 | status : 8 | n : 16`` and n words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from lpu.arch import SliceKind, TileConfig
from lpu.isa import layout, queue_names
from lpu.runtime.machine import MachineError, Violation, ViolationKind

#: "LPU1": the first word of every PING's answer.
MAGIC = 0x4C505531
#: Words of a command or answer, at most.
MAX_WORDS = 0xFFFF
ANSWER = 0x80


class Op(IntEnum):
    """Commands."""

    #: Who is there: MAGIC and the configuration's fingerprint.
    PING = 0
    #: Write words of a space.
    WRITE = 1
    #: Read words of a space.
    READ = 2
    #: Start all queues.
    START = 3
    #: Tokens to the program.
    TOKENS_IN = 4
    #: Tokens from the program.
    TOKENS_OUT = 5
    #: Vectors to the program.
    VECTORS_IN = 6
    #: Vectors from the program.
    VECTORS_OUT = 7
    #: Halt and forget.
    CLEAR = 8
    #: Start all queues at a chip time.
    DESKEW = 9


class Status(IntEnum):
    """How a command went."""

    #: Done.
    DONE = 0
    #: There is no such command.
    UNKNOWN_OP = 1
    #: There is no such space, or it cannot be read or written.
    NO_SPACE = 2
    #: Past the end of the space; nothing was written.
    PAST_END = 3
    #: A program runs, and this command waits for no program.
    BUSY = 4
    #: The FIFO has no room for all of it; nothing was pushed.
    NO_ROOM = 5
    #: The chip time is past, or comes too soon; nothing was started.
    LATE = 6


_REMEDY = {
    Status.UNKNOWN_OP: "the tile does not know this command: host software and bitstream differ in version",
    Status.NO_SPACE: "the tile has no such space, or it cannot be read or written",
    Status.PAST_END: "past the end of the space, nothing was written",
    Status.BUSY: "a program is running: wait for it to end, or clear the machine",
    Status.LATE: "the time to start at is past or too near: the chip was late, or lost the common time",
    Status.NO_ROOM: "no room in the FIFO, nothing was pushed: let the program take some first",
}


class Space(IntEnum):
    """Spaces that are not a slice's own; slice p is space p, queue q is QUEUE + q."""

    #: Queue memories.
    QUEUE = 64
    #: Index registers, one word each.
    INDEX = 128
    #: Lane masks.
    MASK = 129
    #: Status words.
    STATUS = 130
    #: Chip, chip time and links; of a tile with links.
    LINK = 131


#: Words of Space.STATUS.
STATUS_WORDS = 10


@dataclass(frozen=True)
class MachineStatus:
    """The status words, decoded.

    Parameters
    ----------
    busy : a program runs. violation : the first of the run. cycles, passes : of the last or current run.
    tokens_in, tokens_out, vectors_in, vectors_out : how many wait in the FIFOs.
    """

    busy: bool
    violation: Violation | None
    cycles: int
    passes: int
    tokens_in: int
    tokens_out: int
    vectors_in: int
    vectors_out: int

    @classmethod
    def decode(cls, words: Sequence[int]) -> MachineStatus:
        """From the ten words of Space.STATUS."""
        flags, where, when, low, high, passes, *fifos = map(int, words)
        violation = None
        if flags & 2:
            violation = Violation(when, where >> 8, ViolationKind(where & 0xFF))
        return cls(bool(flags & 1), violation, high << 32 | low, passes, *fifos)


def header(op: int, n: int = 0, space: int = 0) -> int:
    """A command's first word. Raises MachineError if it does not hold the numbers."""
    if not 0 <= n <= MAX_WORDS or not 0 <= space <= 0xFF:
        raise MachineError(f"command {op}: {n} words at space {space} do not fit one command: split it")
    return op << 24 | space << 16 | n


def answer(op: int, status: int, n: int = 0) -> int:
    """An answer's first word, as the tile makes it."""
    return (op + ANSWER) << 24 | status << 16 | n


def check_answer(op: Op, word: int, what: str) -> int:
    """The number of words that follow an answer's header.

    Raises MachineError, one line naming ``what`` was attempted, for an error or an answer to something else.
    """
    if word >> 24 != op + ANSWER:
        raise MachineError(
            f"{what}: the machine answered {word:#010x} to {op.name}: it is out of step, reset it"
        )
    code = word >> 16 & 0xFF
    if code != Status.DONE:
        try:
            remedy = _REMEDY[Status(code)]
        except ValueError:
            remedy = f"status {code}, which this release does not know"
        raise MachineError(f"{what}: {remedy}")
    return word & 0xFFFF


def entry_words(config: TileConfig, space: int) -> int:
    """Words of one entry of a space."""
    names = queue_names(config)
    if space < len(config.floorplan):
        kind = config.floorplan[space].kind
        if kind is SliceKind.MEM:
            return config.lanes
        if kind is SliceKind.MXM:
            return config.lanes // config.weight_group
    elif Space.QUEUE <= space < Space.QUEUE + len(names):
        return -(-layout(config, names[space - Space.QUEUE]).width // 32)
    elif space == Space.MASK:
        return -(-config.lanes // 32)
    elif space in (Space.INDEX, Space.STATUS) or (space == Space.LINK and config.ports):
        return 1
    raise MachineError(
        f"space {space} has no entries in {config.name}: slices are 0..31, queues 64.., then 128..130"
    )


def split_words(word: int, count: int) -> list[int]:
    """A wide number as ``count`` 32-bit words, lowest first."""
    return [word >> 32 * i & 0xFFFFFFFF for i in range(count)]
