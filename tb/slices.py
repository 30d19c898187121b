"""Random streams of instructions for one slice: RTL as native code against the golden slice, every output compared.

Instructions come as densely as the slice allows (the reservation model of tb.reserve says what fits), on random
streams from both sides. The streams that leave the slice are compared in every cycle, which is how state shows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
from amaranth.lib import wiring

from golden.fabric import DISPATCH, READ, Fabric
from golden.mem import Mem
from golden.mxm import Mxm
from golden.sxm import Sxm
from golden.vxm import Vxm
from lpu.arch import SliceKind, TileConfig
from lpu.asm import format_instruction
from lpu.isa import CONTROL_BITS, UNITS, Instruction, encode, layout, unit_of
from lpu.runtime.machine import Violation, ViolationKind
from lpu.timing import SAMPLE
from tb import values
from tb.native import NativeUnit
from tb.picker import Picker
from tb.reserve import Board, Clash, Dispatch, Registers

_GOLDEN = {SliceKind.MEM: Mem, SliceKind.MXM: Mxm, SliceKind.SXM: Sxm, SliceKind.VXM: Vxm}
_METHODS = {"PASS": "pass_"}
#: How often an instruction is tried in a cycle before the queue is left idle.
TRIES = 6


class SliceMismatch(AssertionError):
    """An output that is not golden's: slice, cycle, stream, expected, actual, what was dispatched, seed."""


@dataclass
class Stimulus:
    """What a slice sees.

    Parameters
    ----------
    cycles : how many. masks : lane masks, mask 0 being all lanes.
    feeds : (cycle, word stream code) -> bytes valid (bit set), and the word vector that arrives.
    dispatches : in order of time.
    """

    cycles: int
    masks: list[int]
    feeds: dict[tuple[int, int], tuple[int, list[int]]] = field(default_factory=dict)
    dispatches: list[Dispatch] = field(default_factory=list)


def stimulus(config: TileConfig, name: str, seed: int, cycles: int, density: float = 0.9) -> Stimulus:
    """Random streams and legal instructions; ``density``: odds that a queue tries to dispatch in a cycle."""
    rng = random.Random(f"slice {config.fingerprint} {name} {seed}")
    full = (1 << config.lanes) - 1
    masks = [full, *(rng.getrandbits(config.lanes) for _ in range(config.masks - 1))]
    made = Stimulus(cycles, masks)
    board = Board(config, Registers({}, dict(enumerate(masks))), {})
    position = config.position(name)
    _feed(made, board, rng, config, position)
    picker = Picker(rng, config)
    begun: set[int] = set()
    spec = config.spec(name)
    queues = [f"{name}.{unit}" for unit in _units(spec.kind)]
    for cycle in range(8, cycles - 64):
        for queue in queues:
            if rng.random() >= density:
                continue
            for _ in range(TRIES):
                try:
                    d = _dispatch(made, picker, config, queue, cycle, begun)
                    board.place([d])
                except Clash:
                    continue
                made.dispatches.append(d)
                if d.instruction.op == "REDUCE":
                    begun.add(d.instruction.args["acc"])
                break
    return made


def _arriving(fabric: Fabric, position: int, code: int, cycle: int) -> np.ndarray | None:
    """The byte vector at a slice's input, None if it is not valid; unlike a sample, looking is no violation."""
    place = code >> 1 & 3
    word = fabric._arriving(position, code, cycle, 1 << place)
    return None if word is None else (word >> np.uint32(8 * place)).astype(np.uint8)


def _units(kind: SliceKind) -> list[str]:
    return [unit.name for unit in UNITS if unit.slice is kind]


def _feed(made: Stimulus, board: Board, rng: random.Random, config: TileConfig, position: int) -> None:
    for cycle in range(1, made.cycles):
        for word in range(config.words):
            for direction in (0, 1):
                code = 8 * word + direction
                planes = rng.choices([15, 0, rng.randint(0, 15)], [6, 3, 1])[0]
                if planes == 0:
                    continue
                made.feeds[cycle, code] = planes, values.vector(rng, config)
                for b in range(4):
                    if planes >> b & 1:
                        key = (code + 2 * b, board.diagonal(code, position, cycle))
                        board.claims.results[key] = position + (1 if direction else -1)


def _dispatch(
    made: Stimulus, picker: Picker, config: TileConfig, queue: str, cycle: int, begun: set[int]
) -> Dispatch:
    """A random instruction of a queue, not yet known to fit."""
    rng = picker.rng
    op = rng.choice(unit_of(config, queue).ops)
    args = picker.args(queue, op.name)
    for f in op.fields:
        if f.slot is not None:
            args[f.name] = rng.getrandbits(layout(config, queue).fields[op.name][f.name][1])
    if op.name == "REDUCE":
        args["how"] = picker.reductions[args["acc"]]
        if args["acc"] not in begun:
            args["clear"] = 1
    lanes = None
    if op.name in ("GATHER", "SCATTER"):
        source = args["src" if op.name == "GATHER" else "at"]
        planes, words = made.feeds.get((cycle + SAMPLE, source), (0, []))
        if planes != 15:
            raise Clash
        depth = config.spec(queue.split(".")[0]).depth
        lanes = tuple((args["addr"] + word) % depth for word in words)
    return Dispatch(queue, cycle, Instruction(op.name, args), lanes)


def golden(config: TileConfig, name: str, made: Stimulus) -> tuple[np.ndarray, np.ndarray, Violation | None]:
    """What leaves the golden slice: bytes uint8 [cycles, 2, streams, lanes], valid bits [cycles, 2, streams], and the
    first violation. Direction 0 is east.
    """
    fabric = Fabric(config)
    position = config.position(name)
    unit = _GOLDEN[config.spec(name).kind](fabric, name)
    unit.restart()
    for n, mask in enumerate(made.masks[1:], 1):
        fabric.masks[n] = np.array([mask >> i & 1 for i in range(config.lanes)], np.bool_)
    data = np.zeros((made.cycles, 2, config.streams, config.lanes), np.uint8)
    valid = np.zeros((made.cycles, 2, config.streams), np.bool_)
    by_cycle: dict[int, list[Dispatch]] = {}
    for d in made.dispatches:
        by_cycle.setdefault(d.cycle, []).append(d)

    def step(cycle: int) -> None:
        for word in range(config.words):
            for direction in (0, 1):
                code = 8 * word + direction
                # What arrives in the next cycle stands at the neighbour's output in this one.
                if (cycle + 1, code) in made.feeds:
                    planes, words = made.feeds[cycle + 1, code]
                    vector = np.array(words, np.uint32)
                    source = position + (1 if direction else -1)
                    for b in range(4):
                        if planes >> b & 1:
                            fabric.inject_byte(source, code + 2 * b, cycle, vector >> np.uint32(8 * b))
        for d in by_cycle.get(cycle, ()):
            op = d.instruction.op
            getattr(unit, _METHODS.get(op, op.lower()))(cycle, d.instruction.args)

    def look(cycle: int) -> None:
        for direction in (0, 1):
            sink = position + (-1 if direction else 1)
            for stream in range(config.streams):
                found = _arriving(fabric, sink, 2 * stream + direction, cycle)
                if found is not None:
                    data[cycle, direction, stream], valid[cycle, direction, stream] = found, True

    for cycle in range(made.cycles):
        fabric.at(cycle, DISPATCH, step, cycle)
        fabric.at(cycle, READ, look, cycle)
    while fabric.advance():
        fabric.execute()
    return data, valid, fabric.violation


def rtl(config: TileConfig, name: str, made: Stimulus, unit: NativeUnit) -> dict[str, np.ndarray]:
    """Every output of the RTL slice in every cycle."""
    return unit.stream(_inputs(config, name, made, unit))


def rtl_violation(config: TileConfig, name: str, outputs: dict[str, np.ndarray]) -> Violation | None:
    """The first violation that the RTL slice reports, with the cycle of the event itself."""
    events = np.flatnonzero(outputs["violation"])
    if not len(events):
        return None
    cycle = int(events[0])
    return Violation(cycle - 1, config.position(name), ViolationKind(int(outputs["violation"][cycle]) >> 1))


def check(
    config: TileConfig, name: str, component: wiring.Component, seed: int, cycles: int, density: float = 0.9
) -> Stimulus:
    """Run a stimulus through RTL and golden; the stimulus. Raises SliceMismatch at the first difference."""
    made = stimulus(config, name, seed, cycles, density)
    with NativeUnit(component, f"{config.name}-{name}") as unit:
        compare(config, name, made, unit, f"seed {seed}")
    return made


def compare(config: TileConfig, name: str, made: Stimulus, unit: NativeUnit, case: str) -> None:
    """Run a legal stimulus through RTL and golden. Raises SliceMismatch at the first difference."""
    data, valid, violation = golden(config, name, made)
    assert violation is None, f"{case}: the stimulus is not legal: {violation}"
    outputs = rtl(config, name, made, unit)
    shape = (made.cycles, config.streams, config.lanes)
    for direction, side in enumerate(("east", "west")):
        got_valid = _bits(outputs[f"{side}_out__valid"], config.streams)
        got_data = _bytes(outputs[f"{side}_out__data"], made.cycles).reshape(shape)
        want_valid, want_data = valid[:, direction], data[:, direction]
        # What golden has no value for is zero in both.
        wrong = (got_valid != want_valid) | (got_data != want_data).any(2)
        if wrong.any():
            cycle, stream = np.argwhere(wrong)[0]
            expected = want_data[cycle, stream].tobytes().hex() if want_valid[cycle, stream] else "not valid"
            actual = got_data[cycle, stream].tobytes().hex() if got_valid[cycle, stream] else "not valid"
            raise SliceMismatch(
                f"{name} of {config.name}, {case}, {side}_out stream {stream} in cycle {cycle}: "
                f"expected {expected}, actual {actual}\n{recent(config, made, int(cycle))}"
            )
    if reported := rtl_violation(config, name, outputs):
        raise SliceMismatch(
            f"{name} of {config.name}, {case}: {reported} where none is expected\n"
            + recent(config, made, reported.cycle)
        )


def recent(config: TileConfig, made: Stimulus, cycle: int, span: int = 40) -> str:
    """The dispatches before a cycle, in text."""
    lines = [
        f"  {d.cycle}: {d.queue} {format_instruction(config, d.queue, d.instruction)}"
        for d in made.dispatches
        if cycle - span <= d.cycle <= cycle
    ]
    return "\n".join(["dispatched before:", *lines[-24:]])


def _inputs(config: TileConfig, name: str, made: Stimulus, unit: NativeUnit) -> dict[str, np.ndarray | int]:
    n = made.cycles
    inputs: dict[str, np.ndarray | int] = {}
    arriving = np.zeros((n, 2, config.streams, config.lanes), np.uint8)
    present = np.zeros((n, 2, config.streams), np.bool_)
    for (cycle, code), (planes, words) in made.feeds.items():
        as_bytes = np.array(words, "<u4").view(np.uint8).reshape(-1, 4)
        first, direction = (code >> 1), code & 1
        for b in range(4):
            # Bytes that are not valid are zero (rtl.streams.stream_bundle).
            if planes >> b & 1:
                arriving[cycle, direction, first + b] = as_bytes[:, b]
                present[cycle, direction, first + b] = 1
    for direction, side in enumerate(("east", "west")):
        inputs[f"{side}_in__data"] = _port(arriving[:, direction].reshape(n, -1))
        inputs[f"{side}_in__valid"] = present[:, direction] @ (1 << np.arange(config.streams))
    for queue_unit in _units(config.spec(name).kind):
        queue = f"{name}.{queue_unit}"
        width = layout(config, queue).width - CONTROL_BITS
        valid, op = np.zeros(n, np.int64), np.zeros(n, np.int64)
        payload = np.zeros((n, -(-width // 64) * 8), np.uint8)
        for d in made.dispatches:
            if d.queue == queue:
                word = encode(config, queue, d.instruction)
                valid[d.cycle], op[d.cycle] = 1, layout(config, queue).ops[d.instruction.op].code
                raw = (word >> CONTROL_BITS).to_bytes(payload.shape[1], "little")
                payload[d.cycle] = np.frombuffer(raw, np.uint8)
        inputs[f"{queue_unit}__valid"], inputs[f"{queue_unit}__op"] = valid, op
        words = payload.view(np.uint32)
        inputs[f"{queue_unit}__payload"] = (
            payload.view(np.uint64)[:, 0] if width <= 64 else words[:, : -(-width // 32)]
        )
    if "masks" in unit.inputs:
        inputs["masks"] = sum(mask << config.lanes * k for k, mask in enumerate(made.masks))
    return inputs


def _port(rows: np.ndarray) -> np.ndarray:
    """Bytes [n, count] as a port's values."""
    count = rows.shape[1]
    if count > 8:
        return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, -count % 4)))).view(np.uint32)
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, 8 - count)))).view(np.uint64)[:, 0]


def _bytes(values: np.ndarray, n: int) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8).reshape(n, -1)


def _bits(values: np.ndarray, width: int) -> np.ndarray:
    return (values[:, None] >> np.arange(width, dtype=values.dtype) & 1).astype(np.bool_)
