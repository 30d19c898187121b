"""SXM: RTL against golden, cycle by cycle."""

from __future__ import annotations

import random

import numpy as np
import pytest

from golden.sxm import Sxm as GoldenSxm
from lpu import timing
from lpu.isa import Instruction, Reduction, east, west
from lpu.runtime.machine import Violation, ViolationKind
from rtl.sxm import Sxm
from tests.slicebench import CONFIGS, EIGHT, TINY, Scene, random_scene, run_golden, run_rtl, same

NAME = "sxm0"
SRC, OUT = east(0), west(0)
MOVES = {"ROTATE", "SHIFTD", "SHIFTU", "BROADCAST", "PERMUTE", "LDMAP", "TLOAD", "TREAD"}


def simulate(scene):
    return run_rtl(scene, Sxm)[0]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(4))
def test_random_legal(config, seed):
    rng = random.Random(f"sxm {config.name} {seed}")
    scene = random_scene(rng, config, NAME, cycles=250, units=("move", "reduce"), density=0.95, small=3)
    assert {i.op for _, _, i in scene.issue} == {*MOVES, "REDUCE"}
    assert {i.args["how"] for _, _, i in scene.issue if i.op == "REDUCE"} == {int(how) for how in Reduction}
    expected = run_golden(scene, GoldenSxm)
    assert expected.violation is None
    same(scene, expected, simulate(scene))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_random_illegal(config):
    kinds = set()
    for seed in range(12):
        rng = random.Random(f"sxm illegal {config.name} {seed}")
        scene = random_scene(
            rng, config, NAME, cycles=50, units=("move", "reduce"), density=0.5, careless=0.2 * (seed % 2)
        )
        expected = run_golden(scene, GoldenSxm)
        same(scene, expected, simulate(scene))
        kinds.add(expected.violation and expected.violation.kind)
    assert kinds >= {ViolationKind.CONFLICT, ViolationKind.NO_OPERAND, None}


@pytest.mark.parametrize("op", ["ROTATE", "SHIFTD", "SHIFTU", "BROADCAST"])
def test_every_amount(op):
    """Every amount of every move, back to back, against lane arithmetic."""
    lanes = EIGHT.lanes
    scene = Scene(EIGHT, NAME, lanes + 8)
    values = {}
    for n in range(lanes):
        values[n] = [random.getrandbits(32) for _ in range(lanes)]
        scene.word(SRC, n + timing.SAMPLE, values[n])
        scene.issue.append((n, "move", Instruction(op, {"n": n, "src": SRC, "dst": OUT})))
    outcome = simulate(scene)
    for n in range(lanes):
        source = {
            "ROTATE": lambda i, n=n: (i + n) % lanes,
            "SHIFTD": lambda i, n=n: i + n if i + n < lanes else None,
            "SHIFTU": lambda i, n=n: i - n if i >= n else None,
            "BROADCAST": lambda i, n=n: n,
        }[op]
        expected = [0 if source(i) is None else values[n][source(i)] for i in range(lanes)]
        assert outcome.word(OUT, n + timing.MOVE_RESULT) == expected, n
    assert outcome.cycles_of(OUT) == list(range(timing.MOVE_RESULT, timing.MOVE_RESULT + lanes))


@pytest.mark.parametrize("op", [*sorted(MOVES - {"TREAD"}), "REDUCE"])
@pytest.mark.parametrize("skew", [0, 1, 2])
def test_sample_cycle(op, skew):
    args = {"src": SRC}
    if op == "REDUCE":
        args |= {"acc": 0, "how": 0, "clear": 1, "emit": 1, "dst": OUT, "mask": 0}
    else:
        args |= {"map": 1} if op in ("PERMUTE", "LDMAP") else {"n": 1}
        args |= {} if op in ("LDMAP", "TLOAD") else {"dst": OUT}
    scene = Scene(TINY, NAME, 16, issue=[(3, "reduce" if op == "REDUCE" else "move", Instruction(op, args))])
    scene.word(SRC, 3 + skew, [1, 2, 3, 4])
    missing = Violation(3 + timing.SAMPLE, TINY.position(NAME), ViolationKind.NO_OPERAND)
    assert simulate(scene).violation == (None if skew == timing.SAMPLE else missing)


@pytest.mark.parametrize("later", [1, 2, 3])
def test_map_visible(later):
    """PERMUTE sees a map from MAP_VISIBLE on; bit 7 gives zero, the bits between are ignored."""
    scene = Scene(TINY, NAME, 16)
    scene.byte(SRC, 3, [3, 0x80, 0x41, 3])
    scene.byte(SRC, 2 + later + 1, [10, 20, 30, 40])
    scene.issue += [
        (2, "move", Instruction("LDMAP", {"map": 2, "src": SRC})),
        (2 + later, "move", Instruction("PERMUTE", {"map": 2, "src": SRC, "dst": OUT})),
    ]
    expected = [40, 0, 20, 40] if later >= timing.MAP_VISIBLE else [10] * 4
    assert simulate(scene).byte(OUT, 2 + later + timing.MOVE_RESULT) == expected


@pytest.mark.parametrize("later", [1, 2, 3])
def test_transpose_visible(later):
    """TREAD sees a row from TRANSPOSE_VISIBLE on, the very next cycle; a TREAD before it sees the row as it was."""
    rows = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]
    scene = Scene(TINY, NAME, 24)
    for n, row in enumerate(rows):
        scene.byte(SRC, 2 + n, row)
        scene.issue.append((1 + n, "move", Instruction("TLOAD", {"n": n, "src": SRC})))
    scene.byte(SRC, 11, [0xA0, 0xA1, 0xA2, 0xA3])
    scene.issue += [
        (9, "move", Instruction("TREAD", {"n": 2, "dst": OUT})),
        (10, "move", Instruction("TLOAD", {"n": 1, "src": SRC})),
        (10 + later, "move", Instruction("TREAD", {"n": 2, "dst": OUT})),
    ]
    outcome = simulate(scene)
    assert timing.TRANSPOSE_VISIBLE == 1
    assert outcome.byte(OUT, 9 + timing.MOVE_RESULT) == [3, 7, 11, 15]
    assert outcome.byte(OUT, 10 + later + timing.MOVE_RESULT) == [3, 0xA2, 11, 15]


def reduce_scene(config, steps):
    """REDUCE of (how, clear, mask, words) every cycle on accumulator 1, all emitted."""
    scene = Scene(config, NAME, len(steps) + 16)
    every = (1 << config.lanes) - 1
    for t, (how, clear, mask, words) in enumerate(steps):
        scene.masks[t] = [every, mask] + [0] * (config.masks - 2)
        scene.word(SRC, t + timing.SAMPLE, words)
        args = {"acc": 1, "how": int(how), "src": SRC, "clear": clear, "emit": 1, "dst": OUT, "mask": 1}
        scene.issue.append((t, "reduce", Instruction("REDUCE", args)))
    return scene


def reduced(config, steps) -> list[int]:
    outcome = simulate(reduce_scene(config, steps))
    at = timing.reduce_result(config)
    assert outcome.cycles_of(OUT) == list(range(at, at + len(steps)))
    found = [outcome.word(OUT, at + t) for t in range(len(steps))]
    assert all(len(set(words)) == 1 for words in found), "not the same word in every lane"
    return [words[0] for words in found]


def test_reductions_by_hand():
    """docs/numerics.md, order of floats in reductions: worked by hand."""
    R = Reduction
    f = {x: int(np.float32(x).view(np.uint32)) for x in (1.0, -1.0, 2.0, -2.0, -3.0, 0.0)}
    minus_zero, nan = 0x80000000, 0x7FC00000
    steps = [
        ((R.SUM, 1, 15, [1, 2, 3, -7]), 0xFFFFFFFF),
        ((R.SUM, 0, 0b0101, [1, 99, 3, 99]), 3),
        ((R.SUM, 1, 15, [0x80000000, 0x80000000, 1, 0]), 1),
        ((R.SUM, 1, 0, [1, 2, 3, 4]), 0),
        ((R.MAX, 1, 15, [-5, -1, -9, -2]), 0xFFFFFFFF),
        ((R.MAX, 1, 0, [1, 2, 3, 4]), 0x80000000),
        ((R.FMAX, 1, 15, [f[-1.0], f[-2.0], f[-3.0], f[-2.0]]), f[-1.0]),
        ((R.FMAX, 1, 0b0110, [f[2.0], minus_zero, f[-1.0], f[2.0]]), minus_zero),
        ((R.FMAX, 1, 15, [minus_zero, 0, minus_zero, f[-1.0]]), 0),
        ((R.FMAX, 1, 15, [f[2.0], nan, f[-1.0], f[1.0]]), nan),
        ((R.FMAX, 1, 0, [f[2.0]] * 4), 0xFFFFFFFF),
        ((R.FABSMAX, 1, 15, [f[-3.0], f[2.0], f[-1.0], 0]), f[-3.0] & 0x7FFFFFFF),
        ((R.FABSMAX, 1, 0, [f[-3.0]] * 4), 0),
        ((R.ARGMAX, 1, 15, [4, 9, 9, 8]), 1),
        ((R.ARGMAX, 0, 15, [9, 9, 8, 8]), 1),
        ((R.ARGMAX, 0, 15, [9, 9, 8, 10]), 11),
        ((R.ARGMAX, 1, 0b1100, [9, 9, -4, -3]), 3),
        ((R.FARGMAX, 1, 15, [f[-3.0], f[-2.0], f[-1.0], f[-1.0]]), 2),
        ((R.FARGMAX, 0, 15, [f[-3.0], minus_zero, f[-1.0], 0]), 7),
        ((R.FARGMAX, 0, 15, [0, 0, 0, 0]), 7),
    ]
    results = reduced(TINY, [step for step, _ in steps])
    assert results == [expected for _, expected in steps]


@pytest.mark.parametrize("how", list(Reduction), ids=lambda how: how.name)
def test_runs_back_to_back(how):
    """A run of vectors one a cycle, with narrow values so that ties are common, against golden."""
    rng = random.Random(int(how))
    pool = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFFFE]
    steps = [
        (how, int(t % 7 == 0), rng.getrandbits(8), [rng.choice(pool) for _ in range(EIGHT.lanes)])
        for t in range(60)
    ]
    scene = reduce_scene(EIGHT, steps)
    same(scene, run_golden(scene, GoldenSxm), simulate(scene))
