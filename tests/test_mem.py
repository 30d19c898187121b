"""MEM: RTL against golden, cycle by cycle."""

from __future__ import annotations

import random

import numpy as np
import pytest

from golden.mem import Mem as GoldenMem
from lpu import timing
from lpu.isa import Instruction, east, west
from lpu.runtime.machine import Violation, ViolationKind
from rtl.mem import Mem
from tests.slicebench import CONFIGS, EIGHT, TINY, Scene, legalise, random_scene, run_golden, run_rtl, same

NAME = "mem0"


def image(rng, config) -> np.ndarray:
    depth = config.spec(NAME).depth
    return np.array([[rng.getrandbits(32) for _ in range(config.lanes)] for _ in range(depth)], np.uint32)


def simulate(scene, memory, read_back=False):
    """RTL with its memory loaded over the load bus; (outcome, memory afterwards or None)."""
    config = scene.config
    space = config.position(NAME)
    words = [(entry, lane) for entry in range(len(memory)) for lane in range(config.lanes)]
    before = [("write", space, entry, lane, int(memory[entry, lane])) for entry, lane in words]
    after = [("read", space, entry, lane) for entry, lane in words] if read_back else []
    outcome, read = run_rtl(scene, Mem, before=before, after=after)
    return outcome, np.array(read, np.uint32).reshape(memory.shape) if read_back else None


def golden(scene, memory):
    kept = []

    def prepare(unit):
        unit.memory[:] = memory
        kept.append(unit)

    return run_golden(scene, GoldenMem, prepare), kept[0].memory


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(6))
def test_random_legal(config, seed):
    rng = random.Random(f"mem {config.name} {seed}")
    memory = image(rng, config)
    scene = random_scene(rng, config, NAME, cycles=120, units=("read", "write"), density=0.8, small=16)
    scene, expected = legalise(scene, lambda s: golden(s, memory)[0], ("read",))
    assert {i.op for _, _, i in scene.issue} == {"READ", "READB", "GATHER", "WRITE", "WRITEB", "SCATTER"}
    outcome, after = simulate(scene, memory, read_back=True)
    same(scene, expected, outcome)
    assert (after == golden(scene, memory)[1]).all()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_random_illegal(config):
    """Careless schedules: the same first violation in the same cycle, the same streams before it."""
    kinds = set()
    for seed in range(24):
        rng = random.Random(f"mem illegal {config.name} {seed}")
        memory = image(rng, config)
        careless = (0.0, 0.3)[seed % 2]
        scene = random_scene(
            rng, config, NAME, cycles=60, units=("read", "write"), density=0.4, small=16, careless=careless
        )
        expected = golden(scene, memory)[0]
        same(scene, expected, simulate(scene, memory)[0])
        kinds.add(expected.violation and expected.violation.kind)
    K = ViolationKind
    assert kinds >= {K.CONFLICT, K.NO_OPERAND, K.PORT, K.COLLISION}


WORD, PLACES, OUT = east(0), west(0), west(0)


def test_load_bus_ignores_other_spaces():
    memory = np.zeros((32, 4), np.uint32)
    scene = Scene(TINY, NAME, 1)
    here = TINY.position(NAME)
    before = [("write", here, 3, 2, 7), ("write", here + 1, 3, 2, 9), ("write", here, 3, 1, 0xDEADBEEF)]
    after = [("read", here, 3, 2), ("read", here, 3, 1), ("read", here, 3, 0)]
    _, read = run_rtl(scene, Mem, before=before, after=after)
    assert read == [7, 0xDEADBEEF, memory[0, 0]]
    scene = Scene(TINY, NAME, 1)
    _, read = run_rtl(scene, Mem, before=before, after=[("read", here + 1, 3, 1)])
    assert read == [0]


@pytest.mark.parametrize("op", ["READ", "READB", "GATHER"])
def test_result_cycle(op):
    """d_func, and that the result stands for one cycle only."""
    memory = np.arange(32 * 4, dtype=np.uint32).reshape(32, 4) * 0x01010101
    args = {"addr": 5, "dst": OUT} if op != "READB" else {"addr": 4 * 5 + 2, "dst": OUT}
    scene = Scene(TINY, NAME, 20)
    if op == "GATHER":
        args["src"] = WORD
        scene.word(WORD, 4 + timing.SAMPLE, [0, 1, 2, 32 + 3])
    scene.issue.append((4, "read", Instruction(op, args)))
    outcome, _ = simulate(scene, memory)
    assert outcome.violation is None
    at = 4 + timing.READ_RESULT + (timing.GATHER_LATE if op == "GATHER" else 0)
    assert outcome.cycles_of(OUT) == [at]
    if op == "READ":
        assert outcome.word(OUT, at) == list(memory[5])
    elif op == "READB":
        assert outcome.byte(OUT, at) == [5 * 4 + lane for lane in range(4)]
        assert outcome.cycles_of(OUT + 2) == []
    else:
        assert outcome.word(OUT, at) == [memory[5 + lane, lane] for lane in range(4)]


@pytest.mark.parametrize("op", ["WRITE", "WRITEB", "SCATTER", "GATHER"])
@pytest.mark.parametrize("skew", [0, 1, 2])
def test_sample_cycle(op, skew):
    """d_skew: only an operand that stands in cycle SAMPLE is one."""
    unit = "read" if op == "GATHER" else "write"
    args = {"addr": 3, "src": WORD}
    args |= {"dst": OUT} if op == "GATHER" else {"mask": 0}
    args |= {"at": PLACES} if op == "SCATTER" else {}
    scene = Scene(TINY, NAME, 12, issue=[(3, unit, Instruction(op, args))])
    scene.word(WORD, 3 + skew, [1, 2, 3, 4])
    if op == "SCATTER":
        scene.word(PLACES, 3 + skew, [0, 0, 0, 0])
    outcome, _ = simulate(scene, np.zeros((32, 4), np.uint32))
    missing = Violation(3 + timing.SAMPLE, TINY.position(NAME), ViolationKind.NO_OPERAND)
    assert outcome.violation == (None if skew == timing.SAMPLE else missing)


@pytest.mark.parametrize("op", ["WRITE", "WRITEB", "SCATTER"])
@pytest.mark.parametrize("later", [0, 1, 2, 3, 4])
def test_write_visible(op, later):
    """READ dispatched ``later`` cycles after a write: the old word, a collision, the new word."""
    memory = np.full((32, 4), 0x11223344, np.uint32)
    args = {"addr": 9 if op != "WRITEB" else 4 * 9 + 1, "src": WORD, "mask": 1}
    scene = Scene(TINY, NAME, 20)
    scene.masks = {5: [15, 0b0110, *[0] * 6]}
    scene.word(WORD, 6, [0xA0A0A0A0, 0xB1B1B1B1, 0xC2C2C2C2, 0xD3D3D3D3])
    if op == "SCATTER":
        args |= {"addr": 7, "at": PLACES}
        scene.word(PLACES, 6, [2, 2, 2, 2])
    scene.issue += [
        (5, "write", Instruction(op, args)),
        (5 + later, "read", Instruction("READ", {"addr": 9, "dst": OUT})),
    ]
    outcome, _ = simulate(scene, memory)
    if later == timing.WRITE_VISIBLE - 1:
        assert outcome.violation == Violation(5 + later, TINY.position(NAME), ViolationKind.COLLISION)
        return
    assert outcome.violation is None
    new = [0x1122B144, 0x1122C244] if op == "WRITEB" else [0xB1B1B1B1, 0xC2C2C2C2]
    old = [0x11223344] * 4
    expected = old if later < timing.WRITE_VISIBLE else [old[0], *new, old[3]]
    assert outcome.word(OUT, 5 + later + timing.READ_RESULT) == expected


def test_masked_lanes_do_not_collide():
    """A collision needs one lane that is both read and written; a mask without lanes writes none."""
    for mask, expected in ((0b0000, None), (0b1000, ViolationKind.COLLISION)):
        scene = Scene(TINY, NAME, 12)
        scene.masks = {2: [15, mask, *[0] * 6]}
        scene.word(WORD, 3, [1, 2, 3, 4])
        scene.issue += [
            (2, "write", Instruction("WRITE", {"addr": 9, "src": WORD, "mask": 1})),
            (4, "read", Instruction("READB", {"addr": 4 * 9 + 3, "dst": OUT})),
        ]
        outcome, _ = simulate(scene, np.zeros((32, 4), np.uint32))
        assert (outcome.violation and outcome.violation.kind) == expected


def test_addresses_wrap():
    """GATHER and SCATTER addresses are modulo the depth."""
    memory = np.arange(16 * 8, dtype=np.uint32).reshape(16, 8)
    scene = Scene(EIGHT, NAME, 20)
    offsets = [0xFFFFFFFF, 16, 15, 1, 0, 0x80000002, 17, 3]
    scene.word(WORD, 4, offsets)
    scene.issue.append((3, "read", Instruction("GATHER", {"addr": 14, "src": WORD, "dst": OUT})))
    outcome, _ = simulate(scene, memory)
    expected = [int(memory[(14 + offset) % 16, lane]) for lane, offset in enumerate(offsets)]
    assert outcome.word(OUT, 3 + timing.READ_RESULT + timing.GATHER_LATE) == expected
