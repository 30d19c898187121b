"""Random instructions for the program generator: which fields make sense, and which slice can feed which."""

from __future__ import annotations

import random
from dataclasses import dataclass

from lpu.arch import SliceKind, TileConfig
from lpu.isa import (
    Accumulate,
    AddMode,
    Destination,
    Operand,
    Quantise,
    Reduction,
    Source,
    Special,
    chain_result_is_byte,
    layout,
    queue_names,
)
from tb.reserve import Clash

WORD_SOURCES = {
    SliceKind.HOST: (("port", "VPOP"),),
    SliceKind.MEM: (("read", "READ"), ("read", "READ"), ("read", "READ"), ("read", "GATHER")),
    SliceKind.MXM: (("drain", "DRAIN"),),
    SliceKind.VXM: (("chain", "CHAIN"),),
    SliceKind.SXM: (
        ("move", "ROTATE"),
        ("move", "SHIFTD"),
        ("move", "SHIFTU"),
        ("move", "BROADCAST"),
        ("reduce", "REDUCE"),
        ("reduce", "REDUCE"),
    ),
}
BYTE_SOURCES = {
    SliceKind.MEM: (("read", "READB"),),
    SliceKind.VXM: (("chain", "CHAIN"),),
    SliceKind.SXM: (("move", "PERMUTE"), ("move", "TREAD")),
}


#: Fields of a CHAIN that does nothing.
PLAIN_CHAIN = {
    **{f"{n}{at}": 0 for n in "abcd" for at in ("", "_at")},
    **dict.fromkeys(("add", "f", "q", "shift", "tap", "to", "to_at", "accumulate", "acc", "mask"), 0),
}


@dataclass(frozen=True)
class Layers:
    """How the generator divides a memory: constants that are never written, the final spill, the rest."""

    depth: int
    constants: int
    spill: int

    @classmethod
    def of(cls, config: TileConfig, name: str) -> Layers:
        depth = config.spec(name).depth
        return cls(depth, min(4, depth // 8), min(24, depth * 3 // 8))

    @property
    def free(self) -> int:
        """First word that random writes may change."""
        return self.constants + self.spill


class Picker:
    """Random choices about one configuration.

    Members
    -------
    position : slice name -> place in the row. queues : all queue names.
    reductions : the kind of every running accumulator, unless they are ``mixed``.
    """

    def __init__(self, rng: random.Random, config: TileConfig):
        self.rng, self.config = rng, config
        self.queues = queue_names(config)
        self.position = {n: config.position(n) for n in config.slice_names}
        self._inject = {n: set(config.reachable(n, "inject")) for n in config.slice_names}
        self._tap = {n: config.reachable(n, "tap") for n in config.slice_names}
        # Runs of one kind keep something to compare; runs that change it are legal, too.
        kinds = [int(kind) for kind in rng.sample(list(Reduction), rng.choice([1, 2, 3]))]
        size = config.reduce_accumulators
        self.reductions = [kinds[n * len(kinds) // size] for n in range(size)]
        self.mixed = rng.random() < 0.25
        self._sources: dict[tuple[int, int, int], list[tuple[str, str]]] = {}

    def sources(self, position: int, code: int, width: int) -> list[tuple[str, str]]:
        """(queue, op) that can put ``width`` bytes on stream ``code`` upstream of a position."""
        key = (position, code if width == 1 else code & ~6, width)
        if key not in self._sources:
            table = WORD_SOURCES if width == 4 else BYTE_SOURCES
            names = self.config.slice_names
            upstream = names[:position] if code & 1 == 0 else names[position + 1 :]
            wanted = ("ew"[code & 1], (code >> 1) // 4)
            self._sources[key] = [
                (f"{n}.{unit}", op)
                for n in upstream
                if wanted in self._inject[n]
                for unit, op in table.get(self.config.spec(n).kind, ())
                if op in layout(self.config, f"{n}.{unit}").ops
            ]
        return self._sources[key]

    def stream(self, slice_name: str, width: int, feeds: bool) -> int:
        """A stream code to sample (``feeds``: one that something upstream can drive) or to drive; may raise
        Clash."""
        position = self.position[slice_name]
        choices = [
            2 * (4 * w + b) + "ew".index(d)
            for d, w in (self._tap[slice_name] if feeds else sorted(self._inject[slice_name]))
            for b in ((0,) if width == 4 else range(4))
        ]
        if feeds:
            choices = [c for c in choices if self.sources(position, c, 4) or self.sources(position, c, width)]
        if not choices:
            raise Clash
        return self.rng.choice(choices)

    def args(self, queue: str, op: str) -> dict[str, int]:
        """Random fields; slot fields are set later."""
        rng, config = self.rng, self.config
        slice_name = queue.split(".")[0]
        if op == "CHAIN":
            return self.chain(slice_name)
        lay = layout(config, queue)
        args = {}
        for f in lay.ops[op].fields:
            width = lay.fields[op][f.name][1]
            if f.kind in ("word", "stream"):
                args[f.name] = self.stream(slice_name, 4 if f.kind == "word" else 1, f.name in ("src", "at"))
            elif f.enum is not None:
                args[f.name] = int(rng.choice(list(f.enum)))
            elif f.name == "mask":
                args[f.name] = 0 if rng.random() < 0.6 else rng.getrandbits(width)
            else:
                args[f.name] = 0 if f.slot is not None else rng.getrandbits(width)
        if op == "REDUCE":
            args["clear"] = int(rng.random() < 0.35)
        if "x" in args or op == "TAIL":
            written = "mask" if op == "TAIL" else "x"
            args[written] = max(1, args[written])
        if op == "INDEX":
            args["bits"] = rng.randint(1, 16)
        return args

    def chain(self, name: str, width: int = 0, at: int = 0) -> dict[str, int]:
        """A CHAIN; ``width`` 4 or 1: one that drives stream ``at`` with that many bytes."""
        rng, config = self.rng, self.config
        registers, accumulators = config.vxm_registers, config.vxm_accumulators
        a = {"a": int(rng.choice(list(Source))), "b_at": 0, "c_at": 0, "d_at": 0, "to_at": 0}
        match a["a"]:
            case Source.REG:
                a["a_at"] = rng.randrange(registers)
            case Source.ACC:
                a["a_at"] = rng.randrange(accumulators)
            case Source.INT8:
                a["a_at"] = self.stream(name, 1, True)
            case _:
                a["a_at"] = self.stream(name, 4, True)
        for n, choices in (("b", [0, 0, 1, 1, 2, 2]), ("c", [0, 0, 1, 2, 3]), ("d", [0, 0, 0, 1, 2, 3])):
            a[n] = rng.choice(choices)
            if a[n] == Operand.STREAM:
                a[f"{n}_at"] = self.stream(name, 4, True)
            elif a[n] == Operand.REG:
                a[f"{n}_at"] = rng.randrange(registers)
        a["add"] = int(rng.choice(list(AddMode)))
        a["f"] = int(rng.choice([*[Special.NONE] * 5, *Special]))
        a["q"] = int(rng.choice([Quantise.NONE, *Quantise]))
        a["shift"] = rng.choice([0, 0, rng.randint(-8, 8), rng.randint(-32, 31)])
        a["tap"] = int(rng.random() < 0.2)
        a["to"] = int(rng.choice(list(Destination)))
        a["accumulate"] = int(rng.choice(list(Accumulate)))
        a["acc"] = 0
        a["mask"] = 0 if rng.random() < 0.55 else rng.randrange(config.masks)
        if width:
            a["to"] = int(Destination.STREAM)
            if width == 1:
                a["q"], a["tap"] = int(Quantise.INT8), 0
            elif a["q"] == Quantise.INT8 and not a["tap"]:
                a["q"] = int(Quantise.INT32)
        if not a["q"]:
            a["accumulate"] = 0
        if a["to"] == Destination.REG:
            a["to_at"] = rng.randrange(registers)
            if a["q"]:
                a["tap"] = 1
        if a["to"] == Destination.NONE:
            a["tap"] = 0
            if not a["accumulate"]:
                a["q"], a["accumulate"] = a["q"] or int(Quantise.INT32), rng.choice([1, 2])
        if a["to"] == Destination.STREAM:
            a["to_at"] = at if width else self.stream(name, 1 if chain_result_is_byte(a) else 4, False)
        return a
