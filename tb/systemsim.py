"""Several Verilated tiles and their cables in one library, each tile behind its own host port.

chips = LinkedChips(load_config("tiny-linked"), ring(2))
chips.load(programs); chips.run()
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lpu.arch import TileConfig
from lpu.runtime import MachineError
from lpu.runtime.links import LinkedMachines
from lpu.timing import FLIT_BITS, FLIT_PAYLOAD, link_cycles
from lpu.topology import Topology
from rtl.system import Plug, directions, system_verilog
from rtl.verilog import tile_verilog
from tb.build import shared_library
from tb.designs import kept
from tb.fastsim import PATIENCE

_HERE = Path(__file__).resolve().parent
_VOID = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "sys_create": (_VOID, []),
    "sys_destroy": (None, [_VOID]),
    "sys_clock": (None, [_VOID, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64]),
    "sys_reset": (None, [_VOID, ctypes.c_int, ctypes.c_int]),
    "sys_hold": (None, [_VOID, ctypes.c_int, ctypes.c_uint32]),
    "sys_errors": (None, [_VOID, ctypes.c_int, ctypes.c_int, ctypes.c_uint64]),
    "sys_seen": (ctypes.c_uint32, [_VOID, ctypes.c_int]),
    "sys_flits": (ctypes.c_uint64, [_VOID, ctypes.c_int]),
    "sys_send": (None, [_VOID, ctypes.c_int, _VOID, ctypes.c_uint64]),
    "sys_receive": (ctypes.c_uint64, [_VOID, ctypes.c_int, _VOID, ctypes.c_uint64, ctypes.c_uint64]),
    "sys_step": (ctypes.c_uint64, [_VOID, ctypes.c_uint64, ctypes.c_int]),
    "sys_cycles": (ctypes.c_uint64, [_VOID, ctypes.c_int]),
    "sys_unsent": (ctypes.c_uint64, [_VOID, ctypes.c_int]),
    "sys_busy": (ctypes.c_int, [_VOID, ctypes.c_int]),
}
#: Picoseconds of half a cycle, where nothing else is said.
HALF = 5000


class SystemSimulation:
    """The Verilated system.

    Parameters
    ----------
    config, topology : of the system. plugs : directions of cables whose wires are not straight.
    threads : cores that simulate it. The build is kept.
    """

    def __init__(
        self,
        config: TileConfig,
        topology: Topology,
        plugs: Mapping[int, Plug] | None = None,
        threads: int = 1,
    ):
        self.config, self.topology = config, topology
        tile = kept(
            f"linked-{config.name}", lambda: tile_verilog(config, name="lpu_tile"), config.fingerprint
        )
        text = system_verilog(config, topology, tile, plugs)
        name = f"{topology.name}{topology.chips}-{config.name}"
        wrapper = (
            (_HERE / "systemsim.cpp").read_text().replace('#include "chips.h"', _bindings(config, topology))
        )
        flags = ("--threads", str(threads)) if threads > 1 else ()
        name += f"-{threads}" if threads > 1 else ""
        library = ctypes.CDLL(str(shared_library(name, text, wrapper, flags=flags)))
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        self._library, self._system = library, None
        self.power_on()

    def power_on(self) -> None:
        """Begin anew, with zeros in every memory and register, and reset."""
        self.close()
        self._system = self._library.sys_create()
        for chip in range(self.topology.chips):
            self.reset(chip)

    def close(self) -> None:
        """Free the simulation."""
        if self._system is not None:
            self._library.sys_destroy(self._system)
            self._system = None

    def __del__(self) -> None:
        if getattr(self, "_system", None) is not None:
            self.close()

    def reset(self, chip: int, cycles: int = 4) -> None:
        """Hold one chip's reset."""
        self._library.sys_reset(self._system, chip, 1)
        self.step(cycles)
        self._library.sys_reset(self._system, chip, 0)

    def clock(self, chip: int, *, ppm: float = 0, phase: int = 0) -> None:
        """Let a chip's clock run faster by so many millionths, and later by ``phase`` picoseconds. All chips need one then."""
        self._library.sys_clock(self._system, chip, round(HALF * 200 / (1 + ppm * 1e-6)), phase * 200)

    def hold(self, way: int, mask: int) -> None:
        """Keep wires of one direction of a cable low (rtl.system.directions)."""
        self._library.sys_hold(self._system, way, mask)

    def errors(self, way: int, bits: int, seed: int = 0) -> None:
        """From now on turn over 0, 1 or 2 bits of every flit in one direction of a cable."""
        self._library.sys_errors(self._system, way, bits, seed)

    def seen(self, way: int) -> int:
        """What is on the wires of one direction of a cable."""
        return self._library.sys_seen(self._system, way)

    def flits(self, way: int) -> int:
        """Flits that errors were put into."""
        return self._library.sys_flits(self._system, way)

    def step(self, cycles: int, *, until_idle: bool = False) -> int:
        """Run all chips; with ``until_idle``, no further than to where none is busy. Returns the cycles."""
        return self._library.sys_step(self._system, cycles, until_idle)

    def cycles(self, chip: int) -> int:
        """Clock cycles of a chip since power on."""
        return self._library.sys_cycles(self._system, chip)

    def transport(self, chip: int) -> ChipTransport:
        """One chip's host port."""
        return ChipTransport(self, chip)


class ChipTransport:
    """The host port of one chip; while it waits, all chips run."""

    def __init__(self, simulation: SystemSimulation, chip: int):
        self._simulation, self._chip = simulation, chip

    def send(self, words: np.ndarray) -> None:
        """Queue uint32 words for the command stream."""
        array, s = np.ascontiguousarray(words, np.uint32), self._simulation
        s._library.sys_send(s._system, self._chip, array.ctypes.data, len(array))

    def receive(self, count: int, patience: int = PATIENCE) -> np.ndarray:
        """The next ``count`` response words. Raises MachineError if they do not come."""
        words, s = np.empty(count, np.uint32), self._simulation
        limit = patience + 64 * s._library.sys_unsent(s._system, self._chip) + 64 * count
        found = s._library.sys_receive(s._system, self._chip, words.ctypes.data, count, limit)
        if found != count:
            raise MachineError(f"chip {self._chip} gave {found} of {count} words in {limit} cycles: reset it")
        return words

    def wait(self, cycles: int, *, until_idle: bool) -> None:
        """Run so many cycles; with ``until_idle`` fewer if all chips become idle before."""
        self._simulation.step(cycles, until_idle=until_idle)


def linked_chips(config: TileConfig, topology: Topology) -> LinkedMachines:
    """A system on the fast simulator, its chips aligned. Raises MachineError."""
    simulation = SystemSimulation(config, topology)
    transports = [simulation.transport(chip) for chip in range(topology.chips)]
    return LinkedMachines(transports, config, topology, simulation=simulation)


def _bindings(config: TileConfig, topology: Topology) -> str:
    """C++ that knows the names of the system's ports."""

    def lines() -> Iterator[str]:
        ways, width = len(directions(topology)), config.link_width
        flits = config.lanes * 32 // FLIT_PAYLOAD
        for name, value in (
            ("CHIPS", topology.chips),
            ("WAYS", ways),
            ("WIDTH", width),
            ("FLITS", flits),
            ("PER_FLIT", FLIT_BITS // width),
            ("BEATS", link_cycles(config)),
        ):
            yield f"constexpr int {name} = {value};"
        yield "namespace {"
        for name, action in (("hold", "= value"), ("flip", "= value")):
            yield f"void set_{name}(Vtop& top, int way, uint32_t value) {{ switch (way) {{"
            for n in range(ways):
                yield f"case {n}: top.{name}{n} {action}; break;"
            yield "} }"
        yield "uint32_t seen(Vtop& top, int way) { switch (way) {"
        for n in range(ways):
            yield f"case {n}: return top.seen{n};"
        yield "} return 0; } }"
        yield "#define BIND(top, pins) \\"
        members = {
            "clk": "clk",
            "rst": "rst",
            "command_valid": "command__valid",
            "command_ready": "command__ready",
            "response_valid": "response__valid",
            "response_ready": "response__ready",
            "busy": "busy",
            "violation": "violation",
            "command": "command__payload",
            "response": "response__payload",
        }
        for chip in range(topology.chips):
            for member, port in members.items():
                name = f"c{chip}_{port}".replace("__", "___05F")
                yield f"    pins[{chip}].{member} = &top.{name}; \\"
        yield ""

    return "\n".join(lines())
