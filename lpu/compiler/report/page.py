"""The report as a file: the template with style, scripts and data inside, nothing outside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from lpu.compiler.report.data import Start, collect, starts
from lpu.program import Program

#: Placeholder in the template -> file beside it.
_PARTS = {
    "/*STYLE*/": "page.css",
    "/*TIMELINE*/": "timeline.js",
    "/*PAGE*/": "page.js",
    "/*SELFTEST*/": "selftest.js",
}


def render(data: Mapping[str, Any], title: str) -> str:
    """The page's text. ``data``: what :func:`lpu.compiler.report.collect` returns."""
    folder = resources.files("lpu.compiler.report")
    text = (folder / "page.html").read_text(encoding="utf-8")
    for mark, name in _PARTS.items():
        text = text.replace(mark, (folder / name).read_text(encoding="utf-8"))
    # Within a script element only "<" could end it.
    payload = json.dumps({"title": title, **data}, separators=(",", ":")).replace("<", "\\u003c")
    return text.replace("<!--TITLE-->", html.escape(title)).replace("/*DATA*/", payload)


def write_report(
    program: Program,
    path: str | Path,
    entry: str = "decode",
    *,
    positions: Sequence[int] = (),
    registers: Mapping[int, int] | None = None,
    runs: Sequence[Start] | None = None,
    title: str | None = None,
) -> None:
    """Write one self-contained HTML page about a program.

    Parameters
    ----------
    entry : label to start from.
    positions : a run for each, to choose from on the page; the program has to name the position's register.
    registers : contents of index registers at the start of every run; zero where left out.
    runs : the runs to show, in place of ``positions`` and ``registers``.
    title : heading of the page.

    Raises ProgramError for an unknown entry, and for registers and positions that cannot be.
    """
    chosen = starts(program, positions, registers) if runs is None else runs
    data = collect(program, entry, chosen)
    Path(path).write_text(render(data, title or f"{program.config.name}: {entry}"), encoding="utf-8")
