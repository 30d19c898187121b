"""A board without a board: the Verilated top with its UART pins, bit by bit, behind a pseudo-terminal.

with SimulatedBoard(load_config("tiny")) as board:
    machine = connect(board.port, load_config("tiny"))      # lpu.runtime.board: the driver of real boards
"""

from __future__ import annotations

import ctypes
import os
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

from lpu.arch import TileConfig
from lpu.runtime import MachineError
from tb.build import shared_library
from tb.designs import board_verilog

_HERE = Path(__file__).resolve().parent
#: What a simulated board calls itself, and its clock. Two cycles a bit: a real UART takes ten times as many, and the
#: simulation would do nothing else.
NAME, CLOCK, DIVISOR = "simulated", 60_000_000, 2
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "board_create": (ctypes.c_void_p, [ctypes.c_uint32]),
    "board_destroy": (None, [ctypes.c_void_p]),
    "board_reset": (None, [ctypes.c_void_p, ctypes.c_uint64]),
    "board_run": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    "board_stop": (None, [ctypes.c_void_p]),
    "board_cycles": (ctypes.c_uint64, [ctypes.c_void_p]),
    "board_leds": (ctypes.c_uint32, [ctypes.c_void_p]),
}


class SimulatedBoard:
    """A board on a pseudo-terminal, which runs in a thread of its own from the start on.

    Parameters
    ----------
    config : of its tile. name : of the board. divisor : clock cycles of a UART bit.
    port : a link to make to the pseudo-terminal, which has another name each time it is plugged in.

    Attributes
    ----------
    port : what to open as a serial port: the link if there is one, else the pseudo-terminal.
    """

    def __init__(
        self, config: TileConfig, *, name: str = NAME, divisor: int = DIVISOR, port: str | Path | None = None
    ):
        path = shared_library(
            f"board-{name}-{config.name}",
            board_verilog(config, name, CLOCK, divisor),
            (_HERE / "boardsim.cpp").read_text(),
            headers=[_HERE / "boardsim.h"],
        )
        library = ctypes.CDLL(str(path))
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        self._library = library
        self._board: int | None = library.board_create(divisor)
        self._ends: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._link = Path(port) if port is not None else None
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise MachineError(f"{self._link} is there already: name another file for the port")
        self.port = ""
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def plug(self) -> None:
        """Plug the cable in: a new pseudo-terminal. The board has kept its state."""
        if self._ends is not None:
            return
        # The far end stays open here too, or the near one would hang up with every host that leaves.
        self._ends = master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.port = os.ttyname(slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        self._thread = threading.Thread(
            target=self._library.board_run, args=(self._board, master), daemon=True
        )
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable: whoever has the port open sees it go."""
        if self._ends is None:
            return
        self._halt()
        for end in self._ends:
            os.close(end)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        self._ends = None

    def power_cycle(self) -> None:
        """Reset the board behind the host's back; the cable stays in. Memories keep what they hold."""
        self._halt()
        self._library.board_reset(self._board, 8)
        if self._ends is not None:
            self._thread = threading.Thread(
                target=self._library.board_run, args=(self._board, self._ends[0]), daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Unplug it and free the simulation."""
        self.unplug()
        if self._board is not None:
            self._library.board_destroy(self._board)
            self._board = None

    def _halt(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._library.board_stop(self._board)
            self._thread.join(10)
            if self._thread.is_alive():
                raise MachineError("the simulated board does not stop")
        self._thread = None

    @property
    def cycles(self) -> int:
        """Clock cycles since it was built."""
        return self._library.board_cycles(self._board)

    @property
    def leds(self) -> int:
        """Its lights, as a number."""
        return self._library.board_leds(self._board)
