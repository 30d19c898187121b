"""Several golden tiles and the links between them, all started in the same cycle."""

from __future__ import annotations

from collections.abc import Sequence

from golden.c2c import C2c, Carry
from golden.fabric import Vector
from golden.tile import Deadlock, Tile, Timeout, Trace
from lpu.arch import TileConfig
from lpu.program import Program
from lpu.runtime.machine import MAX_CYCLES, MachineError, Result
from lpu.timing import SAMPLE, link_latency
from lpu.topology import End, Topology


class System:
    """Tiles in lockstep: :class:`lpu.runtime.chips.Chips` by arithmetic instead of hardware.

    A word takes a constant number of cycles from end to end, so that a tile may run on alone for that long behind the one
    that is last.

    Parameters
    ----------
    config : of every tile. topology : their cables. trace : called for every dispatch with chip, cycle, queue, instruction.

    Attributes
    ----------
    chips : the tiles; their host sides are used one by one.
    """

    def __init__(self, config: TileConfig, topology: Topology, traces: Sequence[Trace | None] | None = None):
        if topology.ports > len(config.ports):
            raise MachineError(
                f"{topology.name} of {topology.chips} chips needs {topology.ports} links a chip, {config.name} has "
                f"{len(config.ports)}: add c2c slices to its floorplan"
            )
        self.config, self.topology = config, topology
        traces = traces or [None] * topology.chips
        self.chips = [Tile(config, trace) for trace in traces]
        self._latency = link_latency(config)
        for cable in topology.cables:
            for source, sink in ((cable.a, cable.b), (cable.b, cable.a)):
                self._end(source).carry = self._carry(self._end(sink))

    def _end(self, end: End) -> C2c:
        found = self.chips[end.chip].slices[self.config.ports[end.port]]
        assert isinstance(found, C2c)
        return found

    def _carry(self, sink: C2c) -> Carry:
        def carry(cycle: int, word: Vector) -> None:
            sink.arrive(cycle + self._latency, word)

        return carry

    def load(self, programs: Sequence[Program]) -> None:
        """A program for each chip. Raises what :meth:`Tile.load` raises, naming the chip."""
        if len(programs) != len(self.chips):
            raise MachineError(
                f"{len(programs)} programs for {len(self.chips)} chips: one for each is needed"
            )
        for n, (tile, program) in enumerate(zip(self.chips, programs, strict=True)):
            try:
                tile.load(program)
            except MachineError as error:
                raise MachineError(f"chip {n}: {error}") from None

    def run(self, entry: str = "main", max_cycles: int = MAX_CYCLES) -> list[Result]:
        """Start the entry on all chips in the same cycle; each one's result. Raises Timeout or Deadlock, naming the chip."""
        for tile in self.chips:
            tile.start(entry)
        going = dict.fromkeys(range(len(self.chips)), 0)
        while going:
            # A word is on its way once it is sampled, a little after its SEND, from which the latency counts.
            horizon = min(going.values()) + self._latency - SAMPLE
            for n in [n for n, at in going.items() if at < horizon]:
                try:
                    following = self.chips[n].advance(horizon, max_cycles)
                except Timeout as error:
                    raise Timeout(f"chip {n}: {error}") from None
                if following is None:
                    del going[n]
                else:
                    going[n] = following
        results = []
        for n, tile in enumerate(self.chips):
            try:
                results.append(tile.result())
            except Deadlock as error:
                raise Deadlock(f"chip {n}: {error}") from None
        return results
