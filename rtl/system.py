"""Several tiles and their cables as one Verilog module, for simulation: every tile has a clock and a reset of its own.

The tile is described once and instantiated; the wires of each cable pass two masks on their way, by which a simulation breaks
them: those of ``hold`` stay low, those of ``flip`` are turned over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lpu.arch import TileConfig
from lpu.topology import End, Topology
from rtl.verilog import tile_verilog

#: Ports of the tile that every chip has as ports of the system, with their widths: inputs, then outputs.
INPUTS = {"clk": 1, "rst": 1, "command__payload": 32, "command__valid": 1, "response__ready": 1}
OUTPUTS = {"command__ready": 1, "response__payload": 32, "response__valid": 1, "busy": 1, "violation": 1}


def directions(topology: Topology) -> list[tuple[End, End]]:
    """Both directions of every cable, (from, to); the order numbers the masks."""
    return [way for c in topology.cables for way in ((c.a, c.b), (c.b, c.a))]


@dataclass(frozen=True)
class Plug:
    """How a cable's wires reach the other end: wire n there is wire ``order[n]`` here, turned over where ``turned`` has a one."""

    order: tuple[int, ...]
    turned: int = 0


def system_verilog(
    config: TileConfig, topology: Topology, tile: str | None = None, plugs: Mapping[int, Plug] | None = None
) -> str:
    """Verilog of a system, module ``top``.

    ``tile``: the tile's, module ``lpu_tile``, if it is there already. ``plugs``: directions whose wires are not straight.
    """
    text = tile_verilog(config, name="lpu_tile") if tile is None else tile
    return text + "\n" + "\n".join(_top(config, topology, plugs or {})) + "\n"


def _top(config: TileConfig, topology: Topology, plugs: Mapping[int, Plug]) -> Iterator[str]:
    width = config.link_width
    ways = directions(topology)
    ports = []
    for chip in range(topology.chips):
        ports += [f"input [{w - 1}:0] c{chip}_{name}" for name, w in INPUTS.items()]
        ports += [f"output [{w - 1}:0] c{chip}_{name}" for name, w in OUTPUTS.items()]
    for n in range(len(ways)):
        ports += [f"input [{width - 1}:0] hold{n}", f"input [{width - 1}:0] flip{n}"]
        ports += [f"output [{width - 1}:0] seen{n}"]
    yield f"module top({', '.join(ports)});"
    into = {sink: n for n, (_, sink) in enumerate(ways)}
    for n, (source, _) in enumerate(ways):
        yield f"  wire [{width - 1}:0] sent{n}; wire clk{n};"
        yield f"  assign seen{n} = sent{n};"
        plug = plugs.get(n, Plug(tuple(range(width))))
        wires = ", ".join(f"sent{n}[{w}]" for w in reversed(plug.order))
        broken = f"(({{{wires}}} ^ {width}'d{plug.turned}) & ~hold{n}) ^ flip{n}"
        yield f"  wire [{width - 1}:0] came{n} = {broken};  // from {source}"
    outof = {source: n for n, (source, _) in enumerate(ways)}
    for chip in range(topology.chips):
        pins = [f".{name}(c{chip}_{name})" for name in (*INPUTS, *OUTPUTS)]
        for port in range(len(config.ports)):
            end = End(chip, port)
            if end in into:
                pins += [f".link{port}_in__clk(clk{into[end]})", f".link{port}_in__data(came{into[end]})"]
                pins += [f".link{port}_out__clk(clk{outof[end]})", f".link{port}_out__data(sent{outof[end]})"]
            else:
                pins += [f".link{port}_in__clk(1'b0)", f".link{port}_in__data({width}'b0)"]
        yield f"  lpu_tile chip{chip}({', '.join(pins)});"
    yield "endmodule"
