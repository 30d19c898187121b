"""A program for several chips: one program each, their cables, and how long a run takes. Standard library only.

The file is a zip archive of ``system.json`` and one program file a chip.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpu.arch import TileConfig
from lpu.program import DAMAGE, Program, ProgramError
from lpu.timing import LOOP_CYCLES, SYNC_CYCLES
from lpu.topology import Topology, TopologyError

FORMAT = "open-lpu system 1"


def is_system(path: str | Path) -> bool:
    """Whether a file is one of several chips' programs, rather than of one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "system.json" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


@dataclass(frozen=True)
class Slots:
    """Time on all chips: a round of slots, each as long as its longest part, repeated; and slots before and behind.

    Parameters
    ----------
    fixed, period : cycles of each slot of a round, and cycles more for each whole block of positions of the longest sequence.
    lead : slots by which the last chip starts later than the first; with several sequences every chip starts a slot later.
    lanes : positions of a block.
    """

    fixed: tuple[int, ...]
    period: tuple[int, ...]
    lead: int
    lanes: int

    def cycles(self, rounds: int, longest: int) -> int:
        """Cycles of a run of so many rounds, ``longest`` being the highest position of the sequences at its start."""
        count = len(self.fixed)
        total = LOOP_CYCLES
        for slot in range(rounds * count + self.lead):
            blocks = (longest + slot // count) // self.lanes
            total += self.fixed[slot % count] + self.period[slot % count] * blocks + SYNC_CYCLES
        return total


@dataclass
class SystemProgram:
    """Everything the host loads into the chips of a system.

    Attributes
    ----------
    config : of every chip. topology : their cables. programs : one for each chip. slots : how long runs take.
    symbols : name -> anything JSON can hold; ``model`` says how large everything is and where states lie.
    """

    config: TileConfig
    topology: Topology
    programs: list[Program]
    slots: Slots
    symbols: dict[str, Any]

    @property
    def chips(self) -> int:
        """How many there are."""
        return len(self.programs)

    def save(self, path: str | Path) -> None:
        """Write the system file."""
        slots = self.slots
        header = {
            "format": FORMAT,
            "topology": self.topology.to_dict(),
            "slots": [list(slots.fixed), list(slots.period), slots.lead, slots.lanes],
            "symbols": self.symbols,
            "chips": self.chips,
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("system.json", json.dumps(header, indent=1))
            for n, program in enumerate(self.programs):
                file = io.BytesIO()
                program.save(file)
                archive.writestr(f"chips/{n}.lpu", file.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> SystemProgram:
        """Read a system file. Raises ProgramError in one line."""
        try:
            with zipfile.ZipFile(path) as archive:
                header = json.loads(archive.read("system.json"))
                if header.get("format") != FORMAT:
                    raise ProgramError(
                        f"{path}: format is {header.get('format')!r}, this release reads {FORMAT!r}"
                    )
                programs = [
                    Program.load(io.BytesIO(archive.read(f"chips/{n}.lpu"))) for n in range(header["chips"])
                ]
                fixed, period, lead, lanes = header["slots"]
                slots = Slots(tuple(fixed), tuple(period), int(lead), int(lanes))
                topology = Topology.from_dict(header["topology"])
                config = programs[0].config
                if any(p.config.fingerprint != config.fingerprint for p in programs):
                    raise ProgramError(
                        f"{path}: its chips have different configurations; the file is damaged"
                    )
                return cls(config, topology, programs, slots, header["symbols"])
        except OSError as error:
            raise ProgramError(f"cannot read system {path}: {error.strerror or error}") from None
        except (ProgramError, TopologyError) as error:
            raise ProgramError(
                str(error) if isinstance(error, ProgramError) else f"{path}: {error}"
            ) from None
        except DAMAGE as error:
            raise ProgramError(f"{path} is not a whole system file (truncated or damaged): {error}") from None
