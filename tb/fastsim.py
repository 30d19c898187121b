"""The fast simulator: a tile Verilated into a shared library and driven without Python in the loop.

machine = fast_machine(load_config("tiny"))
machine.load(program)
print(machine.run().cycles)
"""

from __future__ import annotations

import copy
import ctypes
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from lpu.arch import TileConfig
from lpu.runtime import MachineError, RtlMachine
from tb.build import shared_library
from tb.designs import tile_verilog

_HERE = Path(__file__).resolve().parent
#: Cycles to wait for an answer's next word before giving up.
PATIENCE = 1_000_000
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "lpu_create": (ctypes.c_void_p, []),
    "lpu_destroy": (None, [ctypes.c_void_p]),
    "lpu_reset": (None, [ctypes.c_void_p, ctypes.c_uint64]),
    "lpu_send": (None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]),
    "lpu_receive": (ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]),
    "lpu_step": (ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int]),
    "lpu_cycles": (ctypes.c_uint64, [ctypes.c_void_p]),
    "lpu_pins": (ctypes.c_uint32, [ctypes.c_void_p]),
    "lpu_unsent": (ctypes.c_uint64, [ctypes.c_void_p]),
    "lpu_waiting": (ctypes.c_uint64, [ctypes.c_void_p]),
    "lpu_stall": (None, [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64]),
    "lpu_trace": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    "lpu_trace_close": (None, [ctypes.c_void_p]),
}


class Simulation:
    """A Verilated tile and its clock; a transport for :class:`lpu.runtime.RtlMachine`.

    Parameters
    ----------
    verilog : a design with the tile's top ports, module ``top``.
    name : of the build, in the cache.
    trace : build with FST tracing (slower); :meth:`trace` then records.
    """

    def __init__(self, verilog: str, name: str, *, trace: bool = False):
        self._path = shared_library(
            name + ("-trace" if trace else ""),
            verilog,
            (_HERE / "fastsim.cpp").read_text(),
            headers=[_HERE / "fastsim.h"],
            trace=trace,
        )
        library = ctypes.CDLL(str(self._path))
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        self._library = library
        self._sim = None
        self.power_on()

    def again(self) -> Self:
        """A new simulation of the same build: everything as at the start of simulation, at no cost."""
        new = copy.copy(self)
        new._sim = self._library.lpu_create()
        new.reset()
        return new

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the simulation; a recording ends here."""
        if self._sim is not None:
            self._library.lpu_destroy(self._sim)
            self._sim = None

    def __del__(self) -> None:
        if getattr(self, "_sim", None) is not None:
            self.close()

    def power_on(self) -> None:
        """Begin anew, with zeros in every memory and register, and reset."""
        self.close()
        self._sim = self._library.lpu_create()
        self.reset()

    def reset(self, cycles: int = 4) -> None:
        """Hold reset; words on their way either way are forgotten."""
        self._library.lpu_reset(self._sim, cycles)

    def send(self, words: np.ndarray) -> None:
        """Queue uint32 words for the command stream."""
        array = np.ascontiguousarray(words, np.uint32)
        self._library.lpu_send(self._sim, array.ctypes.data, len(array))

    def receive(self, count: int, patience: int = PATIENCE) -> np.ndarray:
        """The next ``count`` response words; runs the clock until they are there.

        Raises MachineError if there are fewer after ``patience`` cycles and what the command stream needs.
        """
        words = np.empty(count, np.uint32)
        limit = patience + 64 * self.unsent + 64 * count
        found = self._library.lpu_receive(self._sim, words.ctypes.data, count, limit)
        if found != count:
            raise MachineError(
                f"the tile gave {found} of {count} words in {limit} cycles (cycle {self.cycles}): reset it"
            )
        return words

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Run that many cycles; with ``until_idle`` fewer if the tile becomes idle before."""
        self._library.lpu_step(self._sim, cycles, until_idle)

    def step(self, cycles: int = 1) -> None:
        """Run that many cycles."""
        self._library.lpu_step(self._sim, cycles, 0)

    def stall(self, offer: float = 1.0, take: float = 1.0, seed: int = 0) -> None:
        """Offer command words and take response words with these probabilities a cycle, from now on."""
        self._library.lpu_stall(self._sim, round(256 * offer), round(256 * take), seed)

    @property
    def cycles(self) -> int:
        """Clock cycles since power on, resets included."""
        return self._library.lpu_cycles(self._sim)

    @property
    def busy(self) -> bool:
        """The tile's busy pin."""
        return bool(self._library.lpu_pins(self._sim) & 1)

    @property
    def violation(self) -> bool:
        """The tile's violation pin."""
        return bool(self._library.lpu_pins(self._sim) & 2)

    @property
    def unsent(self) -> int:
        """Command words that the tile has not taken yet."""
        return self._library.lpu_unsent(self._sim)

    @property
    def waiting(self) -> int:
        """Response words that nobody has received yet."""
        return self._library.lpu_waiting(self._sim)

    def trace(self, path: str | Path) -> None:
        """Record an FST file from now on. Raises MachineError if that cannot be."""
        writable = Path(path).parent.is_dir() and not Path(path).is_dir()
        if not writable or not self._library.lpu_trace(self._sim, str(path).encode()):
            remedy = "build the simulation with trace=True, name a folder that exists"
            raise MachineError(f"cannot record {path}: {remedy}")

    def trace_close(self) -> None:
        """End the recording."""
        self._library.lpu_trace_close(self._sim)


def tile_simulation(config: TileConfig, *, trace: bool = False) -> Simulation:
    """The Verilated tile of a configuration, built at first use."""
    return Simulation(tile_verilog(config), f"tile-{config.name}", trace=trace)


def fast_machine(config: TileConfig, *, trace: str | Path | None = None) -> RtlMachine:
    """A machine on the fast simulator. ``trace`` names an FST file to record."""
    simulation = tile_simulation(config, trace=trace is not None)
    if trace is not None:
        simulation.trace(trace)
    return RtlMachine(simulation, config)
