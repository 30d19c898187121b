"""The golden VXM: the chain's operands, results and state, each in its cycle."""

from __future__ import annotations

import numpy as np
import pytest

from golden.numerics import add, from_float64, from_int32, multiply, quantise, to_float64
from golden.special import special
from golden.tile import Tile
from lpu.arch import FloatFormat
from lpu.isa import Accumulate, AddMode, Destination, Operand, Quantise, Source, Special
from lpu.timing import ADD, CONVERT, MULTIPLY, QUANTISE, SPECIAL
from tests.golden_tools import E0, E4, W0, chain, i, result_of, run, tile_with, violation, with_mask

F = FloatFormat(8, 17)
#: Offsets at which a float copy and the longest float chain are done.
FLOAT = 2 + MULTIPLY
WHOLE = FLOAT + ADD + SPECIAL + MULTIPLY + QUANTISE
X = from_float64(F, np.array([1.5, -2.25, 0.0, 100.125]))
Y = from_float64(F, np.array([-3.0, 0.75, 2.0, 0.01]))
N = np.array([7, -300000, 0, 2**31 - 1], np.int32)


def vxm_tile() -> Tile:
    """X and N in mem0, Y in mem1."""
    return tile_with(mem0=[X, N.view(np.uint32), N.view(np.uint32)], mem1=[Y])


def from_mem0(address: int, sampled: int):
    """READ in mem0 for a sample in vxm0, three hops east."""
    return {"mem0.read": {sampled - 5: i("READ", addr=address, dst=E0)}}


def from_mem1(sampled: int):
    """READ of Y in mem1, one hop west."""
    return {"mem1.read": {sampled - 3: i("READ", addr=0, dst=W0)}}


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({}, FLOAT),
        ({"c": Operand.SELF}, FLOAT + ADD),
        ({"f": Special.RECIP}, FLOAT + SPECIAL),
        ({"d": Operand.SELF}, FLOAT + MULTIPLY),
        ({"q": Quantise.INT32}, FLOAT + QUANTISE),
        ({"a": Source.INT32}, CONVERT + FLOAT),
        ({"a": Source.REG, "a_at": 2}, FLOAT),
        ({"a": Source.ACC, "a_at": 2}, CONVERT + FLOAT),
        ({"c": Operand.SELF, "f": Special.EXP2, "d": Operand.SELF, "q": Quantise.INT32}, WHOLE),
        (
            {"a": 0, "c": Operand.SELF, "f": Special.EXP2, "d": Operand.SELF, "q": Quantise.INT32},
            CONVERT + WHOLE,
        ),
        ({"f": Special.EXP2, "d": Operand.SELF, "q": Quantise.INT8, "tap": 1}, FLOAT),
    ],
)
def test_result_leaves_when_the_last_beat_is_done(fields, at):
    """Stages take their cycles from dispatch + 2 on; then come two beats."""
    tile = vxm_tile()
    tile.slices["vxm0"].registers[2] = X
    tile.slices["vxm0"].accumulators[2] = N
    source = from_mem0(1 if fields.get("a") == Source.INT32 else 0, 11) if "a_at" not in fields else {}
    queues = {**source, "vxm0.chain": {10: chain(**fields, to_at=E4)}}
    found = result_of(tile, queues, "vxm0", E4, 10 + at + 2)
    a = from_int32(F, N) if fields.get("a") in (Source.INT32, Source.ACC) else X
    p = add(F, a, np.uint32(0x3F800000)) if "c" in fields else a
    if not fields.get("tap"):
        y = special(F, fields["f"], p) if "f" in fields else p
        y = multiply(F, y, p) if "d" in fields else y
        p = quantise(F, y, 0, fields["q"]).view(np.uint32) if "q" in fields else y
    assert list(found) == list(p)


@pytest.mark.parametrize(
    ("fields", "sampled"),
    [
        ({"b": Operand.STREAM, "b_at": W0}, 1),
        ({"a": Source.INT32, "b": Operand.STREAM, "b_at": W0}, 1 + CONVERT),
        ({"c": Operand.STREAM, "c_at": W0, "add": AddMode.RSUB}, FLOAT - 1),
        ({"d": Operand.STREAM, "d_at": W0}, FLOAT - 1),
        ({"f": Special.SIGMOID, "d": Operand.STREAM, "d_at": W0}, FLOAT + SPECIAL - 1),
        ({"c": Operand.SELF, "f": Special.EXP2, "d": Operand.STREAM, "d_at": W0}, FLOAT + ADD + SPECIAL - 1),
    ],
)
def test_operands_are_sampled_a_cycle_before_their_stage(fields, sampled):
    tile = vxm_tile()
    integer = fields.get("a") == Source.INT32
    queues = {
        **from_mem0(int(integer), 21),
        **from_mem1(20 + sampled),
        "vxm0.chain": {20: chain(**fields, to=Destination.REG, to_at=5)},
    }
    assert violation(run(tile, queues)) is None
    x = from_int32(F, N) if integer else X
    if "b" in fields:
        x = multiply(F, x, Y)
    if "c" in fields:
        x = add(F, x, Y if fields["c"] == Operand.STREAM else np.uint32(0x3F800000), fields.get("add", 0))
    if "f" in fields:
        x = special(F, fields["f"], x)
    if "d" in fields:
        x = multiply(F, x, Y)
    assert list(tile.slices["vxm0"].registers[5]) == list(x)
    for beside in (-1, 1):
        queues.update(from_mem1(20 + sampled + beside))
        assert violation(run(tile, queues)) == ("NO_OPERAND", 4, 20 + sampled)


def test_multiply_by_one_makes_a_word_canonical():
    """Subnormals, bits below the format and NaNs do not come through a copy."""
    odd = np.array([0x007FFFFF, 0x80000001, 0xFF812345, 0x3F80003F], np.uint32)
    tile = tile_with(mem0=[odd])
    queues = {**from_mem0(0, 11), "vxm0.chain": {10: chain(to=Destination.REG, to_at=1)}}
    assert violation(run(tile, queues)) is None
    assert list(tile.slices["vxm0"].registers[1]) == [0, 0x80000000, 0x7FC00000, 0x3F800000]


def test_byte_in_byte_out():
    """int8 plane 1 of N, doubled through a register, rounded to int8 on E5."""
    tile = vxm_tile()
    tile.slices["vxm0"].registers[0] = from_float64(F, np.full(4, 2.0))
    fields = {
        "a": Source.INT8,
        "a_at": E0 + 4,
        "b": Operand.REG,
        "b_at": 0,
        "q": Quantise.INT8,
        "to_at": E4 + 2,
    }
    queues = {"mem0.read": {6: i("READB", addr=4 * 1 + 1, dst=E0 + 4)}, "vxm0.chain": {10: chain(**fields)}}
    found = result_of(tile, queues, "vxm0", E4 + 2, 10 + CONVERT + FLOAT + QUANTISE + 2, byte=True)
    planes = (N >> 8).astype(np.int8).astype(int)  # 0, 108, 0, -1
    assert list(found) == [int(np.clip(2 * p, -127, 127)) & 0xFF for p in planes]


@pytest.mark.parametrize(("later", "seen"), [(FLOAT - 1, False), (FLOAT, True)])
def test_register_is_read_behind_its_write(later, seen):
    """A copy writes its register at the end of cycle FLOAT; a register source is read in cycle 1."""
    tile = vxm_tile()
    queues = {
        **from_mem0(0, 11),
        "vxm0.chain": {
            10: chain(to=Destination.REG, to_at=3),
            10 + later: chain(a=Source.REG, a_at=3, to=Destination.REG, to_at=4),
        },
    }
    assert violation(run(tile, queues)) is None
    assert list(tile.slices["vxm0"].registers[4]) == (list(X) if seen else [0] * 4)


@pytest.mark.parametrize("operand", "bcd")
@pytest.mark.parametrize("seen", [False, True])
def test_register_operands_are_read_a_cycle_before_their_stage(operand, seen):
    """The writer ends in the cycle of the read (the old word) or in the one before (the new one)."""
    tile = vxm_tile()
    vxm = tile.slices["vxm0"]
    vxm.registers[6], vxm.registers[3] = X, Y
    reads = {"b": 1, "c": FLOAT - 1, "d": FLOAT + ADD - 1}[operand]
    extra = {"c": Operand.SELF} if operand == "d" else {}
    reader = chain(**{"a": 3, "a_at": 6, **extra, operand: Operand.REG, f"{operand}_at": 3}, to=2, to_at=4)
    # A special function makes the writer long enough to start first by itself.
    writer = chain(a=3, a_at=6, f=Special.SIGMOID, to=2, to_at=3)
    start = 20 + FLOAT + SPECIAL - reads + seen
    assert violation(run(tile, {"vxm0.chain": {20: writer, start: reader}})) is None
    r = special(F, Special.SIGMOID, X) if seen else Y
    expected = {
        "b": multiply(F, X, r),
        "c": add(F, X, r),
        "d": multiply(F, add(F, X, np.uint32(0x3F800000)), r),
    }
    assert list(vxm.registers[4]) == list(expected[operand])


@pytest.mark.parametrize(("later", "seen"), [(FLOAT + QUANTISE - 1, False), (FLOAT + QUANTISE, True)])
def test_accumulator_is_read_behind_its_write(later, seen):
    tile = vxm_tile()
    accumulate = {
        "q": Quantise.INT32,
        "shift": 3,
        "to": Destination.NONE,
        "accumulate": Accumulate.SET,
        "acc": 5,
    }
    queues = {
        **from_mem0(0, 11),
        "vxm0.chain": {
            10: chain(**accumulate),
            10 + later: chain(a=Source.ACC, a_at=5, to=Destination.REG, to_at=4),
        },
    }
    assert violation(run(tile, queues)) is None
    expected = [12, -18, 0, 801] if seen else [0] * 4
    assert list(to_float64(F, tile.slices["vxm0"].registers[4])) == expected


def test_accumulator_adds_modulo_and_steps_with_its_slot():
    tile = vxm_tile()
    tile.slices["vxm0"].accumulators[1:4] = (1 << 31) - 1
    fields = {
        **chain().args,
        "a": Source.REG,
        "q": Quantise.INT32,
        "to": 0,
        "accumulate": Accumulate.ADD,
        "acc": 1,
    }
    tile.slices["vxm0"].registers[0] = X
    step = i("CHAIN", count=3, interval=2, strides={"acc": 1}, **fields)
    assert violation(run(tile, {"vxm0.chain": {0: step}})) is None
    expected = [-(1 << 31) + 1, (1 << 31) - 3, (1 << 31) - 1, -(1 << 31) + 99]
    assert tile.slices["vxm0"].accumulators[1:4].tolist() == [expected] * 3  # 2, -2, 0 and 100


def test_tapped_result_leaves_while_the_rest_is_accumulated():
    """RMS in one chain: x goes on as it is, the squares are summed."""
    tile = vxm_tile()
    fields = {"d": Operand.SELF, "q": Quantise.INT32, "tap": 1, "accumulate": Accumulate.ADD, "acc": 2}
    queues = {**from_mem0(0, 11), "vxm0.chain": {10: chain(**fields, to_at=E4)}}
    found = result_of(tile, queues, "vxm0", E4, 10 + FLOAT + 2)
    assert list(found) == list(X)
    assert tile.slices["vxm0"].accumulators[2].tolist() == [2, 5, 0, 10025]


def test_lanes_outside_the_mask():
    """They deliver zero bits, and leave register and accumulator as they are."""
    tile = vxm_tile()
    vxm = tile.slices["vxm0"]
    vxm.registers[1], vxm.registers[2], vxm.accumulators[3] = X, Y, N
    held = {"a": Source.REG, "a_at": 1, "mask": 1}
    queues = {
        "host0.port": with_mask("1100"),
        "vxm0.chain": {
            20: chain(**held, to_at=E4),
            22: chain(**held, to=Destination.REG, to_at=2),
            24: chain(**held, q=Quantise.INT32, to=0, accumulate=Accumulate.SET, acc=3),
        },
    }
    found = result_of(tile, queues, "vxm0", E4, 20 + FLOAT + 2)
    assert list(found) == [*X[:2], 0, 0]
    assert list(vxm.registers[2]) == [*X[:2], *Y[2:]]
    assert vxm.accumulators[3].tolist() == [2, -2, *N[2:].tolist()]
