"""From a board to its bitstream: elaborate, map part by part, place and route with several seeds, pack, report.

Everything lies in ``build/BOARD``; each step is skipped whose inputs are those of its last run.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fpga.boards import Board, OnBoard
from fpga.join import join
from fpga.netlist import with_undefined_collisions
from fpga.synth import Mapped
from fpga.timing import critical_path, fmax, routing_stuck
from fpga.tools import Run, ToolStuck, run_tool, version

ROOT = Path(__file__).resolve().parent.parent
#: Modules whose parts are mapped one by one.
INNER = ("board.core", "board.core.tile")
#: Sources that a netlist is made of.
SOURCES = ("lpu/*.py", "lpu/runtime/frames.py", "lpu/runtime/protocol.py", "rtl/*.py", "fpga/*.py")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Placement:
    """One run of nextpnr: Fmax in MHz of the tile's clock, what it took, its slowest path by unit, the use of the device."""

    seed: int
    fmax_mhz: float
    seconds: float
    memory_mib: int
    critical_path: list[dict[str, Any]]
    used: dict[str, list[int]]


class Build:
    """A board's build. Steps are methods; :meth:`run` takes all of them.

    Parameters
    ----------
    board : what to build. root : folder for the board's folder. tell : is called with what is done now.
    """

    def __init__(self, board: Board, *, root: Path = ROOT / "build", tell: Tell = lambda text: None):
        self.board, self.tell = board, tell
        self.folder = root / board.name
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def pins(self) -> Path:
        """The file of pins and clocks."""
        return self.folder / f"board.{self.board.family.constraints}"

    def elaborate(self) -> str:
        """RTLIL of the board's top. Writes the pins beside it."""
        key = _digest(
            *(p.read_bytes() for pattern in SOURCES for p in sorted(ROOT.glob(pattern))),
            repr((self.board, self.board.tile)).encode(),
        )
        path = self.folder / "board.il"
        if _fresh(path, key) and self.pins.exists():
            return path.read_text()
        self.tell("elaborating")
        plan = self.board.instance().prepare(OnBoard(self.board), "board", emit_src=False)
        text = with_undefined_collisions(plan.files["board.il"])
        self.pins.write_text(plan.files[self.pins.name])
        path.write_text(text)
        _stamp(path, key)
        return text

    def map(self) -> dict[str, Mapped]:
        """What the netlist is made of, part by part. Writes the netlist that is placed."""
        text = self.elaborate()
        netlist, parts = join(
            text,
            "board",
            self.board.family,
            inner=INNER,
            progress=lambda part: self.tell(f"mapping {part.removeprefix('board.')}"),
        )
        self.board.family.sites(netlist, self.board.device["device"])
        whole = json.dumps(netlist)
        path = self.folder / "board.json"
        if not path.exists() or path.read_text() != whole:
            path.write_text(whole)
        return parts

    def place(self, seed: int) -> Placement:
        """Places and routes. Raises ToolError if it does not fit, ToolStuck if its wires cannot be routed."""
        family = self.board.family
        tool, *arguments = family.placer
        names = self._names(seed)
        options = ["--seed", str(seed), "--freq", f"{self.board.mhz:g}", "--timing-allow-fail"]
        command = [
            *(a.format(**names) for a in arguments),
            *options,
            *self.board.options,
            "--report",
            names["report"],
        ]
        key = _digest(
            (self.folder / "board.json").read_bytes(),
            self.pins.read_bytes(),
            " ".join((version(tool), *command)).encode(),
        )
        output, log = self.folder / names["output"], f"nextpnr-{seed}.log"
        took, given_up = self.folder / f"placed-{seed}.json", self.folder / f"stuck-{seed}.txt"
        if _fresh(given_up, key):
            raise ToolStuck(given_up.read_text())
        if not _fresh(output, key):
            self.tell(f"placing and routing, seed {seed}")
            try:
                run = run_tool(tool, command, self.folder, log, stuck=routing_stuck)
            except ToolStuck as error:
                given_up.write_text(str(error))
                _stamp(given_up, key)
                raise
            took.write_text(json.dumps(asdict(run)))
            _stamp(output, key)
        run = Run(**json.loads(took.read_text()))
        report = json.loads((self.folder / names["report"]).read_text())
        used = {
            kind: [report["utilization"][name]["used"], report["utilization"][name]["available"]]
            for kind, name in family.resources.items()
        }
        return Placement(seed, fmax(report), round(run.seconds, 1), run.memory, critical_path(report), used)

    def pack(self, seed: int) -> Path:
        """The bitstream of a placement."""
        tool, *arguments = self.board.family.packer
        names = self._names(seed)
        path = self.folder / names["bitstream"]
        key = _digest((self.folder / names["output"]).read_bytes(), version(tool).encode())
        if not _fresh(path, key):
            self.tell("packing")
            run_tool(tool, [a.format(**names) for a in arguments], self.folder, "pack.log")
            _stamp(path, key)
        return path

    def _names(self, seed: int) -> dict[str, str]:
        family = self.board.family
        return {
            "pins": self.pins.name,
            "netlist": "board.json",
            "output": f"board-{seed}.{family.output}",
            "bitstream": f"{self.board.name}.{family.bitstream}",
            "report": f"nextpnr-{seed}.json",
            **self.board.device,
        }

    def run(self) -> dict[str, Any]:
        """All steps. Returns the report; the bitstream is that of the fastest placement."""
        parts = self.map()
        placements, given_up = [], {}
        for seed in self.board.seeds:
            try:
                placements.append(self.place(seed))
            except ToolStuck as error:
                given_up[seed] = error
        if not placements:
            raise next(iter(given_up.values()))
        best = max(placements, key=lambda p: p.fmax_mhz)
        bitstream = self.pack(best.seed)
        board, used = self.board, best.used
        # An iCE40's cell is a LUT and a flip-flop, and nextpnr counts cells.
        used.setdefault("ff", [sum(part.area.ff for part in parts.values()), used["lut"][1]])
        report = {
            "board": board.name,
            "title": board.title,
            "config": board.config,
            "netlist": _digest((self.folder / "board.json").read_bytes(), self.pins.read_bytes()),
            "clock_mhz": board.mhz,
            "fmax_mhz": round(statistics.median(p.fmax_mhz for p in placements), 2),
            "meets_clock": best.fmax_mhz >= board.mhz,
            "seeds": [
                {"seed": p.seed, "fmax_mhz": p.fmax_mhz, "seconds": p.seconds, "memory_mib": p.memory_mib}
                for p in placements
            ],
            "seeds_not_routed": sorted(given_up),
            **{kind: {"used": n, "capacity": of} for kind, (n, of) in used.items()},
            "critical_path": best.critical_path,
            "parts": {name.removeprefix("core."): asdict(part.area) for name, part in parts.items()},
            "mapping_seconds": round(sum(part.run.seconds for part in parts.values()), 1),
            "bitstream": bitstream.name,
            "tools": [version("yosys"), version(board.family.placer[0]), version(board.family.packer[0])],
        }
        return report

    def write(self, report: dict[str, Any]) -> None:
        """Keeps a report as ``report.json``."""
        (self.folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _fresh(path: Path, key: str) -> bool:
    """Whether a file is there and was made of what ``key`` stands for."""
    stamp = path.with_name(path.name + ".key")
    return path.exists() and stamp.exists() and stamp.read_text() == key


def _stamp(path: Path, key: str) -> None:
    path.with_name(path.name + ".key").write_text(key)
