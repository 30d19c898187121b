"""One slice alone, cycle by cycle: RTL in Amaranth's simulator against the golden slice in its fabric."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from amaranth.sim import Simulator

from golden.fabric import DISPATCH, Fabric
from lpu import timing
from lpu.arch import TileConfig, parse_floorplan
from lpu.isa import CONTROL_BITS, FieldKind, Instruction, encode, layout, unit_of
from lpu.runtime.machine import Violation, ViolationKind

TINY = TileConfig(
    "tiny-slices", 4, 2, 8, parse_floorplan("host mem:32 sxm mxm vxm"), activations=4, accumulators=4
)
EIGHT = TileConfig(
    "eight-slices", 8, 8, 4, parse_floorplan("host mem:16 sxm mxm vxm"), streams=4, accumulators=8, masks=4
)
CONFIGS = (TINY, EIGHT)

#: (direction 0 east 1 west, byte stream, cycle in which it arrives at the slice or enters the register behind it)
Place = tuple[int, int, int]


@dataclass
class Scene:
    """What happens around one slice.

    Attributes
    ----------
    issue : (cycle, unit, instruction) of every dispatch.
    inputs : bytes arriving, int [lanes], by place; elsewhere the stream is not valid.
    masks : by cycle, masks as seen by dispatches; mask 0 must be all lanes. Missing cycles: all masks are zero.
    cycles : length.
    """

    config: TileConfig
    name: str
    cycles: int
    issue: list[tuple[int, str, Instruction]] = field(default_factory=list)
    inputs: dict[Place, np.ndarray] = field(default_factory=dict)
    masks: dict[int, list[int]] = field(default_factory=dict)

    def word(self, code: int, cycle: int, values: Iterable[int]) -> None:
        """A word vector arriving at the slice's input."""
        words = np.array([int(v) & 0xFFFFFFFF for v in values], np.uint32)
        for b in range(4):
            self.inputs[code & 1, (code >> 1) + b, cycle] = (words >> np.uint32(8 * b)).astype(np.uint8)

    def byte(self, code: int, cycle: int, values: Iterable[int]) -> None:
        """A byte vector arriving at the slice's input."""
        self.inputs[code & 1, code >> 1, cycle] = np.array([int(v) & 0xFF for v in values], np.uint8)

    def masks_at(self, cycle: int) -> list[int]:
        return self.masks.get(cycle, [(1 << self.config.lanes) - 1] + [0] * (self.config.masks - 1))


@dataclass
class Outcome:
    """Bytes leaving the slice, by place, and the first violation."""

    outputs: dict[Place, np.ndarray]
    violation: Violation | None

    def word(self, code: int, cycle: int) -> list[int] | None:
        """A word vector at the slice's output; None if it is not valid."""
        parts = [self.outputs.get((code & 1, (code >> 1) + b, cycle)) for b in range(4)]
        if any(part is None for part in parts):
            return None
        return [
            int(v) for v in sum(part.astype(np.uint32) << np.uint32(8 * b) for b, part in enumerate(parts))
        ]

    def byte(self, code: int, cycle: int) -> list[int] | None:
        found = self.outputs.get((code & 1, code >> 1, cycle))
        return None if found is None else [int(v) for v in found]

    def cycles_of(self, code: int) -> list[int]:
        """Cycles in which a byte stream is valid at the output."""
        return sorted(t for d, s, t in self.outputs if (d, s) == (code & 1, code >> 1))


def run_golden(scene: Scene, kind, prepare: Callable[[object], None] | None = None) -> Outcome:
    """The golden slice class ``kind`` in a fabric of its own; ``prepare`` gets the slice and sets its memories."""
    config = scene.config
    fabric = Fabric(config)
    unit = kind(fabric, scene.name)
    if prepare is not None:
        prepare(unit)
    position = unit.position
    for (direction, stream, cycle), value in scene.inputs.items():
        neighbour = position + 1 if direction else position - 1
        fabric.inject_byte(neighbour, 2 * stream + direction, cycle - 1, value)

    def set_masks(masks: list[int]) -> None:
        bits = [[bool(m >> lane & 1) for lane in range(config.lanes)] for m in masks]
        fabric.masks = [None] + [np.array(b) for b in bits[1:]]

    for cycle in range(scene.cycles):
        fabric.at(cycle, DISPATCH, set_masks, scene.masks_at(cycle))
    for cycle, _, instruction in scene.issue:
        method = getattr(unit, {"PASS": "pass_"}.get(instruction.op, instruction.op.lower()))
        fabric.at(cycle, DISPATCH, method, cycle, dict(instruction.args))
    while fabric.advance():
        fabric.execute()
    outputs = {}
    for cycle in range(scene.cycles - 1):
        for direction in range(2):
            beyond = position - 1 if direction else position + 1
            for stream in range(config.streams):
                place = stream % 4
                code = 2 * stream + direction
                word = fabric._arriving(beyond, code, cycle + 1, 1 << place)
                if word is not None:
                    outputs[direction, stream, cycle] = (word >> np.uint32(8 * place)).astype(np.uint8)
    return Outcome(outputs, fabric.violation)


#: One access of the load bus: ("write", space, entry, word, data) or ("read", space, entry, word).
Access = tuple


@lru_cache
def _simulation(kind, config: TileConfig, name: str):
    """A slice, its simulator, and a cell for what the testbench is to do: building them takes longest."""
    dut = kind(config, name)
    task: list = []

    async def bench(ctx) -> None:
        await task[0](ctx)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    return dut, simulator, task


def run_rtl(scene: Scene, kind, *, before: Iterable[Access] = (), after: Iterable[Access] = ()):
    """The RTL slice of class ``kind``, from reset. Returns (Outcome, words read).

    ``before`` and ``after``: accesses of its load bus, one a cycle.
    """
    config = scene.config
    dut, simulator, task = _simulation(kind, config, scene.name)
    bus = dut.load if hasattr(dut, "read_data") else getattr(dut, "bus", None)
    noise = random.Random(0)
    position = config.position(scene.name)
    by_cycle: dict[int, list[tuple[str, Instruction]]] = {}
    for cycle, unit, instruction in scene.issue:
        by_cycle.setdefault(cycle, []).append((unit, instruction))
    outputs: dict[Place, np.ndarray] = {}
    first: list[Violation] = []
    read: list[int] = []
    units = [
        u
        for u in ("read", "write", "load", "weights", "passes", "drain", "move", "reduce")
        if hasattr(dut, u)
    ]
    units = [u for u in units if hasattr(getattr(dut, u), "payload")]

    async def access(ctx, accesses: Iterable[Access]) -> None:
        accesses = list(accesses)
        for n in range(len(accesses) + 8 + config.lanes if accesses else 0):
            answer = n - 3  # LOAD_READ_LATENCY
            if 0 <= answer < len(accesses) and accesses[answer][0] == "read":
                read.append(ctx.get(dut.read_data))
            elif hasattr(dut, "read_data"):
                assert ctx.get(dut.read_data) == 0, "read_data is not held at zero"
            what, space, entry, word, *value = accesses[n] if n < len(accesses) else ("", 0, 0, 0)
            ctx.set(bus.write, what == "write")
            ctx.set(bus.read, what == "read")
            ctx.set(bus.space, space)
            ctx.set(bus.entry, entry)
            ctx.set(bus.word, word)
            ctx.set(bus.data, value[0] if value else 0)
            await ctx.tick()

    async def bench(ctx) -> None:
        await access(ctx, before)
        for cycle in range(scene.cycles):
            for view, value in zip(dut.masks, scene.masks_at(cycle), strict=True):
                ctx.set(view, value)
            dispatched = dict(by_cycle.get(cycle, []))
            assert len(dispatched) == len(by_cycle.get(cycle, [])), "two dispatches of one queue in one cycle"
            for unit in units:
                port = getattr(dut, unit)
                ctx.set(port.valid, unit in dispatched)
                if unit in dispatched:
                    word = encode(config, f"{scene.name}.{unit}", dispatched[unit])
                    ctx.set(port.op, word & 15)
                    ctx.set(port.payload, word >> CONTROL_BITS)
                else:  # what no valid bit covers must not matter
                    ctx.set(port.op, noise.getrandbits(4))
                    ctx.set(port.payload, noise.getrandbits(len(port.payload)))
            for direction, bundle in enumerate((dut.east_in, dut.west_in)):
                valid, every = 0, []
                for stream in range(config.streams):
                    value = scene.inputs.get((direction, stream, cycle))
                    valid |= (value is not None) << stream
                    every.append(0 if value is None else _pack(value))
                ctx.set(bundle.valid, valid)
                ctx.set(bundle.data, every)
            if ctx.get(dut.violation.valid) and not first:
                first.append(Violation(cycle - 1, position, ViolationKind(ctx.get(dut.violation.kind))))
            for direction, bundle in enumerate((dut.east_out, dut.west_out)):
                valid = ctx.get(bundle.valid)
                for stream in range(config.streams):
                    if cycle and not valid >> stream & 1:
                        assert not ctx.get(bundle.data[stream]), f"stream {stream} carries what is not valid"
                    if cycle and valid >> stream & 1:
                        outputs[direction, stream, cycle - 1] = _unpack(
                            ctx.get(bundle.data[stream]), config.lanes
                        )
            await ctx.tick()
        for unit in units:
            ctx.set(getattr(dut, unit).valid, 0)
        ctx.set(dut.east_in.valid, 0)
        ctx.set(dut.west_in.valid, 0)
        await access(ctx, after)

    if task:
        simulator.reset()
    task[:] = [bench]
    simulator.run()
    return Outcome(outputs, first[0] if first else None), read


def _pack(value: np.ndarray) -> int:
    return int.from_bytes(value.astype(np.uint8).tobytes(), "little")


def _unpack(value: int, lanes: int) -> np.ndarray:
    return np.frombuffer(value.to_bytes(lanes, "little"), np.uint8)


# Random scenes -----------------------------------------------------------------------------------


def random_scene(
    rng: random.Random,
    config: TileConfig,
    name: str,
    *,
    cycles: int,
    units: Iterable[str],
    density: float = 0.7,
    small: int = 4,
    careless: float = 0.0,
) -> Scene:
    """Instructions in random cycles, streams as they need them and otherwise valid at random.

    ``small``: addresses mostly come from so many, so that instructions meet. ``careless``: share of the instructions
    whose streams are not cared for.
    """
    scene = Scene(config, name, cycles)
    needed: set[Place] = set()
    kept_free: set[Place] = set()
    lanes_mask = (1 << config.lanes) - 1
    for cycle in range(cycles):
        scene.masks[cycle] = [lanes_mask] + [
            rng.choice([rng.getrandbits(config.lanes), lanes_mask, 0]) for _ in range(config.masks - 1)
        ]
        for unit in units:
            if rng.random() >= density or cycle + config.lanes + 8 >= cycles:
                continue
            instruction = random_instruction(rng, config, f"{name}.{unit}", small)
            wanted = {
                (x.stream & 1, (x.stream >> 1) + b, cycle + x.at)
                for x in timing.operands(instruction, config)
                for b in range(x.bytes)
            }
            made = {
                (x.stream & 1, (x.stream >> 1) + b, cycle + x.at)
                for x in timing.results(instruction, config)
                for b in range(x.bytes)
            }
            if rng.random() < careless:
                # Operands there, results wherever they fall; or the other way round.
                if wanted and not wanted & kept_free and rng.random() < 0.5:
                    needed |= wanted
                elif not made & needed:
                    kept_free |= made
            else:
                if wanted & kept_free or made & (needed | kept_free) or wanted & made:
                    continue
                needed |= wanted
                kept_free |= made
            scene.issue.append((cycle, unit, instruction))
    for cycle in range(cycles):
        for direction in range(2):
            for stream in range(config.streams):
                place = (direction, stream, cycle)
                if place in needed or (place not in kept_free and rng.random() < 0.5):
                    scene.inputs[place] = random_bytes(rng, config.lanes)
    return scene


def random_bytes(rng: random.Random, lanes: int) -> np.ndarray:
    """Bytes with extremes more often than chance."""
    return np.array(
        [rng.choice([0, 0x7F, 0x80, 0xFF, *[rng.getrandbits(8)] * 6]) for _ in range(lanes)], np.uint8
    )


def random_instruction(rng: random.Random, config: TileConfig, queue: str, small: int) -> Instruction:
    """Any instruction of a queue with any fields."""
    op = rng.choice(unit_of(config, queue).ops)
    args = {}
    for f in op.fields:
        _, width = layout(config, queue).fields[op.name][f.name]
        if f.kind is FieldKind.WORD:
            args[f.name] = 8 * rng.randrange(config.words) + rng.randrange(2)
        elif f.kind is FieldKind.STREAM:
            args[f.name] = rng.randrange(2 * config.streams)
        elif f.enum is not None:
            args[f.name] = int(rng.choice(list(f.enum)))
        else:
            limit = 1 << width
            args[f.name] = rng.randrange(min(limit, small)) if rng.random() < 0.8 else rng.randrange(limit)
    return Instruction(op.name, args)


def legalise(
    scene: Scene, golden: Callable[[Scene], Outcome], victims: tuple[str, ...]
) -> tuple[Scene, Outcome]:
    """Drop instructions of the ``victims`` units until golden finds no violation."""
    while (outcome := golden(scene)).violation is not None:
        at = outcome.violation.cycle
        reads = [
            entry
            for entry in scene.issue
            if entry[1] in victims and at - timing.GATHER_LATE <= entry[0] <= at
        ]
        assert reads, f"{outcome.violation} is nobody's"
        scene = replace(scene, issue=[entry for entry in scene.issue if entry is not reads[-1]])
    return scene, outcome


def same(scene: Scene, golden: Outcome, rtl: Outcome) -> None:
    """Equal outputs (up to the first violation) and the same first violation."""
    end = scene.cycles if golden.violation is None else golden.violation.cycle
    for place in sorted(set(golden.outputs) | set(rtl.outputs), key=lambda p: (p[2], p)):
        direction, stream, cycle = place
        if cycle >= end:
            break
        expected, actual = golden.outputs.get(place), rtl.outputs.get(place)
        if expected is None or actual is None or (expected != actual).any():
            near = [
                f"  {t}: {u} {i.op} {dict(i.args)}" for t, u, i in scene.issue if cycle - 12 <= t <= cycle
            ]
            raise AssertionError(
                f"{scene.name} output {'EW'[direction]}{stream} cycle {cycle}: expected {expected}, is {actual}; "
                "dispatched before:\n" + "\n".join(near)
            )
    assert rtl.violation == golden.violation, (
        f"first violation: expected {golden.violation}, is {rtl.violation}"
    )
