"""Which chips are joined to which: cables between link ports, as data. Standard library only.

A port is a link slice of a tile, numbered west to east (:attr:`lpu.arch.TileConfig.ports`). A cable carries words both ways
and may be plugged in anywhere; nothing is routed, so chips talk to their neighbours only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


class TopologyError(ValueError):
    """A topology that cannot be; one line naming the cable, the limit and the remedy."""


@dataclass(frozen=True)
class End:
    """One end of a cable: a port of a chip."""

    chip: int
    port: int

    def __str__(self) -> str:
        return f"port {self.port} of chip {self.chip}"


@dataclass(frozen=True)
class Cable:
    """Two ends."""

    a: End
    b: End

    def __str__(self) -> str:
        return f"cable between {self.a} and {self.b}"


@dataclass(frozen=True)
class Topology:
    """``chips`` chips, numbered from 0, and the cables between them.

    Parameters
    ----------
    name : for messages. chips : how many. cables : each port is used once at most; all chips have to be connected.
    """

    name: str
    chips: int
    cables: tuple[Cable, ...]
    _peers: dict[End, End] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.chips < 1:
            raise TopologyError(f"{self.name} of {self.chips} chips: use 1 or more")
        for cable in self.cables:
            for end, other in ((cable.a, cable.b), (cable.b, cable.a)):
                if not 0 <= end.chip < self.chips or end.port < 0:
                    raise TopologyError(f"{cable}: {self.name} has chips 0 to {self.chips - 1}")
                if end in self._peers:
                    raise TopologyError(f"{cable}: {end} has a cable already")
                self._peers[end] = other
            if cable.a.chip == cable.b.chip:
                raise TopologyError(f"{cable}: a chip cannot be its own neighbour")
        reached = [0]
        for chip in reached:
            reached += [c for c in self.neighbours(chip) if c not in reached]
        if len(reached) < self.chips:
            alone = min(set(range(self.chips)) - set(reached))
            raise TopologyError(f"{self.name}: no cables lead from chip 0 to chip {alone}; add one")

    @cached_property
    def ports(self) -> int:
        """Link slices that each chip needs."""
        return max((end.port + 1 for end in self._peers), default=0)

    def peer(self, end: End) -> End | None:
        """What is plugged in at the other end."""
        return self._peers.get(end)

    def neighbours(self, chip: int) -> list[int]:
        """Chips with a cable to this one, in order of its ports, each once."""
        ends = sorted((e.port, p.chip) for e, p in self._peers.items() if e.chip == chip)
        return list(dict.fromkeys(c for _, c in ends))

    def cable(self, source: int, sink: int) -> tuple[End, End]:
        """Ends at ``source`` and at ``sink`` of a cable between the two, the one of the source's highest port.

        Raises TopologyError if there is none.
        """
        found = [(e, p) for e, p in self._peers.items() if (e.chip, p.chip) == (source, sink)]
        if not found:
            raise TopologyError(f"{self.name} has no cable from chip {source} to chip {sink}")
        return max(found, key=lambda ends: ends[0].port)

    def hops(self, source: int, sink: int) -> list[int]:
        """Chips on a shortest way, both ends included; of several the one with the lowest numbers."""
        back: dict[int, int] = {source: source}
        reached = [source]
        for chip in reached:
            for other in sorted(self.neighbours(chip)):
                if other not in back:
                    back[other] = chip
                    reached.append(other)
        way = [sink]
        while way[-1] != source:
            way.append(back[way[-1]])
        return way[::-1]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        cables = [[c.a.chip, c.a.port, c.b.chip, c.b.port] for c in self.cables]
        return {"name": self.name, "chips": self.chips, "cables": cables}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Topology:
        """Inverse of :meth:`to_dict`. Raises TopologyError."""
        try:
            cables = tuple(Cable(End(a, p), End(b, q)) for a, p, b, q in data["cables"])
            return cls(str(data["name"]), int(data["chips"]), cables)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, TopologyError):
                raise
            raise TopologyError(
                f"topology cannot be read: {error}; it has name, chips, and cables as [chip, port, chip, port]"
            ) from None


def line(chips: int) -> Topology:
    """Chip n's east port (1) to the west port (0) of chip n + 1."""
    return Topology("line", chips, tuple(Cable(End(n, 1), End(n + 1, 0)) for n in range(chips - 1)))


def ring(chips: int) -> Topology:
    """A line whose last chip is joined to the first."""
    if chips < 2:
        return line(chips)
    return Topology("ring", chips, tuple(Cable(End(n, 1), End((n + 1) % chips, 0)) for n in range(chips)))


def mesh(chips: int) -> Topology:
    """Every chip to every other."""
    used = [0] * chips
    cables = []
    for a in range(chips):
        for b in range(a + 1, chips):
            cables.append(Cable(End(a, used[a]), End(b, used[b])))
            used[a] += 1
            used[b] += 1
    return Topology("mesh", chips, tuple(cables))


SHAPES = {"line": line, "ring": ring, "mesh": mesh}


def load_topology(name_or_path: str, chips: int) -> Topology:
    """A named shape of so many chips, or a JSON file of :meth:`Topology.to_dict`. Raises TopologyError."""
    if name_or_path in SHAPES:
        return SHAPES[name_or_path](chips)
    path = Path(name_or_path)
    if path.suffix != ".json":
        raise TopologyError(f"no topology {name_or_path!r}: use {', '.join(SHAPES)} or a .json file")
    try:
        found = Topology.from_dict(json.loads(path.read_text()))
    except OSError as error:
        raise TopologyError(f"cannot read topology {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise TopologyError(f"{path} is not JSON: {error}") from None
    if found.chips != chips:
        raise TopologyError(f"{path} joins {found.chips} chips, not {chips}")
    return found
