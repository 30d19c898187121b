"""Netlists as yosys reads them: RTLIL of a component, cut into parts that are synthesised one by one."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from amaranth.back import rtlil

from fpga.yosys import CACHE, run_yosys, yosys_version


def netlist(component, *, name: str, platform=None) -> str:
    """RTLIL of an Amaranth component, without source lines (they would change every hash)."""
    return with_undefined_collisions(rtlil.convert(component, name=name, platform=platform, emit_src=False))


def with_undefined_collisions(text: str) -> str:
    """RTLIL in which no memory marked no_rw_check has logic for reads that meet writes."""
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


#: Port of a module -> its direction, and for each bit a bit of the port ``i`` or ``o`` of the part that is made of it.
Pins = dict[str, tuple[str, list[int | None]]]


@dataclass(frozen=True)
class Part:
    """A piece of a hierarchical netlist that is synthesised on its own.

    ``text`` is the RTLIL of module ``top`` and of what lies below it, but for the modules in ``black``, of which
    only the ports are seen. ``source`` is the module that was cut out, ``pins`` what became of its ports: for each bit the bit
    of the part's ``i`` or ``o`` that it is now, or None if it is a constant or open.
    """

    name: str
    top: str
    text: str
    black: tuple[str, ...] = ()
    source: str = ""
    pins: Pins | None = None

    def stem(self, purpose: str) -> str:
        """File name that changes with anything the result depends on."""
        key = "\0".join((self.text, self.top, purpose, yosys_version()))
        return f"{re.sub(r'[^A-Za-z0-9_]', '_', self.name).strip('_')}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"

    def write(self, stem: str) -> None:
        """Puts the netlist where yosys finds it."""
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / f"{stem}.il").write_text(self.text)


def split(text: str, top: str, only: tuple[str, ...] | None = None) -> Iterator[Part]:
    """Cuts a netlist below its top: one part for each submodule (in ``only``, if given), then one for the top's own logic.

    What the top says of a submodule's ports goes with the part: inputs that are constant, and outputs that nobody
    reads, so that the stream registers at the ends of a row are not counted where a flat design would drop them.
    """
    every = modules(text)
    cells = re.findall(r"^  cell \\(\S+) \\?(\S+)$", every[top], re.M)
    children = sorted({kind for kind, _ in cells if kind in every and (only is None or kind in only)})
    rest = (body for name, body in every.items() if name != top and not name.startswith(tuple(children)))
    own = "" if only is None else "".join(rest)
    shells = "".join(_shell(every[child]) for child in children)
    whole = Part("(top)", top, every[top] + own + shells, tuple(children))
    connections = _connections(whole)
    for child in children:
        below = [body for name, body in every.items() if name == child or name.startswith(child + ".")]
        wrapper, pins = _wrapper(child, connections[child])
        name = child.removeprefix(top + ".").partition("$")[0]
        yield Part(name, "part", wrapper + "".join(below), pins=pins, source=child)
    yield whole


def _shell(body: str) -> str:
    """A module's ports alone."""
    keep = ["attribute \\blackbox 1\n"]
    for line in body.splitlines(keepends=True):
        port = re.match(r"  wire .*\b(input|output|inout) \d+ ", line)
        if line.startswith("module ") or line.rstrip() == "end" or port:
            keep.append(line)
    return "".join(keep)


#: A port of a submodule: its direction, and for each bit a net of the top (a number) or a constant ("0", "1", "x").
Port = tuple[str, list[int | str]]


def _connections(whole: Part) -> dict[str, dict[str, Port]]:
    """Submodule -> port -> what the top connects it to. An output bit that nobody reads is "x"."""
    stem = whole.stem("connections")
    path = CACHE / f"{stem}.json"
    if not path.exists():
        whole.write(stem)
        lines = (
            f"read_rtlil {stem}.il",
            f"hierarchy -top {whole.top}",
            "proc",
            "opt",
            "clean",
            f"write_json {stem}.json",
        )
        run_yosys("\n".join((*lines, "")), name=stem)
    module = json.loads(path.read_text())["modules"][whole.top]
    readers: Counter[int | str] = Counter()
    for port in module["ports"].values():
        readers.update(bit for bit in port["bits"] if port["direction"] != "input")
    for cell in module["cells"].values():
        for name, bits in cell["connections"].items():
            if cell.get("port_directions", {}).get(name) != "output":
                readers.update(bits)
    return {
        cell["type"]: {
            name: (
                direction := cell["port_directions"][name],
                [b if readers[b] or direction == "input" else "x" for b in bits],
            )
            for name, bits in cell["connections"].items()
        }
        for cell in module["cells"].values()
        if cell["type"] in whole.black
    }


def _wrapper(child: str, ports: dict[str, Port]) -> tuple[str, Pins]:
    """A module ``part`` around a submodule, with one port bit for each net that is live, and which bits these are."""
    inputs = sorted(
        {bit for way, bits in ports.values() for bit in bits if way == "input" and isinstance(bit, int)}
    )
    outputs = sorted(
        {bit for way, bits in ports.values() for bit in bits if way == "output" and isinstance(bit, int)}
    )
    index = {bit: n for nets in (inputs, outputs) for n, bit in enumerate(nets)}
    place = {bit: f"\\i [{n}]" for n, bit in enumerate(inputs)} | {
        bit: f"\\o [{n}]" for n, bit in enumerate(outputs)
    }
    lines = [
        "attribute \\top 1",
        "module \\part",
        f"  wire width {max(1, len(inputs))} input 0 \\i",
        f"  wire width {max(1, len(outputs))} output 1 \\o",
    ]
    connects = []
    for number, (name, (way, bits)) in enumerate(ports.items()):
        # An output bit that nobody reads goes to a wire of its own.
        lines.append(f"  wire width {len(bits)} \\open{number}")
        rest = (
            (lambda n, bit: f"1'{bit}") if way == "input" else (lambda n, bit, w=number: f"\\open{w} [{n}]")
        )
        value = " ".join(place[b] if b in place else rest(n, b) for n, b in reversed(list(enumerate(bits))))
        connects.append(f"    connect \\{name} {{ {value} }}")
    pins = {name: (way, [index.get(bit) for bit in bits]) for name, (way, bits) in ports.items()}
    return "\n".join((*lines, f"  cell \\{child} \\unit", *connects, "  end", "end", "")), pins
