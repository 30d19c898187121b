"""A board as a machine: the driver of the simulation, over a serial line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from lpu.arch import TileConfig
from lpu.program import Program
from lpu.runtime.driver import RtlMachine
from lpu.runtime.frames import Identity, Kind, image_crc
from lpu.runtime.hostlink import PATIENCE, RECONNECT, FrameLink, LinkTransport
from lpu.runtime.machine import MachineError
from lpu.runtime.protocol import MAGIC, Op, Space, answer
from lpu.runtime.serial import BAUD, SerialLine

#: Called with words of a program sent so far, and in all.
Progress = Callable[[int, int], None]


class _Recorder:
    """A transport that notes commands and answers that all went well."""

    max_words = LinkTransport.max_words

    def __init__(self, config: TileConfig):
        fingerprint = int(config.fingerprint, 16)
        self._ping = [MAGIC, fingerprint >> 32, fingerprint & 0xFFFFFFFF]
        self.commands: list[list[int]] = []
        self._answers: list[int] = []

    def send(self, words: np.ndarray[Any, Any]) -> None:
        op = int(words[0]) >> 24
        data = self._ping if op == Op.PING else []
        self._answers += [answer(op, 0, len(data)), *data]
        if op != Op.PING:
            self.commands.append(words.tolist())

    def receive(self, count: int) -> np.ndarray[Any, Any]:
        words, self._answers = self._answers[:count], self._answers[count:]
        return np.array(words, np.uint32)

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        pass


def load_commands(program: Program, config: TileConfig) -> list[list[int]]:
    """The commands that load a program, as a board gets them. Raises MachineError for another configuration's program."""
    recorder = _Recorder(config)
    RtlMachine(recorder, config).load(program)
    return recorder.commands


class BoardMachine(RtlMachine):
    """The tile of a board; the interface is :class:`lpu.runtime.machine.Machine`.

    The tile is reset when the session begins; its memories and a program that is there stay.

    Parameters
    ----------
    link : to the board.
    config : the configuration its tile should have; MachineError if it has another.
    reuse : a program that the board already holds is not sent again, as long as no memory was written by the host since. Of use
        only for programs that do not depend on what they left in memory themselves.
    progress : told of loading.

    Attributes
    ----------
    identity : of the board, as it was when the session began. sent : words of programs that were sent.
    """

    def __init__(
        self,
        link: FrameLink,
        config: TileConfig,
        *,
        reuse: bool = False,
        progress: Progress = lambda done, of: None,
    ):
        self.link, self._reuse, self._progress = link, reuse, progress
        self.sent = 0
        try:
            self.identity = link.hello()
            check_identity(self.identity, config, link.line.name)
            link.request(Kind.RESET, (), f"reset the tile of {link.line.name}")
            super().__init__(LinkTransport(link), config)
        except MachineError:
            link.line.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the line to others; the board keeps its program."""
        self.link.line.close()

    def load(self, program: Program) -> None:
        """Send a program, and have the board check that it is complete; until then it starts nothing. Raises MachineError."""
        commands = load_commands(program, self.config)
        crc = image_crc(commands)
        identity = self.link.hello()
        check_identity(identity, self.config, self.link.line.name)
        if self._reuse and identity.loaded and identity.image == crc:
            # Registers and masks went with the reset.
            self._send([c for c in commands if c[0] >> 16 & 0xFF >= Space.INDEX], self._progress)
        else:
            self._program = None
            self.link.request(Kind.BEGIN, (), "load")
            self._send(commands, self._progress)
            self.link.request(Kind.FINISH, (crc,), "load")
        self._program = program

    def _send(self, commands: Sequence[Sequence[int]], progress: Progress) -> None:
        total, done = sum(map(len, commands)), 0
        for command in commands:
            progress(done, total)
            answered = self.link.request(Kind.COMMAND, command, f"load, at word {done:,} of {total:,}")
            if answered != (answer(command[0] >> 24, 0),):
                raise MachineError(
                    f"load, at word {done:,} of {total:,}: the tile answered {answered}: reset the board and load again"
                )
            done += len(command)
        progress(total, total)
        self.sent += total


def check_identity(identity: Identity, config: TileConfig, where: str) -> None:
    """Raise MachineError, one line, for a board that is built for another configuration."""
    if identity.fingerprint != config.fingerprint:
        raise MachineError(
            f"{where}: the board {identity.board} is built for configuration {identity.fingerprint}, not {config.name}"
            f" ({config.fingerprint}): choose its configuration, or load the bitstream made for this one"
        )


def connect(
    port: str,
    config: TileConfig,
    *,
    baud: int = BAUD,
    board: str | None = None,
    patience: float = PATIENCE,
    reconnect: float = RECONNECT,
    reuse: bool = False,
    progress: Progress = lambda done, of: None,
) -> BoardMachine:
    """The board at a serial port. ``board``: the name it should have, if that matters. Raises MachineError."""
    link = FrameLink(SerialLine(port, baud), patience=patience, reconnect=reconnect)
    machine = BoardMachine(link, config, reuse=reuse, progress=progress)
    if board is not None and machine.identity.board != board:
        machine.close()
        raise MachineError(
            f"{port}: this is the board {machine.identity.board}, not {board}: name its port with --port"
        )
    return machine
