"""The golden tile latches the first violation: kind, slice position and cycle as docs/architecture.md says."""

from __future__ import annotations

import pytest

from golden.tile import Tile
from lpu.isa import Destination, Operand, Quantise, Reduction, Source, Special
from lpu.timing import ADD, MULTIPLY, SPECIAL
from tests.golden_tools import E0, E4, TINY, W0, chain, i, ramp, run, tile_with, violation

READ_E0 = {"mem0.read": {0: i("READ", addr=0, dst=E0)}}  # at sxm0, mxm0, vxm0, mem1 in cycle 3, 4, 5, 6


def outcome(queues, tile: Tile | None = None) -> tuple[str, int, int] | None:
    return violation(run(tile or tile_with(mem0=ramp(8), mem1=ramp(8)), queues))


# 1 CONFLICT


@pytest.mark.parametrize(("dispatch", "found"), [(3, None), (4, ("CONFLICT", 3, 5)), (5, None)])
def test_conflict_with_a_passing_value(dispatch, found):
    """DRAIN of mxm0 drives its output at dispatch + 1; the value of mem0 leaves there in cycle 2 + 2 + 1."""
    read = {"mem0.read": {1: i("READ", addr=0, dst=E0)}}
    assert outcome({**read, "mxm0.drain": {dispatch: i("DRAIN", acc=0, dst=E0)}}) == found
    assert outcome({**read, "mxm0.drain": {dispatch: i("DRAIN", acc=0, dst=E4)}}) is None
    assert outcome({**read, "mxm0.drain": {dispatch: i("DRAIN", acc=0, dst=W0)}}) is None


def test_conflict_westward():
    queues = {
        "mem1.read": {0: i("READ", addr=0, dst=W0)},  # leaves mem1 in cycle 2, vxm0 in 3, mxm0 in 4
        "mxm0.drain": {3: i("DRAIN", acc=0, dst=W0)},
    }
    assert outcome(queues) == ("CONFLICT", 3, 4)


def test_conflict_is_where_the_later_one_enters():
    """The sum of sxm0 leaves westward in cycle 7 and meets a word of mem0, known earlier, in cycle 8."""
    queues = {
        "mem0.read": {0: i("READ", addr=0, dst=E0), 6: i("READ", addr=0, dst=W0)},
        "sxm0.reduce": {2: i("REDUCE", acc=0, how=Reduction.SUM, src=E0, clear=1, emit=1, dst=W0)},
    }
    assert outcome(queues) == ("CONFLICT", 1, 8)


def test_conflict_of_one_byte_stream():
    """A byte on E2 meets a word on E0 to E3; on E4 it does not."""
    for stream, found in ((2, ("CONFLICT", 2, 5)), (4, None)):
        queues = {
            "mem0.read": {2: i("READ", addr=0, dst=E0)},
            "sxm0.move": {2: i("TREAD", n=0, dst=2 * stream)},
        }
        assert outcome(queues) == found


def test_conflict_of_two_results_of_one_slice():
    """A move and a reduction of the SXM in one cycle."""
    queues = {
        "mem0.read": {0: i("READ", count=4, addr=0, dst=E0)},
        "sxm0.reduce": {2: i("REDUCE", acc=0, how=Reduction.SUM, src=E0, clear=1, emit=1, dst=E4)},
        "sxm0.move": {4: i("ROTATE", n=0, src=E0, dst=E4)},
    }
    assert outcome(queues) == ("CONFLICT", 2, 7)
    queues["sxm0.move"] = {5: i("ROTATE", n=0, src=E0, dst=E4)}
    assert outcome(queues) is None


# 2 NO_OPERAND


@pytest.mark.parametrize(
    ("queue", "instruction", "position"),
    [
        ("host0.port", i("VPUSH", src=W0), 0),
        ("host0.port", i("LDX", x=1, src=W0), 0),
        ("mem0.write", i("WRITE", addr=0, src=E0), 1),
        ("mem1.write", i("WRITEB", addr=0, src=E0), 5),
        ("mem1.write", i("SCATTER", addr=0, src=E0, at=E4), 5),
        ("mem1.read", i("GATHER", addr=0, src=E0, dst=W0), 5),
        ("mxm0.load", i("LA", act=0, src=E0), 3),
        ("mxm0.weights", i("LWR", ctx=0, line=0, src=E0), 3),
        ("mxm0.weights", i("LWC", ctx=0, line=0, src=E0), 3),
        ("sxm0.move", i("SHIFTD", n=1, src=E0, dst=E4), 2),
        ("sxm0.move", i("PERMUTE", map=1, src=E0, dst=E4), 2),
        ("sxm0.move", i("LDMAP", map=1, src=E0), 2),
        ("sxm0.move", i("TLOAD", n=1, src=E0), 2),
        ("sxm0.reduce", i("REDUCE", acc=0, how=0, src=E0, clear=1, emit=0, dst=E4), 2),
        ("vxm0.chain", chain(), 4),
        ("vxm0.chain", chain(a=Source.INT8, a_at=2), 4),
    ],
)
def test_sample_of_nothing(queue, instruction, position):
    """Every operand is sampled the cycle after dispatch."""
    assert outcome({queue: {6: instruction}}) == ("NO_OPERAND", position, 7)


def test_a_slice_does_not_see_what_it_injects():
    queues = {**READ_E0, "mem0.write": {1: i("WRITE", addr=0, src=E0)}}
    assert outcome(queues) == ("NO_OPERAND", 1, 2)


def test_operands_of_later_stages():
    """b, c and d are sampled in their own cycles, also if the result has been tapped before."""
    tile = tile_with()
    tile.slices["vxm0"].registers[0] = 0x3F800000
    held = {"a": Source.REG, "a_at": 0, "to_at": E4}
    assert outcome({"vxm0.chain": {5: chain(**held, c=Operand.STREAM, c_at=E0)}}, tile) == (
        "NO_OPERAND",
        4,
        5 + 2 + MULTIPLY - 1,
    )
    tapped = chain(**held, f=Special.EXP2, d=Operand.STREAM, d_at=W0, tap=1)
    assert outcome({"vxm0.chain": {5: tapped}}, tile) == ("NO_OPERAND", 4, 5 + 2 + MULTIPLY + SPECIAL - 1)


# 3 PORT


@pytest.mark.parametrize(("later", "found"), [(1, None), (2, ("PORT", 5, 7)), (3, None)])
def test_read_against_gather(later, found):
    queues = {
        **READ_E0,
        "mem1.read": {5: i("GATHER", addr=0, src=E0, dst=W0), 5 + later: i("READB", addr=0, dst=W0 + 8)},
    }
    assert outcome(queues) == found


def test_chains_closer_than_their_beats():
    held = chain(a=Source.REG, a_at=0, to=Destination.REG, to_at=1)
    assert outcome({"vxm0.chain": {3: held, 4: held}}) == ("PORT", 4, 4)
    assert outcome({"vxm0.chain": {3: held, 5: held}}) is None


@pytest.mark.parametrize("overlap", [-2, -1, 0, 1, 2])
def test_chains_that_meet_at_a_stage(overlap):
    """A long chain comes to MUL2 ``overlap`` cycles after a short one; each stays there for two beats.

    A register result of both would meet behind MUL2 too, so only one has a destination.
    """
    held = {"a": Source.REG, "a_at": 0}
    accumulate = {"q": Quantise.INT32, "to": Destination.NONE, "accumulate": 1}
    long = chain(**held, c=Operand.SELF, d=Operand.SELF, to=Destination.REG)
    short = chain(**held, d=Operand.SELF, **accumulate)
    start = 10 + ADD - overlap
    shared = 10 + 2 + MULTIPLY + ADD + max(0, -overlap)
    found = ("PORT", 4, shared) if abs(overlap) < 2 else None
    assert outcome({"vxm0.chain": {10: long, start: short}}) == found


@pytest.mark.parametrize(
    ("later", "found"), [(ADD - 2, None), (ADD - 1, 0), (ADD, 0), (ADD + 1, 1), (ADD + 2, None)]
)
def test_chains_that_meet_at_the_output(later, found):
    """P + 1 and a copy use no common stage at the same time, but the same output register."""
    held = {"a": Source.REG, "a_at": 0, "to": Destination.REG, "to_at": 2}
    queues = {"vxm0.chain": {10: chain(**held, c=Operand.SELF), 10 + later: chain(**held)}}
    out = 10 + 2 + MULTIPLY + ADD
    assert outcome(queues) == (None if found is None else ("PORT", 4, out + found))
    if found is not None:  # nothing to meet without a destination
        quiet = chain(**{**held, "to": 0}, q=Quantise.INT32, accumulate=1)
        assert outcome({"vxm0.chain": {10: chain(**held, c=Operand.SELF), 10 + later: quiet}}) is None


# 4 COLLISION


def test_collision_counts_masked_lanes_only():
    tile = tile_with(mem0=ramp(8), mem1=ramp(8))
    host = {"host0.port": {0: i("CONFIG", x=1, value=0), 1: i("TAIL", mask=1, src=1)}}
    for mask, found in ((0, ("COLLISION", 5, 27)), (1, None)):
        queues = {
            **host,
            "mem0.read": {20: i("READB", addr=0, dst=E0)},
            "mem1.write": {25: i("WRITEB", addr=4 * 3 + 1, src=E0, mask=mask)},
            "mem1.read": {27: i("READB", addr=4 * 3 + 2, dst=W0)},
        }
        assert outcome(queues, tile) == found


@pytest.mark.parametrize(("word", "found"), [(2, ("COLLISION", 5, 9)), (3, None)])
def test_collision_with_a_gather_is_lane_by_lane(word, found):
    """Lane 3 gathers word 2, the others none that is written."""
    tile = tile_with(mem0=[[0, 0, 0, 2], [5] * 4], mem1=ramp(8))
    queues = {
        "mem0.read": {2: i("READ", addr=0, dst=E0), 3: i("READ", addr=1, dst=E0 + 8)},
        "mem1.read": {7: i("GATHER", addr=0, src=E0, dst=W0)},
        "mem1.write": {7: i("WRITE", addr=word, src=E0)},
    }
    assert outcome(queues, tile) == found


def test_collision_of_weights_needs_the_same_context():
    for context, found in ((1, ("COLLISION", 3, 5)), (2, None)):
        queues = {
            **READ_E0,
            "mxm0.weights": {3: i("LWC", ctx=1, line=2, src=E0)},
            "mxm0.passes": {5: i("PASS", ctx=context, act=0, acc=0, clear=1)},
        }
        assert outcome(queues) == found


# 5 RANGE


@pytest.mark.parametrize(("value", "found"), [(62, None), (63, ("RANGE", 1, 12))])
def test_indexed_address_past_the_end(value, found):
    queues = {
        "host0.port": {0: i("CONFIG", x=1, value=value)},
        "mem0.read": {12: i("READ", addr=1, dst=E0, index={"addr": 1})},
    }
    assert outcome(queues) == found


def test_stride_past_a_narrower_field():
    """Word addresses have six bits in a slot of eight: a stride may carry them out."""
    queues = {"mem0.read": {4: i("READ", addr=63, dst=E0, count=2, strides={"addr": 1})}}
    assert outcome(queues) == ("RANGE", 1, 5)


# 6 UNDERFLOW, 7 OVERFLOW


def test_fifos_that_are_empty_or_full():
    assert outcome({"host0.port": {3: i("POP", x=1)}}) == ("UNDERFLOW", 0, 4)
    assert outcome({"host0.port": {3: i("VPOP", dst=E0)}}) == ("UNDERFLOW", 0, 3)
    tile = Tile(TINY)
    tile.push_tokens([1])
    assert outcome({"host0.port": {3: i("POP", x=1)}}, tile) is None
    assert outcome({"host0.port": {3: i("PUSH", src=0, count=16)}}, tile) is None
    assert outcome({"host0.port": {3: i("PUSH", src=0)}}, tile) == ("OVERFLOW", 0, 4)
    assert tile.pop_tokens() == [0] * 16
    queues = {
        "mem0.read": {0: i("READ", count=9, addr=0, dst=W0)},
        "host0.port": {2: i("VPUSH", src=W0, count=9)},
    }
    assert outcome(queues, tile) == ("OVERFLOW", 0, 2 + 8 + 1)
    assert len(tile.pop_vectors()) == 8


# The first one


def test_first_is_by_cycle_then_position_then_kind():
    """Found in another order than their cycles: a conflict far ahead, nothing sampled twice, an empty FIFO."""
    conflict = {"mxm0.drain": {0: i("DRAIN", acc=0, dst=E0)}, "vxm0.chain": {0: chain(a=3, to_at=E0)}}
    nothing = {"mem1.write": {2: i("WRITE", addr=0, src=W0)}, "mem0.write": {2: i("WRITE", addr=0, src=E0)}}
    assert outcome({**conflict, **nothing}) == ("NO_OPERAND", 1, 3)
    assert outcome({"mem1.write": nothing["mem1.write"]}) == ("NO_OPERAND", 5, 3)
    # One slice and cycle: NO_OPERAND (2) before COLLISION (4).
    late = {
        "mem0.read": {0: i("READ", addr=0, dst=E0)},
        "mem1.write": {5: i("WRITE", addr=0, src=E0), 6: i("WRITE", addr=1, src=E0)},
        "mem1.read": {7: i("READ", addr=0, dst=W0)},
    }
    assert outcome(late) == ("NO_OPERAND", 5, 7)


def test_violation_of_a_run_does_not_stay():
    tile = tile_with(mem0=ramp(1))
    assert outcome({"mem1.write": {0: i("WRITE", addr=0, src=E0)}}, tile) == ("NO_OPERAND", 5, 1)
    assert outcome({"mem1.read": {0: i("READ", addr=0, dst=W0)}}, tile) is None


def test_streams_are_remembered_long_enough():
    """A value in flight in every cycle, over more cycles than the fabric keeps a generation of streams."""
    tile = tile_with(mem0=ramp(8))
    queues = {
        "mem0.read": {1000 * n: i("READ", addr=n, count=1000, dst=E0) for n in range(4)},
        "mem1.write": {5 + 1000 * n: i("WRITE", addr=n, count=1000, src=E0) for n in range(4)},
    }
    assert outcome(queues, tile) is None
    assert (tile.read_memory("mem1", 0, 4) == ramp(4)).all()
    queues["mem1.write"][4005] = i("WRITE", addr=9, src=E0)
    assert outcome(queues, tile) == ("NO_OPERAND", 5, 4006)
