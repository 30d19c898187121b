"""The golden SXM and HOST: lane moves, maps, transpose, reductions, registers, masks and FIFOs, each in its cycle."""

from __future__ import annotations

import numpy as np
import pytest

from golden.sxm import Running, permute, reduce_vector, reduced
from golden.tile import Tile
from lpu.isa import Reduction
from lpu.timing import INDEX_VISIBLE, reduce_result
from tests.golden_tools import E0, E4, TINY, W0, i, ramp, result_of, run, tile_with, violation, with_mask

# SXM -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "n", "lanes"),
    [
        ("ROTATE", 1, [1, 2, 3, 0]),
        ("ROTATE", 3, [3, 0, 1, 2]),
        ("SHIFTD", 1, [1, 2, 3, None]),
        ("SHIFTD", 0, [0, 1, 2, 3]),
        ("SHIFTU", 3, [None, None, None, 0]),
        ("SHIFTU", 0, [0, 1, 2, 3]),
        ("BROADCAST", 2, [2] * 4),
    ],
)
def test_lane_moves(op, n, lanes):
    tile = tile_with(mem0=ramp(2))
    queues = {"mem0.read": {0: i("READ", addr=1, dst=E0)}, "sxm0.move": {2: i(op, n=n, src=E0, dst=E4)}}
    found = result_of(tile, queues, "sxm0", E4, 2 + 3)
    assert list(found) == [0 if lane is None else ramp(2)[1][lane] for lane in lanes]


@pytest.mark.parametrize(("later", "seen"), [(1, [0, 0, 0, 0]), (2, [3, None, 0, 1])])
def test_permute_behind_ldmap(later, seen):
    """MAP_VISIBLE. The map: lane 0 from lane 3, lane 1 zero, lane 2 from lane 0, lane 3 from lane 1."""
    tile = tile_with(mem0=[[3, 0x82, 0, 1], ramp(1)[0]])
    queues = {
        "mem0.read": {0: i("READB", addr=0, dst=E0), later: i("READB", addr=4, dst=E0)},
        "sxm0.move": {2: i("LDMAP", map=2, src=E0), 2 + later: i("PERMUTE", map=2, src=E0, dst=E4)},
    }
    found = result_of(
        tile_with(mem0=tile.read_memory("mem0", 0, 2)), queues, "sxm0", E4, 5 + later, byte=True
    )
    plane = ramp(1)[0] & 0xFF
    assert later == 1 or list(found) == [0 if s is None else plane[s] for s in seen]
    if later == 1:
        assert set(found.tolist()) == {int(plane[0])}  # the map before: all zero


def test_permute_uses_the_low_bits_of_the_map():
    value = np.array([10, 11, 12, 13], np.uint8)
    assert permute(value, np.array([0x41, 0x7F, 0x80, 0xFF], np.uint8)).tolist() == [11, 13, 0, 0]


def test_transpose():
    """Rows loaded one a cycle; TREAD the cycle behind the last TLOAD sees it, and reads columns."""
    tile = tile_with(mem0=ramp(4))
    queues = {
        "mem0.read": {0: i("READB", count=4, strides={"addr": 4}, addr=0, dst=E0)},
        "sxm0.move": {2: i("TLOAD", count=4, strides={"n": 1}, n=0, src=E0), 6: i("TREAD", n=2, dst=E4)},
    }
    found = result_of(tile, queues, "sxm0", E4, 6 + 3, byte=True)
    assert list(found) == list(ramp(4)[:, 2] & 0xFF)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32).view(np.uint32)


@pytest.mark.parametrize(
    ("how", "value", "word"),
    [
        (Reduction.SUM, np.array([5, -7, 2**31 - 1, 2**31 - 1], np.int32).view(np.uint32), 2**32 - 4),
        (Reduction.MAX, np.array([-5, -7, -(2**31), -6], np.int32).view(np.uint32), 2**32 - 5),
        (Reduction.ARGMAX, np.array([-5, 9, 9, -6], np.int32).view(np.uint32), 1),
        (Reduction.FMAX, floats(-5, -7, -0.0, -6), 0x80000000),
        (Reduction.FMAX, floats(-np.inf, -0.0, 0.0, -1), 0),
        (Reduction.FABSMAX, floats(-5, -7, 6.5, -6), 0x40E00000),
        (Reduction.FARGMAX, floats(-5, -7, -4, -4), 2),
    ],
)
def test_reductions_of_one_vector(how, value, word):
    assert reduced(how, reduce_vector(how, value, None, Running(), True)) == word


@pytest.mark.parametrize(
    ("how", "word"),
    [
        (Reduction.SUM, 0),
        (Reduction.MAX, 0x80000000),
        (Reduction.FMAX, 0xFFFFFFFF),
        (Reduction.FABSMAX, 0),
        (Reduction.ARGMAX, 0),
        (Reduction.FARGMAX, 0),
    ],
)
def test_reductions_of_no_lanes(how, word):
    value = np.full(4, 0x3F800000, np.uint32)
    assert reduced(how, reduce_vector(how, value, np.zeros(4, np.bool_), Running(), True)) == word


def test_argmax_of_a_run_keeps_the_first_of_equals():
    """Three vectors: 7 at index 2, again 7 at 4, then 8 at 11."""
    running = Running()
    found = []
    for n, vector in enumerate(([1, 2, 7, 7], [7, 3, 3, 3], [0, 0, 0, 8])):
        value = np.array(vector, np.int32).view(np.uint32)
        running = reduce_vector(Reduction.ARGMAX, value, None, running, n == 0)
        found.append(reduced(Reduction.ARGMAX, running))
    assert found == [2, 2, 11]
    assert reduced(Reduction.ARGMAX, reduce_vector(Reduction.ARGMAX, value, None, running, True)) == 3


def test_reduce_emits_behind_its_tree():
    """3 + log2(4) cycles; a running sum of two vectors under a mask, in every lane."""
    assert reduce_result(TINY) == 5
    tile = tile_with(mem0=[[1, 2, 4, 8], [16, 32, 64, 128]])
    queues = {
        "host0.port": with_mask("1110"),
        "mem0.read": {20: i("READ", count=2, strides={"addr": 1}, addr=0, dst=E0)},
        "sxm0.reduce": {
            22: i("REDUCE", acc=3, how=Reduction.SUM, src=E0, clear=1, emit=0, dst=E4, mask=1),
            23: i("REDUCE", acc=3, how=Reduction.SUM, src=E0, clear=0, emit=1, dst=E4, mask=1),
        },
    }
    found = result_of(tile, queues, "sxm0", E4, 23 + 5)
    assert found.tolist() == [1 + 2 + 4 + 16 + 32 + 64] * 4


# HOST ----------------------------------------------------------------------------------------------------


def test_index_arithmetic():
    """Each instruction sees what the one before it wrote."""
    tile = Tile(TINY)
    queues = {
        "host0.port": {
            0: i("CONFIG", x=1, value=0xFFF0),
            1: i("INDEX", x=2, src=1, add=0x35, shift=2, bits=3),  # 0x25 >> 2 = 9, low three bits
            2: i("INDEX", x=2, src=2, add=0xFFFF, shift=0, bits=16),
            3: i("INDEX", x=3, src=0, add=77, shift=0, bits=16),
        }
    }
    assert violation(run(tile, queues)) is None
    assert tile.index_registers().tolist() == [0, 0xFFF0, 0, 77, 0, 0, 0, 0]


@pytest.mark.parametrize(("later", "seen"), [(INDEX_VISIBLE - 1, 0), (INDEX_VISIBLE, 5)])
def test_index_register_seen_by_other_queues(later, seen):
    tile = tile_with(mem0=ramp(8))
    queues = {
        "host0.port": {10: i("CONFIG", x=6, value=5)},
        "mem0.read": {10 + later: i("READ", addr=1, dst=E0, index={"addr": 6})},
    }
    dispatch = 10 + later + 2 + 4 - 1
    assert violation(run(tile, {**queues, "mem1.write": {dispatch: i("WRITE", addr=9, src=E0)}})) is None
    assert list(tile.read_memory("mem1", 9, 1)[0]) == list(ramp(8)[1 + seen])


@pytest.mark.parametrize(("later", "lanes"), [(INDEX_VISIBLE - 1, 0), (INDEX_VISIBLE, 3)])
def test_mask_seen_by_other_queues(later, lanes):
    tile = tile_with(mem0=ramp(1))
    queues = {
        "host0.port": {9: i("CONFIG", x=6, value=3), 10: i("TAIL", mask=2, src=6)},
        "mem0.read": {5 + later: i("READ", addr=0, dst=E0)},
        "mem1.write": {10 + later: i("WRITE", addr=9, src=E0, mask=2)},
    }
    assert violation(run(tile, queues)) is None
    assert list(tile.read_memory("mem1", 9, 1)[0]) == [*ramp(1)[0][:lanes], *[0] * (4 - lanes)]


def test_tail_past_the_lanes_is_all_of_them():
    tile = tile_with(mem0=ramp(1))
    queues = {
        "host0.port": {0: i("CONFIG", x=6, value=9), 1: i("TAIL", mask=2, src=6)},
        "mem0.read": {20: i("READ", addr=0, dst=E0)},
        "mem1.write": {25: i("WRITE", addr=9, src=E0, mask=2)},
    }
    assert violation(run(tile, queues)) is None
    assert list(tile.read_memory("mem1", 9, 1)[0]) == list(ramp(1)[0])


def test_tokens():
    """POP writes a register that PUSH in the next cycle reads; the FIFOs keep their order over runs."""
    tile = Tile(TINY)
    tile.push_tokens([11, 0x12345, 13])
    queues = {
        "host0.port": {
            0: i("POP", x=1),
            1: i("PUSH", src=1),
            2: i("POP", x=1),
            3: i("PUSH", src=1),
        }
    }
    assert violation(run(tile, queues)) is None
    assert tile.pop_tokens() == [11, 0x2345]
    assert tile.pop_tokens() == []
    assert violation(run(tile, queues)) == ("UNDERFLOW", 0, 3)
    assert tile.pop_tokens()[0] == 13


def test_vectors_and_ldx():
    """VPOP leaves two cycles after dispatch; VPUSH and LDX sample one cycle after theirs."""
    tile = Tile(TINY)
    tile.push_vectors(ramp(2))
    queues = {
        "host0.port": {
            0: i("VPOP", dst=E0),
            1: i("VPOP", dst=E0),
            12: i("VPUSH", src=W0),
            13: i("LDX", x=4, src=W0),
        },
        "mem0.write": {2: i("WRITE", count=2, strides={"addr": 1}, addr=3, src=E0)},
        "mem0.read": {10: i("READ", count=2, strides={"addr": 1}, addr=3, dst=W0)},
    }
    assert violation(run(tile, queues)) is None
    assert tile.pop_vectors().tolist() == [ramp(2)[0].tolist()]
    assert tile.pop_vectors().shape == (0, 4)
    assert tile.index_registers()[4] == int(ramp(2)[1][0]) & 0xFFFF
