"""The golden queues: when words dispatch and with which fields. Counts, strides, loops, SYNC, entries, runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from golden.tile import Deadlock, Tile, Timeout
from lpu.isa import Instruction, IsaError
from lpu.program import Program, ProgramError
from lpu.runtime.machine import MachineError
from lpu.timing import INDEX_VISIBLE, LOOP_CYCLES, SYNC_CYCLES, pass_visible
from tests.golden_tools import E0, TINY, TWICE, chain, i, program, ramp, run, tile_with, violation

READ = "mem0.read"


def dispatches(queues, entry: str = "main", queue: str = READ, **fields):
    """[(cycle, op, addr)] of one queue; words as lists here, not placed by cycle."""
    found = []

    def trace(cycle: int, name: str, instruction: Instruction) -> None:
        if name == queue:
            found.append((cycle, instruction.op, instruction.args.get("addr")))

    tile = Tile(TINY, trace)
    tile.load(Program(TINY, queues, **fields))
    result = tile.run(entry)
    assert result.violation is None
    return found, result


def reads(words, **others):
    """[(cycle, addr)] of the READs among mem0.read's words."""
    found, _ = dispatches({READ: words, **others})
    return [(cycle, addr) for cycle, op, addr in found if op == "READ"]


def read(addr: int = 0, **fields) -> Instruction:
    return i("READ", addr=addr, dst=E0, **fields)


HALT = Instruction("HALT")


def loop(count: int, length: int, step: int = 0, index: int = 0) -> Instruction:
    return Instruction("LOOP", {"count": count, "index": index, "length": length, "step": step})


def test_count_interval_gap_and_stride():
    words = [read(7, count=3, interval=4, gap=5, strides={"addr": -2}), read(1), HALT]
    found, result = dispatches({READ: words})
    assert found == [(0, "READ", 7), (4, "READ", 5), (8, "READ", 3), (14, "READ", 1), (15, "HALT", None)]
    assert result.cycles == 15


def test_nop_lasts_its_length():
    words = [i("NOP", count=3, interval=5, gap=2), read(1), i("NOP"), read(2), HALT]
    assert reads(words) == [(13, 1), (15, 2)]


def test_stride_wraps_in_the_slot():
    """The slot of mem0.read holds plane addresses, 8 bits: word addresses step through the same 8 bits."""
    words = [i("READB", addr=255, dst=E0, count=2, strides={"addr": 3}), HALT]
    found, _ = dispatches({READ: words})
    assert [addr for _, op, addr in found if op == "READB"] == [255, 2]


def test_loop_costs_at_its_start_and_not_behind():
    words = [loop(3, 2, step=4), read(1, index={"addr": 8}), read(0, gap=2), read(60), HALT]
    first = LOOP_CYCLES
    assert reads(words) == [
        *((first + 4 * k + n, (1 + 4 * k, 0)[n]) for k in range(3) for n in range(2)),
        (first + 12, 60),
    ]


def test_loop_of_no_iterations_is_skipped():
    """The word behind the body comes LOOP_CYCLES later, as the body's first would."""
    assert reads([loop(0, 2), read(1), read(2), read(3), HALT]) == [(LOOP_CYCLES, 3)]


def test_loop_index_wraps_and_steps_down():
    words = [loop(3, 1, step=-1), read(1, index={"addr": 8}, strides={"addr": 0}), HALT]
    found = []
    tile = Tile(
        TINY, lambda cycle, name, ins: found.append(ins.args.get("addr")) if ins.op == "READ" else None
    )
    tile.load(Program(TINY, {READ: words}))
    result = tile.run()
    # 1 + 0, then 1 + 65535 = 65536, whose low bits are 0; that needs more bits than there are.
    assert found == [1, 0, 63]
    assert violation(result) == ("RANGE", 1, LOOP_CYCLES + 1)


def test_nested_loops_and_their_indices():
    """8 is the innermost loop around a word, 9 the next; LOOP itself stands in the outer one."""
    words = [
        loop(2, 4, step=16),
        read(1, index={"addr": 8}),
        loop(1, 1, step=1, index=8),  # 1 + outer index
        read(2, index={"addr": 9}),
        read(3, index={"addr": 8}),
        HALT,
    ]
    found = [addr for _, addr in reads(words)]
    assert found == [1, 2, 3, 17, *[2 + 16] * 17, 3 + 16]


def test_inner_index_starts_again():
    words = [loop(2, 3), loop(2, 1, step=3), read(5, index={"addr": 8}), read(0), HALT]
    assert [addr for _, addr in reads(words)] == [5, 8, 0, 5, 8, 0]


def test_loop_count_from_an_index_register():
    """Read in the LOOP's own dispatch cycle: one cycle early it is still zero."""
    for at, count in ((INDEX_VISIBLE - 1, 0), (INDEX_VISIBLE, 3)):
        words = [i("NOP", count=at), loop(0, 1, index=2), read(9), HALT]
        assert len(reads(words, **{"host0.port": [i("CONFIG", x=2, value=3), HALT]})) == count


def test_index_is_read_at_every_dispatch():
    host = [i("CONFIG", x=2, value=5), HALT]
    words = [read(1, count=INDEX_VISIBLE + 2, index={"addr": 2}), HALT]
    assert [addr for _, addr in reads(words, **{"host0.port": host})] == [1] * INDEX_VISIBLE + [6, 6]


@pytest.mark.parametrize("notify", [4, 5, 9])
def test_sync_waits_for_the_next_notify(notify):
    """A NOTIFY in the cycle of the SYNC releases it, one before it is lost."""
    words = [i("NOP", count=4), i("SYNC"), read(1), HALT]
    other = [i("NOP", count=2), i("NOTIFY"), i("NOP", count=notify - 3), i("NOTIFY"), HALT]
    assert reads(words, **{"mem1.write": other}) == [(notify + SYNC_CYCLES, 1)]
    # Whichever queue comes first in the order.
    assert reads(words, **{"host0.port": other}) == [(notify + SYNC_CYCLES, 1)]


def test_notify_takes_a_cycle_and_releases_all():
    host = [i("NOP", count=7), i("NOTIFY"), i("CONFIG", x=1, value=1), HALT]
    waiting = [i("SYNC"), i("NOP", count=3), HALT]
    found, result = dispatches({"host0.port": host, READ: waiting, "mem1.read": waiting}, queue="host0.port")
    assert [(cycle, op) for cycle, op, _ in found if op != "NOP"] == [
        (7, "NOTIFY"),
        (8, "CONFIG"),
        (9, "HALT"),
    ]
    assert result.cycles == 7 + SYNC_CYCLES + 3


def test_cycle_count_is_the_last_halt_and_effects_still_happen():
    """HALT in cycle 2; the chain's register and the PASS's accumulator are written long after."""
    tile = tile_with(mem0=ramp(1))
    tile.slices["mxm0"].weights[0], tile.slices["mxm0"].activations[0] = 1, [1, 2, 3, 4]
    tile.slices["vxm0"].registers[0] = 0x3F800000
    queues = {
        "mxm0.passes": {0: i("PASS", count=2, ctx=0, act=0, acc=1, clear=0)},
        "vxm0.chain": {0: chain(a=3, a_at=0, f=1, d=3, to=2, to_at=7)},
    }
    result = run(tile, queues)
    assert (result.cycles, result.passes, result.violation) == (2, 2, None)
    assert pass_visible(TINY) > 2
    assert tile.slices["mxm0"].accumulators[1].tolist() == [20] * 4
    assert tile.slices["vxm0"].registers[7].tolist() == [0x40000000] * 4


def test_state_stays_from_run_to_run():
    tile = tile_with(mem0=ramp(4))
    add = {"host0.port": {0: i("INDEX", x=1, src=1, add=3, shift=0, bits=16)}}
    run(tile, add)
    tile.run()
    assert tile.index_registers()[1] == 6
    run(tile, {READ: {0: read(0)}, "mem1.write": {5: i("WRITE", addr=3, src=E0)}})
    assert (tile.read_memory("mem0", 0, 4) == ramp(4)).all()
    assert (tile.read_memory("mem1", 3, 1) == ramp(1)).all()
    tile.clear()
    assert tile.index_registers().tolist() == [0] * 8


def test_entries_and_missing_queues():
    words = [read(1), HALT, read(2), HALT]
    queues = {READ: words, "mem1.read": [HALT, HALT, i("NOP", count=20), HALT]}
    for entry, addr, cycles in (("main", 1, 1), ("second", 2, 20)):
        found, result = dispatches(queues, entry, entries={"main": 0, "second": 2})
        assert [a for _, op, a in found if op == "READ"] == [addr]
        assert result.cycles == cycles
    assert dispatches({})[1].cycles == 0


def test_images_fill_the_spaces():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 1 << 32, (2, 4), dtype=np.uint32)
    weights = rng.integers(-128, 128, (3, 4, 4)).astype(np.int8)
    tile = Tile(TINY)
    images = {"mem1": words.tobytes(), "mxm0": weights.tobytes(), "masks": bytes([15, 0b0101])}
    tile.load(program({}, images=images))
    assert (tile.read_memory("mem1", 0, 2) == words).all()
    assert (tile.slices["mxm0"].weights[:3] == weights).all()
    queues = {
        "mem1.read": {0: i("READ", addr=1, dst=E0 + 1)},
        "mem0.write": {5: i("WRITE", addr=0, src=E0 + 1, mask=1)},
    }
    assert violation(run(tile, queues)) is None
    assert tile.read_memory("mem0", 0, 1)[0].tolist() == [words[1][0], 0, words[1][2], 0]


def test_deadlock_and_timeout_say_who():
    tile = Tile(TINY)
    tile.load(Program(TINY, {READ: [i("SYNC"), HALT]}))
    with pytest.raises(Deadlock, match=r"deadlock in cycle 0: mem0\.read wait"):
        tile.run()
    tile.load(Program(TINY, {READ: [i("NOP", count=1000), HALT]}))
    with pytest.raises(Timeout, match=r"no end after 999 cycles: mem0\.read"):
        tile.run(max_cycles=999)
    assert tile.run(max_cycles=1000).cycles == 1000


def test_bad_requests_are_one_line():
    tile = Tile(TINY)
    with pytest.raises(MachineError, match="made for configuration twice"):
        tile.load(Program(TWICE))
    with pytest.raises(MachineError, match="no entry 'other': it has main"):
        tile.run("other")
    with pytest.raises(MachineError, match="words 60 to 64 of mem0: it has 0 to 63"):
        tile.read_memory("mem0", 60, 5)
    with pytest.raises(MachineError, match="no mem slice 'mxm0': it has mem0, mem1"):
        tile.write_memory("mxm0", 0, np.zeros((1, 4), np.uint32))
    with pytest.raises(IsaError, match=r"word 0: mem0\.read: READ: addr=64 is outside 0\.\.63"):
        tile.load(Program(TINY, {READ: [read(64)]}))
    with pytest.raises(ProgramError, match=r"queue 'mem9\.read'"):
        tile.load(Program(TINY, {"mem9.read": [HALT]}))
    tile.push_tokens(range(16))
    with pytest.raises(MachineError, match="no room for 1 tokens: 16 of 16"):
        tile.push_tokens([1])
    with pytest.raises(MachineError, match="no room for 9 vectors"):
        tile.push_vectors(np.zeros((9, 4), np.uint32))


def test_a_longer_row_runs_both_ways():
    """Streams east and west of each slice, over a floorplan with the host in the middle."""
    config = dataclasses.replace(TWICE, name="other")
    tile = tile_with(config, mem1=ramp(1))
    for code, sink, distance in ((0, "mem2", 4), (1, "mem0", 3)):
        write = {2 + distance - 1: i("WRITE", addr=5, src=code)}
        assert (
            violation(run(tile, {"mem1.read": {0: i("READ", addr=0, dst=code)}, f"{sink}.write": write}))
            is None
        )
        assert (tile.read_memory(sink, 5, 1) == ramp(1)).all()
