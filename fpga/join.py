"""Puts a design together again from parts that were mapped one by one: the netlist that nextpnr places.

The netlist stays hierarchical, so cells keep their slice's name. A part that did not change is not mapped again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import count

from fpga.families import Family
from fpga.netlist import Pins, split
from fpga.synth import Mapped, mapped


def join(
    text: str,
    top: str,
    family: Family,
    *,
    inner: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda part: None,
) -> tuple[dict, dict[str, Mapped]]:
    """A mapped netlist as yosys' JSON has it, and what it was made of: each part by its path below the top.

    ``text``: RTLIL of all modules. ``inner``: modules below the top that are cut too; then the top's other modules, pins and
    clock, stay in its netlist. Without any, the top is cut. ``progress`` is called with each part's path before it is mapped.
    """
    every: dict[str, dict] = {}
    parts: dict[str, Mapped] = {}
    for module in (top, *inner):
        for part in split(text, module, (inner or None) if module == top else None):
            name = module if part.pins is None else f"{module}.{part.name}"
            # A module that is cut itself comes as it is, whatever is tied to its ports.
            if name in inner and part.pins is not None:
                continue
            progress(name)
            found = parts[name.removeprefix(top).removeprefix(".") or "(top)"] = mapped(part, family)
            with gzip.open(found.path, "rt") as file:
                netlist = json.load(file)
            if part.pins is None:
                every[module] = netlist
                continue
            every[f"{name}.mapped"] = netlist
            every[part.source] = _socket(f"{name}.mapped", part.pins, netlist)
    every[top]["attributes"] = {"top": "1".zfill(32)}
    return {"creator": "fpga.join", "modules": every}, parts


def _socket(kind: str, pins: Pins, netlist: dict) -> dict:
    """A module with a submodule's ports around the part that was made of it."""
    numbers = count(2)
    ports = {
        name: {"direction": way, "bits": [next(numbers) for _ in bits]} for name, (way, bits) in pins.items()
    }
    unit: dict[str, list] = {}
    for port, way in (("i", "input"), ("o", "output")):
        unit[port] = [next(numbers) for _ in netlist["ports"][port]["bits"]]
        for name, (direction, bits) in pins.items():
            for n, bit in enumerate(bits):
                if direction == way and bit is not None:
                    unit[port][bit] = ports[name]["bits"][n]
    cell = {
        "type": kind,
        "parameters": {},
        "port_directions": {"i": "input", "o": "output"},
        "connections": unit,
    }
    return {"ports": ports, "cells": {"unit": cell}, "netnames": {}}
