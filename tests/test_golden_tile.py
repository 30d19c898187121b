"""The golden MEM and MXM: what each instruction does, and in which cycle its result stands where."""

from __future__ import annotations

import numpy as np
import pytest

from golden.mxm import accumulate, product
from golden.tile import Tile
from lpu.timing import pass_visible
from tests.golden_tools import (
    E0,
    E4,
    TINY,
    TWICE,
    W0,
    i,
    ramp,
    result_of,
    run,
    tile_with,
    violation,
    with_mask,
)

# MEM -------------------------------------------------------------------------------------------------------


def test_read_leaves_two_cycles_after_dispatch():
    tile = tile_with(mem0=ramp(8))
    found = result_of(tile, {"mem0.read": {3: i("READ", addr=5, dst=E0)}}, "mem0", E0, 3 + 2)
    assert list(found) == list(ramp(8)[5])


@pytest.mark.parametrize("byte", range(4))
def test_readb_takes_one_plane(byte):
    tile = tile_with(mem0=ramp(8))
    found = result_of(
        tile, {"mem0.read": {1: i("READB", addr=4 * 6 + byte, dst=E0)}}, "mem0", E0, 1 + 2, byte=True
    )
    assert list(found) == list(ramp(8)[6] >> 8 * byte & 0xFF)


def test_byte_streams_of_a_word_are_its_bytes():
    """Planes one by one on E0 to E3; a word sample wants all four at once."""
    tile = tile_with(mem0=ramp(4))
    reads = {t: i("READB", addr=4 * 2 + (t + 1) % 4, dst=2 * t) for t in range(4)}
    # Each plane comes a cycle after the one before: catch them one by one.
    writes = {t + 2 + 4 - 1: i("WRITEB", addr=4 * 1 + t, src=2 * t) for t in range(4)}
    assert violation(run(tile, {"mem0.read": reads, "mem1.write": writes})) is None
    turned = (ramp(4)[2] >> np.uint32(8)) | (ramp(4)[2] << np.uint32(24))
    assert list(tile.read_memory("mem1", 1, 1)[0]) == list(turned)
    found = violation(run(tile, {"mem0.read": reads, "mem1.write": {5: i("WRITE", addr=0, src=E0)}}))
    assert found == ("NO_OPERAND", 5, 6)


def test_gather_reads_a_word_a_lane():
    """Addresses are sampled one after dispatch, the memory read two after, the result leaves four after."""
    table = ramp(64)
    offsets = np.array([3, 0, 63, 65], np.uint32)
    tile = tile_with(mem0=[offsets], mem1=table)
    reads = {0: i("READ", addr=0, dst=E0)}  # sampled by mem1 at 2 + 4
    gather = {5: i("GATHER", addr=2, src=E0, dst=W0)}
    catch = 5 + 4 + 4 - 1  # mem0 is four west of mem1
    queues = {"mem0.read": reads, "mem1.read": gather, "mem0.write": {catch: i("WRITE", addr=7, src=W0)}}
    assert violation(run(tile, queues)) is None
    found = tile.read_memory("mem0", 7, 1)[0]
    assert list(found) == [table[(2 + int(o)) % 64, lane] for lane, o in enumerate(offsets)]
    queues["mem0.write"] = {catch - 1: i("WRITE", addr=7, src=W0)}
    assert violation(run(tile, queues)) == ("NO_OPERAND", 1, catch)


def test_write_keeps_lanes_outside_the_mask():
    tile = tile_with(mem0=ramp(4), mem1=ramp(4) + 9)
    queues = {
        "host0.port": with_mask("1100"),
        "mem0.read": {20: i("READ", addr=2, dst=E0)},
        "mem1.write": {25: i("WRITE", addr=3, src=E0, mask=1)},
    }
    assert violation(run(tile, queues)) is None
    assert list(tile.read_memory("mem1", 3, 1)[0]) == [*ramp(4)[2][:2], *(ramp(4)[3][2:] + 9)]


def test_writeb_replaces_one_plane_of_masked_lanes():
    tile = tile_with(mem0=ramp(4), mem1=np.zeros((4, 4)))
    queues = {
        "host0.port": with_mask("1110"),
        "mem0.read": {20: i("READB", addr=4 * 1 + 3, dst=E0)},
        "mem1.write": {25: i("WRITEB", addr=4 * 2 + 1, src=E0, mask=1)},
    }
    assert violation(run(tile, queues)) is None
    assert list(tile.read_memory("mem1", 2, 1)[0]) == [*((ramp(4)[1] >> 24 << 8)[:3]), 0]


def test_scatter_writes_a_word_a_lane():
    offsets = np.array([1, 2, 64, 63], np.uint32)
    tile = tile_with(mem0=[offsets, ramp(2)[1]], mem1=np.zeros((64, 4)))
    queues = {
        "mem0.read": {0: i("READ", addr=1, dst=E0), 1: i("READ", addr=0, dst=E4)},
        "mem1.write": {5: i("SCATTER", addr=4, src=E0, at=E4)},
    }
    assert violation(run(tile, queues)) == ("NO_OPERAND", 5, 6)  # the two must arrive together
    tile = tile_with(TWICE, mem0=[offsets], mem1=[ramp(2)[1]])
    queues = {  # mem0, mem1, mem2 at positions 0, 3, 7
        "mem0.read": {0: i("READ", addr=0, dst=E4)},
        "mem1.read": {3: i("READ", addr=0, dst=E0)},
        "mem2.write": {8: i("SCATTER", addr=4, src=E0, at=E4)},
    }
    assert violation(run(tile, queues)) is None
    found = tile.read_memory("mem2", 0, 16)
    assert {(int(w), int(lane)): int(found[w, lane]) for w, lane in zip(*np.nonzero(found), strict=True)} == {
        ((4 + int(o)) % 16, lane): int(ramp(2)[1][lane]) for lane, o in enumerate(offsets)
    }


@pytest.mark.parametrize(("later", "seen"), [(1, "old"), (2, "collision"), (3, "new")])
def test_read_behind_write(later, seen):
    """WRITE_VISIBLE: two cycles after the write's dispatch collides, before is the old word, after the new one."""
    tile = tile_with(mem0=ramp(2), mem1=ramp(2) + 5)
    queues = {
        "mem0.read": {0: i("READ", addr=1, dst=E0)},
        "mem1.write": {5: i("WRITE", addr=0, src=E0)},
        "mem1.read": {5 + later: i("READ", addr=0, dst=W0)},
        "mem0.write": {5 + later + 2 + 4 - 1: i("WRITE", addr=9, src=W0)},
    }
    found = violation(run(tile, queues))
    assert found == (("COLLISION", 5, 7) if seen == "collision" else None)
    if seen != "collision":
        expected = ramp(2)[0] + 5 if seen == "old" else ramp(2)[1]
        assert list(tile.read_memory("mem0", 9, 1)[0]) == list(expected)


# MXM -------------------------------------------------------------------------------------------------------


def mxm_tile() -> tuple[Tile, np.ndarray, np.ndarray]:
    """A tile with random weights in context 3, and int8 vectors in byte 0 of mem0."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-128, 128, (4, 4))
    vectors = rng.integers(-128, 128, (8, 4))
    tile = tile_with(mem0=(vectors & 0xFF).astype(np.uint32))
    tile.slices["mxm0"].weights[3] = weights
    return tile, weights, vectors


def load(at: int, act: int = 0):
    """LA at ``at`` of the byte plane read three cycles earlier: hop to sxm0, to mxm0."""
    return {"mem0.read": {at - 3: i("READB", addr=0, dst=E0)}, "mxm0.load": {at: i("LA", act=act, src=E0)}}


def test_pass_multiplies_and_drain_delivers_one_cycle_later():
    tile, weights, vectors = mxm_tile()
    queues = {
        **load(3),
        "mxm0.passes": {
            5: i("PASS", ctx=3, act=0, acc=2, clear=1),
            6: i("PASS", ctx=3, act=0, acc=2, clear=0),
        },
        "mxm0.drain": {20: i("DRAIN", acc=2, dst=E0)},
    }
    found = result_of(tile, queues, "mxm0", E0, 21)
    assert list(found.view(np.int32)) == list(2 * (vectors[0] @ weights))


@pytest.mark.parametrize(("later", "seen"), [(1, False), (2, True)])
def test_pass_behind_la(later, seen):
    tile, weights, vectors = mxm_tile()
    queues = {
        **load(3),
        "mxm0.passes": {3 + later: i("PASS", ctx=3, act=0, acc=0, clear=1)},
        "mxm0.drain": {20: i("DRAIN", acc=0, dst=E0)},
    }
    found = result_of(tile, queues, "mxm0", E0, 21)
    assert list(found.view(np.int32)) == (list(vectors[0] @ weights) if seen else [0] * 4)


@pytest.mark.parametrize(("early", "seen"), [(0, True), (1, False)])
def test_drain_behind_pass(early, seen):
    """pass_visible is the first DRAIN that sees it."""
    tile, weights, vectors = mxm_tile()
    drain = 10 + pass_visible(TINY) - early
    queues = {
        **load(3),
        "mxm0.passes": {10: i("PASS", ctx=3, act=0, acc=0, clear=1)},
        "mxm0.drain": {drain: i("DRAIN", acc=0, dst=E0)},
    }
    found = result_of(tile, queues, "mxm0", E0, drain + 1)
    assert list(found.view(np.int32)) == (list(vectors[0] @ weights) if seen else [0] * 4)


@pytest.mark.parametrize("op", ["LWR", "LWC"])
@pytest.mark.parametrize(
    ("later", "context", "seen"), [(1, 3, "old"), (2, 3, "hit"), (2, 1, "old"), (3, 3, "new")]
)
def test_pass_behind_lw(op, later, context, seen):
    tile, weights, vectors = mxm_tile()
    tile.slices["mxm0"].activations[0] = vectors[5]
    tile.slices["mxm0"].weights[1] = weights
    queues = {
        "host0.port": with_mask("1110"),
        "mem0.read": {27: i("READB", addr=4, dst=E0)},
        "mxm0.weights": {30: i(op, ctx=3, line=1, src=E0, mask=1)},
        "mxm0.passes": {30 + later: i("PASS", ctx=context, act=0, acc=0, clear=1)},
        "mxm0.drain": {50: i("DRAIN", acc=0, dst=E0)},
        "mem1.write": {52: i("WRITE", addr=9, src=E0)},
    }
    assert violation(run(tile, queues)) == (("COLLISION", 3, 32) if seen == "hit" else None)
    new = weights.copy()
    if op == "LWR":
        new[1, :3] = vectors[1][:3]
    else:
        new[:3, 1] = vectors[1][:3]
    assert (tile.slices["mxm0"].weights[3] == new).all()
    if seen != "hit":
        expected = vectors[5] @ (new if seen == "new" else weights)
        assert list(tile.read_memory("mem1", 9, 1)[0].view(np.int32)) == list(expected)


def test_la_keeps_lanes_outside_the_mask():
    tile, _, vectors = mxm_tile()
    tile.slices["mxm0"].activations[7] = vectors[6]
    assert (
        violation(
            run(
                tile,
                {
                    "host0.port": with_mask("1000"),
                    **{
                        "mem0.read": {20: i("READB", addr=0, dst=E0)},
                        "mxm0.load": {23: i("LA", act=7, src=E0, mask=1)},
                    },
                },
            )
        )
        is None
    )
    assert list(tile.slices["mxm0"].activations[7]) == [vectors[0][0], *vectors[6][1:]]


def test_extreme_products_are_exact():
    """64 lanes of -128 x -128, accumulated until int32 wraps."""
    total = product(np.full(64, -128), np.full((64, 64), -128))
    assert total.dtype == np.int32 and set(total.tolist()) == {1 << 20}
    assert accumulate(np.array([(1 << 31) - 1], np.int32), np.array([1], np.int32), False)[0] == -(1 << 31)
