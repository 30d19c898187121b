"""What boards come to: the table in the README, and whether anything grew or slowed down.

``python -m fpga.report`` writes the table anew from fpga/reports. ``python -m fpga.report --check`` maps every board's tile
again and fails, naming the unit, where a part has grown by more than 5 % over the recorded report, or where a build of the same
netlist under ``build/`` is slower by more than that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from fpga.area import NOISE, REPORTS, TOLERANCE
from fpga.boards import BOARDS
from fpga.build import ROOT, Build
from fpga.cells import Area
from fpga.tools import ToolError

README = ROOT / "README.md"
BEGIN, END = "<!-- boards: python -m fpga.report -->\n", "<!-- end of boards -->\n"

#: What others have published: system, device, size and clock, speed.
PEERS = (
    (
        "sohaiberrabii/tpu, 8 x 8 int8",
        "ECP5-85F",
        "11,826 LUT, 96 DSP, 60.9 MHz",
        "64 x 64 x 64 in 16,438 cycles",
    ),
    ("CFU-Playground hps_accel", "ECP5", "60.9 MHz", "32 products a cycle"),
    ("MARLANN", "iCE40UP5K", "3,827 LC, 29.3 MHz", "16 products a cycle"),
    ("gateGPT, one model of 4-8 K parameters in gates", "", "80 MHz", "60,600 tokens/s"),
    ("TALOS-V2, likewise", "", "56 MHz", "53,000 tokens/s"),
    ("tiny-NPU, 256 products a cycle", "", "", "674,000 cycles a token (width 64, 4 layers)"),
    ("llama2.c, stories260K", "one EPYC core, -Ofast", "", "6,000 to 12,000 tokens/s"),
    ("llama2.c, stories260K", "Raspberry Pi 4", "", "917 tokens/s"),
)


def recorded() -> list[dict[str, Any]]:
    """The reports of all boards that have one, in the boards' order."""
    paths = (REPORTS / f"{name}.json" for name in BOARDS)
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def table(reports: Iterable[dict[str, Any]]) -> str:
    """Markdown: the boards, then the peers."""
    head = ("board", "tile", "lanes", "contexts", "LUT", "FF", "DSP", "BRAM", "Fmax, MHz")
    head += ("cycles a token", "tokens/s at Fmax", "32 x 64 x 64, cycles")
    lines = [_row(head), _row(("---", "---", *("--:" for _ in head[2:])))]
    for r in reports:
        token, product, mhz = r["cycles_per_token"], r["cycles_of_32x64x64"], r["fmax_mhz"]
        shares = (_share(r.get(kind)) for kind in ("lut", "ff", "dsp", "bram"))
        rate = 1e6 * mhz / token if token else None
        figures = (f"{mhz:.1f}", *(_number(n) for n in (token, rate, product)))
        lines.append(
            _row((r["title"], f"`{r['config']}`", r["lanes"], _number(r["contexts"]), *shares, *figures))
        )
    lines += ["", _row(("others", "device", "size and clock", "speed")), _row(["---"] * 4), *map(_row, PEERS)]
    return "\n".join((*lines, ""))


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _share(use: dict[str, int] | None) -> str:
    return f"{use['used']:,} ({use['used'] / use['capacity']:.0%})" if use else "-"


def with_table(readme: str, text: str) -> str:
    """A README with ``text`` between its marks. Raises ValueError without marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(
            f"the README has no lines {BEGIN.strip()} and {END.strip()}: put them where the table belongs"
        )
    return before + BEGIN + "\n" + text + "\n" + END + after


def grown(board: str, old: dict[str, dict[str, int]], new: dict[str, dict[str, int]]) -> list[str]:
    """Parts of a board, and all of it, that take more than recorded by more than the tolerance, as messages."""
    none = asdict(Area())
    pairs = [(name, old.get(name, none), new.get(name, none)) for name in sorted({*old, *new})]
    whole = [{kind: sum(part[kind] for part in parts.values()) for kind in none} for parts in (old, new)]
    return [
        f"{board}: {name} has grown from {before[kind]} to {after[kind]} {kind.upper()}s"
        for name, before, after in [*pairs, ("all of it", *whole)]
        for kind in ("lut", "ff", "dsp", "bram")
        if after[kind] > before[kind] * (1 + TOLERANCE / 100) + (NOISE if kind in ("lut", "ff") else 0)
    ]


def slower(board: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Whether a build is slower than recorded by more than the tolerance, as messages; they name the slowest path's units."""
    if new["fmax_mhz"] >= old["fmax_mhz"] * (1 - TOLERANCE / 100):
        return []
    units = ", ".join(dict.fromkeys(step["unit"] for step in new["critical_path"]))
    return [
        f"{board}: Fmax has fallen from {old['fmax_mhz']} to {new['fmax_mhz']} MHz; the slowest path is in {units}"
    ]


def with_seeds_of(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """A report with the seeds of an earlier one as well, if that is of the same netlist, pins, clock and tools.

    A seed of a full device takes hours: they can be built one at a time, on several machines.
    """
    same = ("netlist", "clock_mhz", "tools")
    if not old or any(old.get(name) != new[name] for name in same):
        return new
    seeds = {placed["seed"]: placed for report in (old, new) for placed in report["seeds"]}
    placed = [seed for _, seed in sorted(seeds.items())]
    best = max((new, old), key=lambda report: max(seed["fmax_mhz"] for seed in report["seeds"]))
    return {
        **new,
        "critical_path": best["critical_path"],
        "meets_clock": best["meets_clock"],
        "fmax_mhz": round(statistics.median(seed["fmax_mhz"] for seed in placed), 2),
        "seeds": placed,
        "seeds_not_routed": sorted({*old["seeds_not_routed"], *new["seeds_not_routed"]} - seeds.keys()),
    }


def check(report: dict[str, Any]) -> list[str]:
    """What is worse than a recorded report, as messages. Raises ToolError."""
    name = report["board"]
    build = Build(BOARDS[name], tell=lambda text: print(f"{name}: {text}", file=sys.stderr, flush=True))
    parts = {part.removeprefix("core."): asdict(m.area) for part, m in build.map().items()}
    found = grown(name, report["parts"], parts)
    latest = build.folder / "report.json"
    if latest.exists() and (fresh := json.loads(latest.read_text()))["parts"] == parts:
        found += slower(name, report, fresh)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is 1 if --check found anything or a tool failed."""
    parser = argparse.ArgumentParser(
        prog="python -m fpga.report", description="The boards' table, and its check."
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with the recorded reports, write nothing"
    )
    options = parser.parse_args(arguments)
    if not options.check:
        README.write_text(with_table(README.read_text(), table(recorded())))
        return 0
    try:
        problems = [problem for report in recorded() for problem in check(report)]
    except ToolError as error:
        problems = [str(error)]
    print("\n".join(problems) or "boards: no growth, no slower clock")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
