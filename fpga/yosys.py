"""Runs yosys scripts in the folder where netlists and statistics are kept."""

from __future__ import annotations

from pathlib import Path

from fpga.tools import Run, run_tool, version

#: Where netlists and statistics are kept.
CACHE = Path(__file__).resolve().parent.parent / "build" / "synth"


def yosys_version() -> str:
    """Part of every cache key."""
    return version("yosys")


def run_yosys(script: str, *, name: str, folder: Path = CACHE) -> Run:
    """Runs a script in ``folder`` (its paths are relative to that). Raises ToolError with the log's end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ys").write_text(script)
    return run_tool("yosys", ["-q", "-s", f"{name}.ys"], folder, f"{name}.log")
