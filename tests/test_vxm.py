"""The VXM slice: RTL against golden, every path's cycles counted, violations in their cycle."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, product

import numpy as np
import pytest

from lpu import timing
from lpu.arch import PRESETS, FloatFormat, TileConfig
from lpu.isa import (
    Accumulate,
    Destination,
    Instruction,
    Operand,
    Quantise,
    Source,
    Special,
    east,
    layout,
    west,
)
from lpu.runtime.machine import Violation, ViolationKind
from rtl.vxm import Vxm
from tb import slices, values
from tb.native import NativeUnit
from tb.picker import Picker
from tb.reserve import Dispatch

TINY = PRESETS["tiny"]
CONFIGS = {
    c.name: c
    for c in (
        TINY,
        replace(TINY, name="one-beat", vxm_lanes=4, float_format=FloatFormat(8, 23), vxm_accumulators=2),
        replace(TINY, name="four-beats", vxm_lanes=1, float_format=FloatFormat(5, 10), streams=4, masks=4),
    )
}
NAME, QUEUE = "vxm0", "vxm0.chain"
#: Room for the longest chain, and between two that shall not meet.
SPACE = 40


@lru_cache
def built(config: TileConfig) -> NativeUnit:
    return NativeUnit(Vxm(config, NAME), f"{config.name}-{NAME}")


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def config(request) -> TileConfig:
    return request.param


def chain(**args: int) -> Instruction:
    """A CHAIN; fields left out are zero."""
    names = [f.name for f in layout(TINY, QUEUE).ops["CHAIN"].fields]
    return Instruction("CHAIN", {**dict.fromkeys(names, 0), **{n: int(v) for n, v in args.items()}})


def feed(
    made: slices.Stimulus, config: TileConfig, rng: random.Random, stream: int, cycle: int, size: int
) -> None:
    """A vector on a byte stream or word stream at the slice's input in a cycle."""
    word = stream & ~6
    planes = 15 if size == 4 else 1 << (stream >> 1 & 3)
    before, vector = made.feeds.get((cycle, word), (0, values.vector(rng, config)))
    made.feeds[cycle, word] = before | planes, vector


def dispatch(made: slices.Stimulus, cycle: int, instruction: Instruction) -> None:
    made.dispatches.append(Dispatch(QUEUE, cycle, instruction))


def paths(config: TileConfig) -> list[Instruction]:
    """A chain for each way through the stages with each kind of A, results alternately east and west."""
    w = 4 * (config.words - 1)
    found = []
    for n, (a, c, f, d, q, tap) in enumerate(
        product(Source, (0, 1), (Special.NONE, Special.EXP2), (0, 1), (Quantise.NONE, Quantise.INT8), (0, 1))
    ):
        is_byte = q == Quantise.INT8 and not tap
        found.append(
            chain(
                a=a,
                a_at={Source.INT8: east(2), Source.REG: 1, Source.ACC: 1}.get(a, east(0)),
                b=Operand.STREAM if n % 3 else Operand.NONE,
                b_at=west(0),
                c=c,
                c_at=east(w),
                f=f,
                d=d,
                d_at=west(w),
                q=q,
                tap=tap,
                to=Destination.STREAM,
                to_at=(west if n % 2 else east)(w + 3 if is_byte else w),
            )
        )
    return found


@pytest.mark.parametrize("seed", range(3))
def test_random_chains(config, seed):
    """Dense random chains: operands of every kind, registers, accumulators, masks."""
    made = slices.stimulus(config, NAME, seed, 2000)
    built(config).power_on()
    slices.compare(config, NAME, made, built(config), f"seed {seed}")
    assert len(made.dispatches) > 250


def test_result_cycles(config):
    """d_func of every path, counted: the result is on its stream in that cycle and in no other."""
    rng = random.Random(1)
    chains = paths(config)
    made = slices.Stimulus(SPACE * (len(chains) + 1), [(1 << config.lanes) - 1] * config.masks)
    expected = set()
    for n, instruction in enumerate(chains):
        start = SPACE * n + 8
        dispatch(made, start, instruction)
        for x in timing.operands(instruction, config):
            feed(made, config, rng, x.stream, start + x.at, x.bytes)
        (result,) = timing.results(instruction, config)
        number, direction = result.stream >> 1, result.stream & 1
        expected |= {(start + result.at, direction, number + b) for b in range(result.bytes)}
    # Operands pass on, one cycle later.
    expected |= {
        (cycle, code & 1, (code >> 1) + b)
        for (cycle, code), (planes, _) in made.feeds.items()
        for b in range(4)
        if planes >> b & 1
    }
    unit = built(config)
    unit.reset()
    outputs = slices.rtl(config, NAME, made, unit)
    seen = {
        (cycle - 1, direction, s)
        for direction, side in enumerate(("east", "west"))
        for cycle, bits in enumerate(outputs[f"{side}_out__valid"].tolist())
        for s in range(config.streams)
        if bits >> s & 1
    }
    assert seen == expected
    assert slices.rtl_violation(config, NAME, outputs) is None
    unit.power_on()
    slices.compare(config, NAME, made, unit, "every path")


def test_sample_cycles(config):
    """d_skew of every operand of every path: a vector a cycle early and one a cycle late do not do."""
    rng = random.Random(2)
    unit = built(config)
    for instruction in paths(config):
        operands = timing.operands(instruction, config)
        for wrong in operands:
            made = slices.Stimulus(SPACE, [0] * config.masks)
            start = 4
            dispatch(made, start, instruction)
            for x in operands:
                for late in (-1, 1) if x is wrong else (0,):
                    feed(made, config, rng, x.stream, start + x.at + late, x.bytes)
            # Another operand's vector may be where the wrong one's should be.
            if (start + wrong.at, wrong.stream & ~6) in made.feeds:
                continue
            unit.reset()
            found = slices.rtl_violation(config, NAME, slices.rtl(config, NAME, made, unit))
            missing = Violation(start + wrong.at, config.position(NAME), ViolationKind.NO_OPERAND)
            assert found == missing, f"{instruction}: {wrong}"


def test_state_is_seen_in_its_cycle(config):
    """A register written by one chain and read by the next, and an accumulator, at every distance."""
    rng = random.Random(3)
    unit = built(config)
    writers = {
        "register": chain(a=Source.FLOAT, a_at=east(0), c=Operand.SELF, to=Destination.REG, to_at=1),
        "accumulator": chain(
            a=Source.FLOAT, a_at=east(0), q=Quantise.INT32, shift=4, accumulate=Accumulate.ADD, acc=1
        ),
    }
    out = {"to": Destination.STREAM, "to_at": west(0)}
    readers = {
        "register": [
            chain(a=Source.REG, a_at=1, **out),
            chain(a=Source.INT8, a_at=east(1), b=Operand.REG, b_at=1, **out),
            chain(a=Source.REG, a_at=0, c=Operand.REG, c_at=1, **out),
            chain(a=Source.REG, a_at=0, f=Special.SIGMOID, d=Operand.REG, d_at=1, **out),
        ],
        "accumulator": [chain(a=Source.ACC, a_at=1, **out)],
    }
    tried = 0
    for state, writer in writers.items():
        for reader in readers[state]:
            for gap in range(config.beats, 31):
                made = slices.Stimulus(2 * SPACE + 8, [(1 << config.lanes) - 1] * config.masks)
                for cycle, instruction in ((4, writer), (4 + gap, reader)):
                    dispatch(made, cycle, instruction)
                    for x in timing.operands(instruction, config):
                        feed(made, config, rng, x.stream, cycle + x.at, x.bytes)
                # Those that would collide on their way are another test's.
                if slices.golden(config, NAME, made)[2] is None:
                    unit.power_on()
                    slices.compare(config, NAME, made, unit, f"{state} read {gap} cycles later")
                    tried += 1
    assert tried > 80


def illegal(config: TileConfig, rng: random.Random) -> slices.Stimulus:
    """Chains that mostly have their operands, with no care for anything else."""
    picker = Picker(rng, config)
    made = slices.Stimulus(
        96, [(1 << config.lanes) - 1, *(rng.getrandbits(config.lanes) for _ in range(config.masks - 1))]
    )
    # Chains that meet, chains that lack an operand, results that meet what passes.
    step, lacking, passing = rng.choice([(1, 0.01, 0), (8, 0.1, 0), (SPACE, 0.1, 0.1), (SPACE, 0, 0.4)])
    cycle = 4
    while cycle < 48:
        instruction = Instruction("CHAIN", picker.chain(NAME))
        dispatch(made, cycle, instruction)
        for x in timing.operands(instruction, config):
            if rng.random() >= lacking:
                feed(made, config, rng, x.stream, cycle + x.at, x.bytes)
        cycle += rng.randint(step, step + 4)
    for cycle in range(96):
        for code in range(2 * config.words):
            if rng.random() < passing:
                feed(made, config, rng, 8 * (code >> 1) | code & 1, cycle, 4)
    return made


def test_first_violation(config):
    """Of illegal chains, RTL and golden name the same first violation: each kind, and none."""
    unit = built(config)
    kinds: Counter[ViolationKind | None] = Counter()
    for seed in range(300):
        made = illegal(config, random.Random(f"{config.name} {seed}"))
        expected = slices.golden(config, NAME, made)[2]
        unit.reset()
        found = slices.rtl_violation(config, NAME, slices.rtl(config, NAME, made, unit))
        assert found == expected, f"seed {seed}\n" + slices.recent(config, made, (expected or found).cycle)
        kinds[expected and expected.kind] += 1
    least = min(kinds[k] for k in (ViolationKind.CONFLICT, ViolationKind.NO_OPERAND, ViolationKind.PORT))
    assert least >= 10, kinds


def test_colliding_chains_both_sample(config):
    """Chains that will meet at a multiplier sample an operand each in the cycle before: none may be overlooked."""
    out = {"to": Destination.STREAM, "to_at": west(0)}
    tried = 0
    for operand, stage, heads in (
        ("b", "multiply", ({"a": Source.FLOAT, "a_at": east(0)}, {"a": Source.INT32, "a_at": east(0)})),
        (
            "d",
            "multiply2",
            ({"a": Source.REG}, {"a": Source.REG, "c": Operand.SELF}, {"a": Source.REG, "f": Special.RECIP}),
        ),
    ):
        for heads_of_two, lacking in product(combinations(heads, 2), (None, 0, 1)):
            two = [
                chain(**head, **out, **{operand: Operand.STREAM, f"{operand}_at": code})
                for head, code in zip(heads_of_two, (west(0), east(4 * (config.words - 1))), strict=True)
            ]
            offsets = [getattr(timing.chain(i.args, config), stage) for i in two]
            if abs(offsets[0] - offsets[1]) < config.beats:
                continue
            made = slices.Stimulus(2 * SPACE, [0] * config.masks)
            meet = 30
            for n, (instruction, offset) in enumerate(zip(two, offsets, strict=True)):
                dispatch(made, meet - offset, instruction)
                for x in timing.operands(instruction, config):
                    if n != lacking or x.at != offset - 1:
                        feed(made, config, random.Random(n), x.stream, meet - offset + x.at, 4)
            made.dispatches.sort(key=lambda d: d.cycle)
            kind, cycle = ViolationKind.PORT, meet
            if lacking is not None:
                kind, cycle = ViolationKind.NO_OPERAND, meet - 1
            unit = built(config)
            unit.reset()
            found = slices.rtl_violation(config, NAME, slices.rtl(config, NAME, made, unit))
            assert (
                found == slices.golden(config, NAME, made)[2] == Violation(cycle, config.position(NAME), kind)
            )
            tried += 1
    assert tried >= 6


def test_other_instructions_do_nothing(config):
    """What the queue dispatches besides CHAIN leaves the slice alone."""
    unit = built(config)
    unit.reset()
    ops = list(range(layout(config, QUEUE).ops["CHAIN"].code)) * 4
    outputs = unit.stream({"chain__valid": 1, "chain__op": ops, "chain__payload": _ones(unit, len(ops))})
    assert not any(outputs[port].any() for port in ("east_out__valid", "west_out__valid", "violation"))


def _ones(unit: NativeUnit, n: int) -> np.ndarray:
    """A payload of ones, as NativeUnit wants wide ports."""
    words = unit.inputs["chain__payload"].words
    return np.full((n, words), 0xFFFFFFFF, np.uint32) if words > 2 else np.full(n, -1)
