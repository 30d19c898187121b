"""Several machines and their links: names, common time, starts in one cycle, and what the links have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpu.arch import TileConfig
from lpu.program import Program
from lpu.runtime.driver import RtlMachine, Transport
from lpu.runtime.machine import MAX_CYCLES, MachineError, Result
from lpu.runtime.protocol import Space
from lpu.topology import End, Topology

#: Cycles that a system has to agree on the time, at most, for each chip.
ALIGNMENT = 20_000
#: Cycles between the question for the time and a common start, for each chip: every one has to be told.
START_LEAD = 400
_ROOT, _MET, _LOST = 1 << 16, 1 << 24, 255


@dataclass(frozen=True)
class LinkState:
    """What one end of a link says.

    Parameters
    ----------
    neighbour : what is plugged in at the other end, None if nobody was heard. transit : cycles from a SEND to the arrival of its
    frame, 0 if not measured. corrected, bad : frames in which an error was, and could not be corrected.
    """

    neighbour: End | None
    transit: int
    corrected: int
    bad: int


@dataclass(frozen=True)
class ChipState:
    """A chip's number, its distance from the one that keeps the time (None: it does not know it), its time, its links."""

    chip: int
    distance: int | None
    time: int
    links: tuple[LinkState, ...]


class LinkedMachines:
    """The chips of a system: :class:`lpu.runtime.system.Chips`.

    Parameters
    ----------
    transports : of each chip. config, topology : of the system.
    simulation : what holds the chips, kept alive.

    Raises MachineError where a cable is missing or plugged in elsewhere, or no common time is found.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        config: TileConfig,
        topology: Topology,
        *,
        simulation: Any = None,
        align: bool = True,
    ):
        if topology.ports > len(config.ports):
            raise MachineError(
                f"{topology.name} of {topology.chips} chips needs {topology.ports} links a chip, {config.name} has "
                f"{len(config.ports)}: add c2c slices to its floorplan"
            )
        self.topology, self.simulation = topology, simulation
        self._config, self._transports = config, transports
        self.chips = [RtlMachine(t, config) for t in transports]
        if align:
            self.align()

    @property
    def config(self) -> TileConfig:
        """Of every chip."""
        return self._config

    def align(self) -> None:
        """Number the chips and wait until all count alike. Raises MachineError naming the cable or chip."""
        for number, chip in enumerate(self.chips):
            word = np.array([number | (_ROOT if number == 0 else 0)], np.uint32)
            chip.write_space(Space.LINK, 0, word, f"number chip {number}")
        limit, waited = ALIGNMENT * self.topology.chips, 0
        while True:
            states = self.states()
            problem = self._problem(states)
            if problem is None:
                return
            if waited >= limit:
                raise MachineError(f"{problem} after {limit:,} cycles")
            self._transports[0].wait(500, until_idle=False)
            waited += 500

    def states(self) -> list[ChipState]:
        """Of every chip, one after the other."""
        found = []
        for number, chip in enumerate(self.chips):
            ports = len(self._config.ports)
            words = (
                chip.read_space(Space.LINK, 0, 2 + 4 * ports, f"read links of chip {number}").ravel().tolist()
            )
            links = []
            for n in range(ports):
                other, transit, corrected, bad = words[2 + 4 * n : 6 + 4 * n]
                end = End(other & 0xFFFF, other >> 16 & 0xFF) if other & _MET else None
                links.append(LinkState(end, transit, corrected, bad))
            distance = words[0] >> 24
            found.append(
                ChipState(words[0] & 0xFFFF, None if distance == _LOST else distance, words[1], tuple(links))
            )
        return found

    def _problem(self, states: Sequence[ChipState]) -> str | None:
        """What keeps the system from being started, if anything."""
        for chip, state in enumerate(states):
            for port, link in enumerate(state.links):
                here, wanted = End(chip, port), self.topology.peer(End(chip, port))
                if wanted is None:
                    continue
                if link.neighbour is None:
                    return f"{here} hears nothing: its cable should lead to {wanted}"
                if link.neighbour != wanted:
                    return (
                        f"{here} leads to {link.neighbour}, not to {wanted}: cables are plugged in elsewhere"
                    )
                if not link.transit:
                    return f"{here} has no common time with {wanted}"
            if state.distance is None:
                return f"chip {chip} does not know the common time"
        return None

    def load(self, programs: Sequence[Program]) -> None:
        """A program for each chip."""
        if len(programs) != len(self.chips):
            raise MachineError(
                f"{len(programs)} programs for {len(self.chips)} chips: one for each is needed"
            )
        for n, (chip, program) in enumerate(zip(self.chips, programs, strict=True)):
            try:
                chip.load(program)
            except MachineError as error:
                raise MachineError(f"chip {n}: {error}") from None

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> list[Result]:
        """Start the entry on all chips in the same cycle; each one's result.

        Raises MachineError for a chip that cannot start then, and for a frame that could not be corrected.
        """
        before = self.states()
        if (problem := self._problem(before)) is not None:
            raise MachineError(problem)
        moment = before[-1].time + START_LEAD * len(self.chips)
        for n, chip in enumerate(self.chips):
            try:
                chip.start(entry, moment)
            except MachineError as error:
                for other in self.chips:
                    other.clear()
                raise MachineError(f"chip {n}: {error}") from None
        results = []
        for n, chip in enumerate(self.chips):
            try:
                results.append(chip.finish(entry, max_cycles))
            except MachineError as error:
                raise MachineError(f"chip {n}: {error}") from None
        for number, (was, now) in enumerate(zip(before, self.states(), strict=True)):
            for port, (a, b) in enumerate(zip(was.links, now.links, strict=True)):
                if a.bad != b.bad:
                    raise MachineError(
                        f"{End(number, port)}: {b.bad - a.bad} frames came with errors that could not be corrected; "
                        "the result is not to be trusted"
                    )
        return results
