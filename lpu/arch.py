"""What a tile is: lanes, slices, memories, number format. Standard library only.

A :class:`TileConfig` is the single source of every size in the golden model, the RTL and the compiler. It is frozen and
checks itself; derived widths are properties, so no view computes one of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lpu.float_format import FloatFormat
from lpu.floorplan import ConfigError, SliceKind, SliceSpec, format_floorplan, parse_floorplan

__all__ = [
    "LINK_WIDTHS",
    "PRESETS",
    "ConfigError",
    "FloatFormat",
    "SliceKind",
    "SliceSpec",
    "TileConfig",
    "clog2",
    "format_floorplan",
    "load_config",
    "parse_floorplan",
]


def clog2(n: int) -> int:
    """Bits that number ``n`` things, at least 1 (a zero-width field exports badly)."""
    return max(1, (n - 1).bit_length())


@dataclass(frozen=True)
class TileConfig:
    """Every parameter of a tile.

    Parameters
    ----------
    lanes : vector length L; rows and columns of the array. A power of two, 2 to 64.
    vxm_lanes : vector lanes of the VXM; divides ``lanes``; a vector then takes ``lanes / vxm_lanes`` beats.
    streams : byte streams in each direction, a multiple of four.
    contexts : weight sets resident in each array.
    accumulators : named int32 accumulators (one vector each) of each array.
    activations : entries of each array's activation buffer.
    vxm_registers, vxm_accumulators : vector registers (float) and accumulators (int32) of each VXM.
    permute_maps : lane maps of each SXM.
    reduce_accumulators : running scalars of each SXM's reducer.
    index_registers : X registers, X0 reading as zero. masks : lane masks, mask 0 being all lanes.
    queue_depth : instruction words of each queue. loop_depth : nesting of LOOP; 0: there is no LOOP.
    token_fifo, vector_fifo : entries of the host port's FIFOs, each way. No vector_fifo: no VPOP and no VPUSH, and the host's
        streams carry what LDX takes and nothing else.
    link_width : wires of a link in each direction, clock not counted: 8, 9, 12, 18 or 24.
    """

    name: str
    lanes: int
    vxm_lanes: int
    contexts: int
    floorplan: tuple[SliceSpec, ...]
    float_format: FloatFormat = field(default_factory=lambda: FloatFormat(8, 17))
    streams: int = 8
    accumulators: int = 16
    activations: int = 32
    vxm_registers: int = 16
    vxm_accumulators: int = 8
    permute_maps: int = 4
    reduce_accumulators: int = 16
    index_registers: int = 8
    masks: int = 8
    queue_depth: int = 512
    loop_depth: int = 3
    token_fifo: int = 16
    vector_fifo: int = 8
    link_width: int = 8

    def __post_init__(self) -> None:
        _power("lanes", self.lanes, 2, 64)
        _power("vxm_lanes", self.vxm_lanes, 1, self.lanes)
        _power("contexts", self.contexts, 2, 1 << 14)
        _power("accumulators", self.accumulators, 2, 64)
        _power("activations", self.activations, 2, 256)
        _power("vxm_registers", self.vxm_registers, 2, 32)
        _power("vxm_accumulators", self.vxm_accumulators, 2, 32)
        _power("permute_maps", self.permute_maps, 2, 16)
        _power("reduce_accumulators", self.reduce_accumulators, 2, 64)
        _power("index_registers", self.index_registers, 2, 8)
        _power("masks", self.masks, 2, 16)
        _power("queue_depth", self.queue_depth, 16, 1 << 14)
        _power("token_fifo", self.token_fifo, 1, 1 << 10)
        if self.vector_fifo:
            _power("vector_fifo", self.vector_fifo, 1, 1 << 10)
        if self.streams % 4 or not 4 <= self.streams <= 32:
            raise ConfigError(
                f"streams={self.streams}: use a multiple of 4 from 4 to 32 (four byte streams carry one word)"
            )
        if self.link_width not in LINK_WIDTHS:
            raise ConfigError(
                f"link_width={self.link_width}: use one of {', '.join(map(str, LINK_WIDTHS))}, which divide a flit of 72 bits"
            )
        if not 0 <= self.loop_depth <= 4:
            raise ConfigError(f"loop_depth={self.loop_depth}: use 0 to 4")
        if not 2 <= len(self.floorplan) <= 32:
            raise ConfigError(f"floorplan of {len(self.floorplan)} slices: use 2 to 32")
        for spec, name in zip(self.floorplan, self.slice_names, strict=True):
            if spec.kind is SliceKind.MEM:
                _power(f"depth of {name}", spec.depth, 16, 1 << 16)
            elif spec.depth:
                raise ConfigError(f"{name} has a depth of {spec.depth}: only mem slices have one, drop it")
            words = {f"{d}{w}" for d in "ew" for w in range(self.streams // 4)}
            for attribute in ("inject", "tap"):
                for stream in getattr(spec, attribute) or ():
                    if stream not in words:
                        raise ConfigError(
                            f"{attribute} of {name} names {stream!r}: use some of {', '.join(sorted(words))}"
                        )
        if sum(s.kind is SliceKind.HOST for s in self.floorplan) != 1:
            raise ConfigError(
                "the floorplan needs exactly one host slice (index registers and FIFOs live in it): add or remove"
            )

    # Derived sizes -------------------------------------------------------------------------------

    @property
    def beats(self) -> int:
        """Cycles for which a vector occupies a VXM unit: lanes / vxm_lanes."""
        return self.lanes // self.vxm_lanes

    @property
    def weight_group(self) -> int:
        """Columns of the array whose weights lie in one word of SRAM: four bytes, or all there are."""
        return min(4, self.lanes)

    @property
    def words(self) -> int:
        """Aligned word streams in each direction: streams / 4."""
        return self.streams // 4

    @cached_property
    def slice_names(self) -> tuple[str, ...]:
        """``mem0``, ``mxm0``, ``mem1`` ...: kind and ordinal among its kind, west to east."""
        seen: dict[SliceKind, int] = {}
        names = []
        for spec in self.floorplan:
            n = seen.get(spec.kind, 0)
            seen[spec.kind] = n + 1
            names.append(f"{spec.kind}{n}")
        return tuple(names)

    def position(self, name: str) -> int:
        """Place of a slice in the row, 0 the westernmost. Raises ConfigError if there is none of that name."""
        try:
            return self.slice_names.index(name)
        except ValueError:
            raise ConfigError(
                f"no slice {name!r} in {self.name}: it has {', '.join(self.slice_names)}"
            ) from None

    def spec(self, name: str) -> SliceSpec:
        """The floorplan entry of a slice."""
        return self.floorplan[self.position(name)]

    def hops(self, source: str, sink: str) -> int:
        """Cycles a stream takes from one slice to another: the distance in the row."""
        return abs(self.position(source) - self.position(sink))

    def reachable(self, name: str, attribute: str) -> tuple[tuple[str, int], ...]:
        """(direction ``"e"``/``"w"``, word stream) pairs of a slice's ``inject`` or ``tap``; all where unrestricted."""
        if attribute == "inject" and self.spec(name).kind is SliceKind.HOST and not self.vector_fifo:
            return ()
        allowed = getattr(self.spec(name), attribute)
        every = [(d, w) for d in "ew" for w in range(self.words)]
        return tuple((d, w) for d, w in every if allowed is None or f"{d}{w}" in allowed)

    def routes(self, source: str, sink: str) -> tuple[tuple[str, int], ...]:
        """(direction, word stream) pairs on which ``source`` may inject what ``sink`` may tap, lowest stream first."""
        direction = "e" if self.position(source) < self.position(sink) else "w"
        tapped = set(self.reachable(sink, "tap"))
        return tuple(r for r in self.reachable(source, "inject") if r[0] == direction and r in tapped)

    def arriving(self, name: str, *uses: str, vectors: bool = False) -> frozenset[tuple[str, int]]:
        """(direction, word stream) pairs that matter where they reach a slice: one before it may inject there, and it or one
        after it has them among its ``uses``, ``"tap"`` or ``"inject"``. With ``vectors``, a host without a vector FIFO does not
        count: it takes 16 bits of lane 0."""
        at, names = self.position(name), self.slice_names
        scalar = {n for n in names if vectors and not self.vector_fifo and n.startswith(SliceKind.HOST.value)}
        found = set()
        for direction, before, after in (
            ("e", names[:at], names[at:]),
            ("w", names[at + 1 :], names[: at + 1]),
        ):
            sources = {s for n in before for s in self.reachable(n, "inject")}
            users = {s for n in after if n not in scalar for use in uses for s in self.reachable(n, use)}
            found |= {s for s in sources & users if s[0] == direction}
        return frozenset(found)

    # Links ---------------------------------------------------------------------------------------

    @cached_property
    def ports(self) -> tuple[str, ...]:
        """Names of the link slices; a port's number is its place here."""
        return tuple(n for n in self.slice_names if n.startswith(SliceKind.C2C.value))

    def linked(self, ports: int = 2) -> TileConfig:
        """This tile with link slices at the ends of its row: port 0 in the west, the others in the east.

        Links send what the first MEM slice reads and receive what it writes, each on one stream each way, which that slice
        is given where it lacks them; it also comes to see what SXMs inject, as tokens to be sent are made there. Raises
        ConfigError for a tile that has links, or no MEM slice.
        """
        if self.ports:
            raise ConfigError(f"{self.name} has links already: {', '.join(self.ports)}")
        if not 1 <= ports <= 4:
            raise ConfigError(f"{self.name} with {ports} links: use 1 to 4")
        memory = next((n for n, s in zip(self.slice_names, self.floorplan, strict=True) if s.depth), None)
        if memory is None:
            raise ConfigError(f"{self.name} has no mem slice that a link could send from: add one")
        reads, writes = ([f"{d}{w}" for d, w in self.reachable(memory, a)] for a in ("inject", "tap"))
        ends = []
        for out, back in ("we", "ew"):
            ways = []
            for streams, direction in ((reads, out), (writes, back)):
                found = next((s for s in streams if s[0] == direction), f"{direction}0")
                if found not in streams:
                    streams.append(found)
                ways.append(found)
            ends.append(SliceSpec(SliceKind.C2C, 0, (ways[1],), (ways[0],)))
        for name in self.slice_names[self.position(memory) :]:
            if name.startswith(SliceKind.SXM.value) and not self.routes(name, memory):
                writes.append(next(f"{d}{w}" for d, w in self.reachable(name, "inject") if d == "w"))
        spec = self.spec(memory)
        if spec.tap is not None:
            spec = dataclasses.replace(spec, tap=tuple(sorted(set(writes))))
        if spec.inject is not None:
            spec = dataclasses.replace(spec, inject=tuple(sorted(reads)))
        row = [
            spec if name == memory else s for name, s in zip(self.slice_names, self.floorplan, strict=True)
        ]
        plan = (ends[0], *row, *[ends[1]] * (ports - 1))
        return dataclasses.replace(self, name=f"{self.name}-linked", floorplan=plan)

    # As data -------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TileConfig:
        """Inverse of :meth:`to_dict`. The floorplan may also be text (``"host mem:512 mxm"``)."""
        data = dict(data)
        known = {f.name for f in dataclasses.fields(cls)}
        if extra := sorted(set(data) - known):
            raise ConfigError(
                f"configuration has unknown keys {', '.join(extra)}: known are {', '.join(sorted(known))}"
            )
        try:
            plan = data["floorplan"]
            if isinstance(plan, str):
                data["floorplan"] = parse_floorplan(plan)
            else:
                data["floorplan"] = tuple(
                    SliceSpec(
                        SliceKind(s["kind"]),
                        s.get("depth", 0),
                        None if s.get("inject") is None else tuple(s["inject"]),
                        None if s.get("tap") is None else tuple(s["tap"]),
                    )
                    for s in plan
                )
            if not isinstance(data.get("float_format", FloatFormat(8, 17)), FloatFormat):
                data["float_format"] = FloatFormat(**data["float_format"])
            return cls(**data)
        except ConfigError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"configuration cannot be read: {error}") from None

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with any parameter but the name; a program carries them."""
        data = self.to_dict()
        del data["name"]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


#: Link widths that there are; each divides a flit of 72 bits.
LINK_WIDTHS = (8, 9, 12, 18, 24)


def _power(what: str, value: int, low: int, high: int) -> None:
    if not (low <= value <= high and value & (value - 1) == 0):
        raise ConfigError(f"{what}={value}: use a power of two from {low} to {high}")


PRESETS: dict[str, TileConfig] = {
    c.name: c
    for c in (
        TileConfig(
            "tiny",
            4,
            2,
            32,
            parse_floorplan("host mem:64 sxm mxm vxm mem:64"),
            activations=16,
            queue_depth=256,
        ),
        TileConfig(
            "ecp5-25f",
            8,
            4,
            1024,
            parse_floorplan(
                "host<w0,w1>e0 mem:1024<e0,w0,w1>e0,e1,w0 sxm<e0,w0,w1>e0,e1,w0 mxm<e0,e1,w0>e1,w1 vxm<e0,e1>w0,w1"
            ),
            queue_depth=64,
            vector_fifo=4,
        ),
        # Each stream that a slice need not see or drive saves its share of a multiplexer (docs/area.md): no program of the
        # compiler is slower for those left out. mem0 reads onto e0, mem1 onto w0, the array drains on e1 and w1.
        TileConfig(
            "ecp5-85f",
            16,
            8,
            1024,
            parse_floorplan(
                "host<w0>e0 mem:512<w1>e0 sxm<e0,w1>e1,w0 mxm<e0,w0,w1>e1,w1 vxm<e0,e1,w0>e0,w1 mem:512<e0>w0"
            ),
            queue_depth=512,
            vector_fifo=4,
        ),
        TileConfig(
            "sim16",
            16,
            16,
            2048,
            parse_floorplan("host mem:4096 sxm mxm vxm mem:4096"),
            queue_depth=4096,
            activations=128,
            accumulators=64,
            vxm_registers=32,
            reduce_accumulators=64,
            masks=16,
        ),
        TileConfig(
            "sim64",
            64,
            64,
            256,
            parse_floorplan("host mem:4096 sxm mxm vxm mem:4096"),
            queue_depth=4096,
            activations=64,
        ),
    )
}


def load_config(name_or_path: str) -> TileConfig:
    """A preset by name, or a JSON file of :meth:`TileConfig.to_dict`. Raises ConfigError with the known names.

    ``NAME-linked`` is a preset with a link at either end.
    """
    from lpu.small import SMALL

    if found := (PRESETS | SMALL).get(name_or_path):
        return found
    if name_or_path.removesuffix("-linked") in PRESETS:
        return PRESETS[name_or_path.removesuffix("-linked")].linked()
    path = Path(name_or_path)
    if path.suffix == ".json":
        try:
            return TileConfig.from_dict(json.loads(path.read_text()))
        except OSError as error:
            raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from None
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path} is not JSON: {error}") from None
    raise ConfigError(f"no configuration {name_or_path!r}: use {', '.join(PRESETS | SMALL)} or a .json file")
