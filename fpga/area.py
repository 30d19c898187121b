"""What a tile occupies on an ECP5, slice by slice: ``python -m fpga.area``.

Without options the presets below are synthesised, and docs/area.md and fpga/reports/ written anew. ``--check`` writes nothing
and fails if a figure has grown by more than 5 % over the recorded report, or passes the limits below.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from fpga.cells import Area
from fpga.ecp5 import DEVICES, Ecp5
from fpga.synth import areas
from fpga.tools import ToolError
from fpga.yosys import yosys_version
from lpu.arch import PRESETS, TileConfig
from lpu.isa import queue_names
from rtl.tile import Tile

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "area.md"
REPORTS = ROOT / "fpga" / "reports"
#: Preset -> the device it is meant for.
TARGETS = {"ecp5-25f": "25f", "ecp5-85f": "85f"}
#: Share of the device that a tile may take, in percent: routing needs the rest of the LUTs.
LIMITS = {"lut": 85, "ff": 85, "dsp": 100, "bram": 95}
#: Presets that are known to be larger than their device; boards with it have smaller tiles (lpu/small.py).
TOO_LARGE = ("ecp5-25f",)
#: Growth over the recorded report that --check lets pass, in percent, and LUTs or flip-flops that are noise.
TOLERANCE, NOISE = 5, 40

_INTRO = """# Area

Written by `make area` (`python -m fpga.area`); `python -m fpga.area --check` compares with the figures recorded in
`fpga/reports/`, `--json` prints them. yosys `synth_ecp5 -nowidelut`, mapped for area at 75 MHz, before placement.

Every slice, queue and the rest of the tile is synthesised on its own, with what the tile ties to its ports: an input that
is constant and an output that nobody reads are optimised away, other optimisation across slices is not counted. A LUT is a place
for a LUT4: one for each LUT of logic, two for a carry cell (CCU2C), six for a 16 x 4 LUT RAM (DPR16X4: four hold the bits, the
write port blocks two). FF are flip-flops, DSP 18 x 18 bit multipliers (MULT18X18D), BRAM 18 kbit block RAMs (DP16KD).
"""


@dataclasses.dataclass(frozen=True)
class Report:
    """Area of a preset's tile: of each slice, queue and other part by name; ``(top)`` is the tile's own logic."""

    preset: str
    device: str
    tool: str
    parts: dict[str, Area]

    @property
    def total(self) -> Area:
        """Of all parts."""
        return sum(self.parts.values(), Area())

    @property
    def shares(self) -> dict[str, float]:
        """Percent of the device, by kind of resource."""
        device = DEVICES[self.device]
        whole = {"lut": device.lut, "ff": device.lut, "dsp": device.dsp, "bram": device.bram}
        return {kind: 100 * getattr(self.total, kind) / size for kind, size in whole.items()}

    def to_json(self) -> str:
        """Text that :meth:`from_json` reads."""
        parts = {name: dataclasses.asdict(area) for name, area in self.parts.items()}
        head = {"preset": self.preset, "device": self.device, "tool": self.tool}
        shares = {kind: round(share, 1) for kind, share in self.shares.items()}
        return json.dumps(
            {**head, "total": dataclasses.asdict(self.total), "percent": shares, "parts": parts}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Inverse of :meth:`to_json`."""
        data = json.loads(text)
        parts = {name: Area(**area) for name, area in data["parts"].items()}
        return cls(data["preset"], data["device"], data["tool"], parts)


def measure(preset: str, *, progress=lambda text: None) -> Report:
    """Synthesises a preset's tile for its device. Raises ToolError."""
    config, device = PRESETS[preset], TARGETS[preset]
    platform = Ecp5.for_config(config, device)
    parts = areas(
        Tile(config), name="tile", platform=platform, progress=lambda part: progress(f"{preset}: {part}")
    )
    return Report(preset, device, yosys_version(), parts)


def rows(report: Report, config: TileConfig) -> list[tuple[str, Area]]:
    """Slices west to east, all queues as one, then the rest."""
    left = dict(report.parts)
    found = [(name, left.pop(name)) for name in config.slice_names]
    queues = [left.pop(name.replace(".", "_")) for name in queue_names(config)]
    found.append((f"{len(queues)} queues", sum(queues, Area())))
    return [*found, *((name.strip("()"), area) for name, area in left.items())]


def table(report: Report) -> str:
    """A section of docs/area.md."""
    config, device = PRESETS[report.preset], DEVICES[report.device]
    lines = [
        f"## {report.preset} on an LFE5U-{report.device.upper()}",
        "",
        f"{config.lanes} lanes, {config.vxm_lanes} vector lanes, {config.contexts} contexts. {report.tool}.",
        "",
        "| part | LUT | of these carry | LUT RAM | FF | DSP | BRAM |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, a in [*rows(report, config), ("**tile**", report.total)]:
        lines.append(f"| {name} | {a.lut:,} | {a.carry:,} | {a.lutram:,} | {a.ff:,} | {a.dsp} | {a.bram} |")
    s = report.shares
    lines += [
        f"| device | {device.lut:,} | | | {device.lut:,} | {device.dsp} | {device.bram} |",
        f"| share | {s['lut']:.0f} % | | | {s['ff']:.0f} % | {s['dsp']:.0f} % | {s['bram']:.0f} % |",
        "",
    ]
    return "\n".join(lines)


def over_limit(report: Report) -> list[str]:
    """What the tile takes too much of, as messages."""
    return [
        f"{report.preset}: {share:.1f} % of the {kind.upper()}s of an LFE5U-{report.device.upper()}, limit {LIMITS[kind]} %"
        for kind, share in report.shares.items()
        if share > LIMITS[kind]
    ]


def growth(old: Report, new: Report) -> list[str]:
    """Parts, and the tile, that are larger than recorded by more than the tolerance, as messages."""
    messages = []
    names = sorted({*old.parts, *new.parts})
    pairs = [(name, old.parts.get(name, Area()), new.parts.get(name, Area())) for name in names]
    for name, before, after in [*pairs, ("tile", old.total, new.total)]:
        for kind in ("lut", "ff", "dsp", "bram"):
            was, now = getattr(before, kind), getattr(after, kind)
            noise = NOISE if kind in ("lut", "ff") else 0
            if now > was * (1 + TOLERANCE / 100) + noise:
                messages.append(f"{new.preset}: {name} has grown from {was} to {now} {kind.upper()}s")
    return messages


def recorded(preset: str) -> Path:
    """Where a preset's report is kept."""
    return REPORTS / f"area-{preset}.json"


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is 1 if --check found anything or synthesis failed."""
    parser = argparse.ArgumentParser(prog="python -m fpga.area", description="Area of the tile on an ECP5.")
    parser.add_argument(
        "presets", nargs="*", metavar="preset", help=f"of {', '.join(TARGETS)}; all by default"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="print the figures and write nothing")
    group.add_argument(
        "--check", action="store_true", help="compare with the recorded reports, write nothing"
    )
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.presets) - set(TARGETS)):
        parser.error(f"no device is known for {', '.join(unknown)}: use {', '.join(TARGETS)}")

    reports = []
    try:
        for preset in options.presets or TARGETS:
            reports.append(measure(preset, progress=lambda text: print(text, file=sys.stderr, flush=True)))
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print("[" + ",\n".join(report.to_json() for report in reports) + "]")
        return 0
    if options.check:
        problems = []
        for report in reports:
            problems += growth(Report.from_json(recorded(report.preset).read_text()), report)
            problems += [] if report.preset in TOO_LARGE else over_limit(report)
        print("\n".join(problems) or "area: no growth, within the limits")
        return int(bool(problems))
    REPORTS.mkdir(exist_ok=True)
    for report in reports:
        recorded(report.preset).write_text(report.to_json() + "\n")
    every = [
        Report.from_json(recorded(preset).read_text()) for preset in TARGETS if recorded(preset).exists()
    ]
    PAGE.write_text("\n".join((_INTRO, *(table(report) for report in every))))
    for report in reports:
        print(table(report))
        print("\n".join(over_limit(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
