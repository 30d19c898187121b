"""MXM: RTL against golden, cycle by cycle."""

from __future__ import annotations

import random

import numpy as np
import pytest

from golden.mxm import Mxm as GoldenMxm
from lpu import timing
from lpu.isa import Instruction, east, west
from lpu.runtime.machine import Violation, ViolationKind
from rtl.multiply import MULTIPLY_CYCLES
from rtl.mxm import Mxm
from rtl.mxm_array import sum_width
from tests.slicebench import CONFIGS, TINY, Scene, legalise, random_scene, run_golden, run_rtl, same

NAME = "mxm0"
UNITS = ("load", "weights", "passes", "drain")
SRC, OUT = east(3), west(0)


def random_weights(rng, config) -> np.ndarray:
    """int8 [contexts, rows, columns], extremes more often than chance."""
    shape = (config.contexts, config.lanes, config.lanes)
    values = [rng.choice([-128, 127, -127, rng.randint(-128, 127)]) for _ in range(np.prod(shape))]
    return np.array(values, np.int8).reshape(shape)


def loads(config, weights) -> list[tuple]:
    """Load bus accesses that write all weights."""
    space = config.position(NAME)
    rows = weights.view(np.uint8).reshape(-1, config.lanes // 4, 4)
    return [
        ("write", space, entry, group, int.from_bytes(rows[entry, group].tobytes(), "little"))
        for entry in range(len(rows))
        for group in range(rows.shape[1])
    ]


def simulate(scene, weights):
    return run_rtl(scene, Mxm, before=loads(scene.config, weights))[0]


def golden(scene, weights):
    def prepare(unit):
        unit.weights[:] = weights

    return run_golden(scene, GoldenMxm, prepare)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(4))
def test_random_legal(config, seed):
    """All four queues busy: loads, weights by row and column while passes run, drains in any cycle."""
    rng = random.Random(f"mxm {config.name} {seed}")
    weights = random_weights(rng, config)
    scene = random_scene(rng, config, NAME, cycles=150, units=UNITS, density=0.9, small=2)
    scene, expected = legalise(scene, lambda s: golden(s, weights), ("passes",))
    assert {i.op for _, _, i in scene.issue} == {"LA", "LWR", "LWC", "PASS", "DRAIN"}
    same(scene, expected, simulate(scene, weights))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_random_illegal(config):
    """Careless schedules: the same first violation in the same cycle."""
    kinds = set()
    for seed in range(18):
        rng = random.Random(f"mxm illegal {config.name} {seed}")
        weights = random_weights(rng, config)
        careless = (0.0, 0.2, 0.5)[seed % 3]
        scene = random_scene(rng, config, NAME, cycles=45, units=UNITS, density=0.4, careless=careless)
        expected = golden(scene, weights)
        same(scene, expected, simulate(scene, weights))
        kinds.add(expected.violation and expected.violation.kind)
    assert kinds >= {ViolationKind.CONFLICT, ViolationKind.NO_OPERAND, ViolationKind.COLLISION}


def test_extreme_products_do_not_overflow():
    """Sums of -128 * -128, the largest in magnitude, down all rows, accumulated three times."""
    config = CONFIGS[1]
    lanes = config.lanes
    weights = np.full((config.contexts, lanes, lanes), -128, np.int8)
    scene = Scene(config, NAME, 60)
    scene.byte(SRC, 1, [-128] * lanes)
    scene.issue.append((0, "load", Instruction("LA", {"act": 1, "src": SRC, "mask": 0})))
    for n in range(3):
        scene.issue.append((2 + n, "passes", _pass(ctx=n, act=1, acc=1, clear=int(n == 0))))
    at = 4 + timing.pass_visible(config)
    scene.issue.append((at, "drain", Instruction("DRAIN", {"acc": 1, "dst": OUT})))
    outcome = simulate(scene, weights)
    assert outcome.word(OUT, at + timing.DRAIN_RESULT) == [3 * lanes * 2**14] * lanes
    assert [sum_width(rows) for rows in (1, 2, 3, 4, 8, 16, 64)] == [16, 17, 17, 18, 19, 20, 22]


def _pass(*, ctx=0, act=0, acc=0, clear=1) -> Instruction:
    return Instruction("PASS", {"ctx": ctx, "act": act, "acc": acc, "clear": clear})


def eye(config, value=1) -> np.ndarray:
    """The same multiple of the identity in every context."""
    return np.stack([np.eye(config.lanes, dtype=np.int8) * np.int8(value)] * config.contexts)


def test_drain_result_cycle():
    scene = Scene(TINY, NAME, 10, issue=[(4, "drain", Instruction("DRAIN", {"acc": 2, "dst": OUT}))])
    outcome = simulate(scene, eye(TINY))
    assert outcome.cycles_of(OUT) == [4 + timing.DRAIN_RESULT]
    assert outcome.word(OUT, 4 + timing.DRAIN_RESULT) == [0] * 4


@pytest.mark.parametrize("op", ["LA", "LWR", "LWC"])
@pytest.mark.parametrize("skew", [0, 1, 2])
def test_sample_cycle(op, skew):
    args = {"src": SRC, "mask": 0} | ({"act": 1} if op == "LA" else {"ctx": 0, "line": 1})
    scene = Scene(TINY, NAME, 10, issue=[(3, "load" if op == "LA" else "weights", Instruction(op, args))])
    scene.byte(SRC, 3 + skew, [1, 2, 3, 4])
    missing = Violation(3 + timing.SAMPLE, TINY.position(NAME), ViolationKind.NO_OPERAND)
    assert simulate(scene, eye(TINY)).violation == (None if skew == timing.SAMPLE else missing)


@pytest.mark.parametrize("later", range(TINY.lanes + 3, TINY.lanes + 6))
def test_pass_visible(later):
    """DRAIN sees a PASS from pass_visible on, and not a cycle before."""
    scene = Scene(TINY, NAME, 30)
    scene.byte(SRC, 1, [1, 2, 3, 4])
    scene.issue += [
        (0, "load", Instruction("LA", {"act": 0, "src": SRC, "mask": 0})),
        (5, "passes", _pass(acc=3)),
        (5 + later, "drain", Instruction("DRAIN", {"acc": 3, "dst": OUT})),
    ]
    seen = simulate(scene, eye(TINY, 5)).word(OUT, 5 + later + timing.DRAIN_RESULT)
    assert seen == ([5, 10, 15, 20] if later >= timing.pass_visible(TINY) else [0] * 4)


@pytest.mark.parametrize("later", [0, 1, 2, 3])
def test_activation_visible(later):
    """PASS sees an LA from ACTIVATION_VISIBLE on; lanes outside its mask, and the entry before that, stay as they were."""
    scene = Scene(TINY, NAME, 30)
    scene.masks = {6: [15, 0b1010, *[0] * 6]}
    scene.byte(SRC, 1, [1, 2, 3, 4])
    scene.byte(SRC, 7, [10, 20, 30, 40])
    scene.issue += [
        (0, "load", Instruction("LA", {"act": 0, "src": SRC, "mask": 0})),
        (6, "load", Instruction("LA", {"act": 0, "src": SRC, "mask": 1})),
        (6 + later, "passes", _pass()),
        (22, "drain", Instruction("DRAIN", {"acc": 0, "dst": OUT})),
    ]
    seen = simulate(scene, eye(TINY)).word(OUT, 22 + timing.DRAIN_RESULT)
    assert seen == ([1, 20, 3, 40] if later >= timing.ACTIVATION_VISIBLE else [1, 2, 3, 4])


@pytest.mark.parametrize("op", ["LWR", "LWC"])
@pytest.mark.parametrize("later", [0, 1, 2, 3, 4])
def test_weights_visible(op, later):
    """PASS sees weights from WEIGHTS_VISIBLE on, in every row alike; a cycle before it collides."""
    weights = np.full((TINY.contexts, 4, 4), 1, np.int8)
    scene = Scene(TINY, NAME, 40)
    scene.masks = {6: [15, 0b1101, *[0] * 6]}
    scene.byte(SRC, 1, [1, 10, 100, 50])
    scene.byte(SRC, 7, [2, 3, 4, 5])
    scene.issue += [
        (0, "load", Instruction("LA", {"act": 0, "src": SRC, "mask": 0})),
        (6, "weights", Instruction(op, {"ctx": 1, "line": 2, "src": SRC, "mask": 1})),
        (6 + later, "passes", _pass(ctx=1)),
        (25, "drain", Instruction("DRAIN", {"acc": 0, "dst": OUT})),
    ]
    outcome = simulate(scene, weights)
    if later == timing.WEIGHTS_VISIBLE - 1:
        assert outcome.violation == Violation(6 + later, TINY.position(NAME), ViolationKind.COLLISION)
        return
    assert outcome.violation is None
    if later >= timing.WEIGHTS_VISIBLE:
        new = np.array([2, 1, 4, 5])
        weights[1, 2, :] = new if op == "LWR" else weights[1, 2, :]
        weights[1, :, 2] = new if op == "LWC" else weights[1, :, 2]
    expected = np.array([1, 10, 100, 50]) @ weights[1].astype(np.int64)
    assert outcome.word(OUT, 25 + timing.DRAIN_RESULT) == list(expected)


def test_other_context_does_not_collide():
    scene = Scene(TINY, NAME, 12)
    scene.byte(SRC, 4, [1, 2, 3, 4])
    scene.issue += [
        (3, "weights", Instruction("LWR", {"ctx": 1, "line": 0, "src": SRC, "mask": 0})),
        (5, "passes", _pass(ctx=2)),
    ]
    assert simulate(scene, eye(TINY)).violation is None


def test_load_bus_ignores_other_spaces():
    """Weights written to another slice's space are not written here."""
    config = TINY
    weights = eye(config)
    others = [("write", config.position(NAME) + 1, 0, 0, 0x05050505)]
    scene = Scene(config, NAME, 25)
    scene.byte(SRC, 1, [1, 2, 3, 4])
    scene.issue += [
        (0, "load", Instruction("LA", {"act": 0, "src": SRC, "mask": 0})),
        (4, "passes", _pass()),
        (20, "drain", Instruction("DRAIN", {"acc": 0, "dst": OUT})),
    ]
    outcome, _ = run_rtl(scene, Mxm, before=[*loads(config, weights), *others])
    assert outcome.word(OUT, 20 + timing.DRAIN_RESULT) == [1, 2, 3, 4]


def test_array_depth_is_the_contract():
    """Read, multiply, add in each row, accumulate."""
    assert timing.pass_visible(TINY) == 1 + MULTIPLY_CYCLES + TINY.lanes + 1
