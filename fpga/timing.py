"""What nextpnr's report says of timing, by unit of the design."""

from __future__ import annotations

import re
from typing import Any

#: Lines of nextpnr's router1, a thousand wires each, after which it is not to be expected to end.
PATIENCE = 100
_ROUTED = re.compile(r"^Info:\s+\d+ \|\s+\d+\s+\d+ \|\s+\d+\s+\d+ \|\s+(\d+)\|", re.M)


def routing_stuck(log: str) -> bool:
    """Whether router1 only takes wires from each other: as many wait as a hundred thousand before."""
    waiting = _ROUTED.findall(log[-PATIENCE * 200 :])[-PATIENCE:]
    return len(waiting) == PATIENCE and len(set(waiting)) == 1


#: The tile's clock by the name of its net, whatever buffers the family puts in.
_CLOCK = re.compile(r"(\$glbnet\$)?(clk|clock)(\$.*)?$")


def fmax(report: dict[str, Any]) -> float:
    """Fastest clock of the tile in MHz, after routing. Raises ValueError if the report has no such clock."""
    found = [entry["achieved"] for name, entry in report["fmax"].items() if _CLOCK.match(name)]
    if not found:
        raise ValueError(f"nextpnr reports no clock of the tile, only {', '.join(report['fmax']) or 'none'}")
    return round(min(found), 2)


def unit(cell: str) -> str:
    """Slice, queue or other part that a cell belongs to: ``core.tile.mxm0.unit.array.row3...`` is of ``tile.mxm0``."""
    names = cell.split(".")
    if names[0] == "core" and len(names) > 2:
        return f"tile.{names[2]}" if names[1] == "tile" and len(names) > 3 else names[1]
    return "board"


def critical_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The slowest path from register to register of the tile's clock: units in order, ns in logic and in wires of each.

    A wire counts to the unit that it leads to.
    """
    paths = [p for p in report["critical_paths"] if _clocked(p["from"]) and _clocked(p["to"])]
    if not paths:
        return []
    path = max(paths, key=lambda p: sum(step["delay"] for step in p["path"]))
    steps: list[dict[str, Any]] = []
    for step in path["path"]:
        name = unit(step["to"]["cell"])
        if not steps or steps[-1]["unit"] != name:
            steps.append({"unit": name, "logic_ns": 0.0, "wires_ns": 0.0})
        steps[-1]["wires_ns" if step["type"] == "routing" else "logic_ns"] += step["delay"]
    return [
        {"unit": s["unit"], "logic_ns": round(s["logic_ns"], 2), "wires_ns": round(s["wires_ns"], 2)}
        for s in steps
    ]


def _clocked(event: str) -> bool:
    return bool(_CLOCK.match(event.split()[-1]))
