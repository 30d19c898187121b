"""The schedule builder and the schedule check: what one builds the other takes apart again.

The check expands queue words on its own; its verdicts are compared with those of the golden tile over random programs,
legal and illegal, and with programs written to break one rule each.
"""

import dataclasses
import random
import re
from pathlib import Path

import pytest

from golden.tile import Tile
from lpu import asm
from lpu.arch import PRESETS
from lpu.compiler import QueueOverflow, Schedule, ScheduleError, check_program, link
from lpu.compiler.expand import addresses, expand, slot_fields
from lpu.isa import Instruction, layout
from lpu.timing import LOOP_CYCLES, last_effect
from tb.programs import golden_outcome, illegal, legal

TINY = PRESETS["tiny"]
#: Where the check cannot know: it says so, and the comparison leaves these out.
UNSURE = re.compile(r"depends on data|cannot be ruled out|COLLISION.*mask=")


def dispatches(program, queue):
    """(cycle, op, field values) of every dispatch of a queue, by the check's expansion."""
    run = expand(program)
    assert not run.faults
    found = []
    for g in run.groups():
        if g.queue != queue:
            continue
        op = g.instruction.op
        columns = {n: addresses(run, g, n, w) for n, w, _ in slot_fields(program.config, queue, op)}
        for k, cycle in enumerate(g.times):
            values = g.instruction.args | {n: int(c[k]) for n, c in columns.items()}
            found.append((int(cycle), op, tuple(sorted(values.items()))))
    return sorted(found)


def random_schedule(rng):
    """Nested repetitions of a few reads: (cycle, op, values) of single dispatches, with gaps that loops may use."""
    items, cycle = [], rng.choice([0, 1, 12])
    for _ in range(rng.randrange(1, 4)):
        items.append(
            (
                cycle,
                rng.choice(["READ", "READB"]),
                {"addr": rng.randrange(12), "dst": rng.choice([0, 1, 8, 9])},
            )
        )
        cycle += rng.choice([1, 1, 2, 5, 80])
    for _ in range(rng.randrange(1, 4)):
        count, step = rng.randrange(2, 6), rng.choice([0, 0, 1, 2, 5])
        period = items[-1][0] - items[0][0] + 1 + rng.choice([0, LOOP_CYCLES, LOOP_CYCLES + 1, 20, 90])
        items = [
            (cycle + r * period, op, values | {"addr": values["addr"] + r * step})
            for r in range(count)
            for cycle, op, values in items
        ]
    return items


def test_what_is_built_dispatches_what_was_placed():
    rng = random.Random(5)
    loops = nested = overflows = 0
    for _ in range(600):
        config = dataclasses.replace(TINY, queue_depth=rng.choice([16, 16, 32]))
        items = random_schedule(rng)
        if max(v["addr"] for _, _, v in items) > 63:
            continue
        schedule = Schedule(config)
        for cycle, op, values in items:
            schedule.op("mem0.read", cycle, op, **values)
        try:
            program = link(config, {"main": schedule.build()})
        except QueueOverflow:
            overflows += 1
            continue
        wanted = sorted((c, o, tuple(sorted(v.items()))) for c, o, v in items)
        assert dispatches(program, "mem0.read") == wanted
        assert expand(program).cycles == schedule.end == program.cycles["main"]
        words = program.queues["mem0.read"]
        assert len(words) <= config.queue_depth
        loops += any(w.op == "LOOP" for w in words)
        nested += any(9 in w.index.values() for w in words)
    assert loops > 20, "too few of the schedules needed a loop"
    assert nested > 3
    assert overflows < 200


def test_runs_become_single_words():
    schedule = Schedule(TINY)
    for n in range(20):
        schedule.op("mem0.read", 5 + 3 * n, "READ", addr=60 - 3 * n, dst=8)
    built = schedule.build()
    assert built.queues["mem0.read"] == [
        Instruction("NOP", gap=4),
        Instruction("READ", {"addr": 60, "dst": 8}, count=20, interval=3, strides={"addr": -3}),
        Instruction("HALT"),
    ]


def test_long_waits_and_the_last_effect():
    schedule = Schedule(TINY)
    read = Instruction("READ", {"addr": 0, "dst": 0})
    schedule.place("mem0.read", 0, read)
    schedule.place("mem0.read", 200_000, read)
    schedule.place(
        "mem0.write", 100, write := Instruction("WRITE", {"addr": 0, "src": 1, "mask": 0}, count=3)
    )
    built = schedule.build()
    program = link(TINY, {"main": built})
    assert [c for c, _, _ in dispatches(program, "mem0.read")] == [0, 200_000]
    assert built.cycles == 200_001
    schedule = Schedule(TINY)
    schedule.place("mem0.write", 100, write)
    assert schedule.build().cycles == expand(link(TINY, {"main": schedule.build()})).cycles
    assert schedule.end == 102 + last_effect(write, TINY) + 1


def test_entries_start_every_queue_at_one_word():
    schedules = {}
    for label, queue, cycle in (("first", "mem0.read", 0), ("second", "mem1.read", 9)):
        schedule = Schedule(TINY)
        schedule.op(queue, cycle, "READ", addr=1, dst=0)
        schedules[label] = schedule.build()
    program = link(TINY, schedules)
    assert program.entries["first"] == 0 < program.entries["second"]
    for label, cycles in (("first", 1), ("second", 10)):
        assert check_program(program, label) == []
        tile = Tile(TINY)
        tile.load(program)
        assert tile.run(label).cycles == cycles == program.cycles[label]


def test_refusals_of_the_builder():
    schedule = Schedule(TINY)
    read = Instruction("READ", {"addr": 0, "dst": 0}, count=5, interval=2)
    for queue, cycle, instruction, words in (
        ("mem9.read", 0, read, "no queue 'mem9.read'"),
        ("mem0.read", -1, read, "needs a cycle from 0 on"),
        ("mem0.read", 0, dataclasses.replace(read, gap=1), "and no gap"),
        ("mem0.read", 0, Instruction("HALT"), "HALT is the builder's to make"),
    ):
        with pytest.raises(ScheduleError, match=re.escape(words)):
            schedule.place(queue, cycle, instruction)
    schedule.place("mem0.read", 0, read)
    schedule.place("mem0.read", 7, read)
    with pytest.raises(ScheduleError, match=r"mem0\.read cycle 7: READ meets READ, dispatched until 8"):
        schedule.build()


def test_overflow_says_how_much():
    config = dataclasses.replace(TINY, queue_depth=16)
    schedule = Schedule(config)
    rng = random.Random(0)
    for n in range(60):
        schedule.op("mem0.read", 2 * n, "READ", addr=rng.randrange(64), dst=rng.choice([0, 1, 8, 9]))
    with pytest.raises(
        QueueOverflow, match=r"queue mem0\.read needs \d+ words, tiny has room for 16: \d+ too many"
    ):
        schedule.build()


BROKEN = {
    # Two results on one stream: mem0's read arrives at sxm0 in the cycle of sxm0's own.
    "CONFLICT at sxm0": """
        .queue mem0.read
        READ addr=0 dst=E0 x9
        HALT
        .queue sxm0.move
        ROTATE n=1 src=E0 dst=E0
        HALT""",
    "NO_OPERAND at mxm0": """
        .queue mxm0.load
        LA act=0 src=W3
        HALT""",
    "PORT at mem0": """
        .queue mem0.read
        GATHER addr=0 src=E0 dst=E4 gap 1
        READ addr=1 dst=W0
        HALT""",
    "PORT at vxm0": """
        .queue vxm0.chain
        CHAIN a=REG a_at=0 to=REG to_at=1 x2
        HALT""",
    "COLLISION at mem0": """
        .queue mem0.write
        WRITE addr=5 src=E0
        HALT
        .queue mem0.read
        NOP gap 1
        READB addr=21 dst=E4
        HALT""",
    "COLLISION at mxm0": """
        .queue mxm0.weights
        LWR ctx=7 line=0 src=E0
        HALT
        .queue mxm0.passes
        NOP gap 1
        PASS ctx=7 act=0 acc=0 clear=1
        HALT""",
    "RANGE at mem1": """
        .queue host0.port
        CONFIG x=1 value=60
        HALT
        .queue mem1.read
        NOP gap 7
        READ addr=2 dst=E0 x3 step addr+1 index addr=X1
        HALT""",
    "UNDERFLOW at host0": """
        .queue host0.port
        POP x=1
        HALT""",
    "OVERFLOW at host0": """
        .queue host0.port
        PUSH src=0 x17
        HALT""",
    "runs past its last word": """
        .queue mem0.read
        READ addr=0 dst=E0""",
    "SYNC waits for a NOTIFY that never comes": """
        .queue mem0.read
        SYNC
        HALT""",
    "loops nest deeper than 3": """
        .queue mem0.read
        LOOP count=1 length=4
        LOOP count=1 length=4
        LOOP count=1 length=4
        LOOP count=1 length=1
        NOP
        NOP
        NOP
        NOP
        HALT""",
    "a body ends on the word on which an inner body ends": """
        .queue mem0.read
        LOOP count=2 length=2
        LOOP count=2 length=1
        NOP
        HALT""",
    "LOOP is the last word of a body": """
        .queue mem0.read
        LOOP count=2 length=1
        LOOP count=2 length=1
        NOP
        HALT""",
    "the prediction says 9": """
        .cycles main 9
        .queue mem0.read
        HALT""",
    "LOOP count depends on data": """
        .queue host0.port
        LDX x=1 src=E0
        HALT
        .queue mem0.read
        NOP gap 9
        LOOP count=1 index=X1 length=1
        NOP
        HALT""",
}


@pytest.mark.parametrize("words", BROKEN)
def test_each_rule(words):
    program = asm.parse(".config tiny\n" + BROKEN[words])
    texts = check_program(program)
    assert any(words in text for text in texts), texts
    if match := re.match(r"([A-Z_]+) at (\w+)$", words):
        tile = Tile(TINY)
        tile.load(program)
        seen = tile.run().violation
        assert any(
            t.startswith(f"cycle {seen.cycle}: {seen.kind.name} at {TINY.slice_names[seen.position]}")
            for t in texts
        )
        assert (
            seen.kind.name,
            TINY.slice_names[seen.position],
        ) == match.groups() or "NO_OPERAND" in seen.kind.name


def test_loops_indices_and_synchronisation_agree_with_the_golden_tile():
    program = asm.parse("""
        .config tiny
        .queue host0.port
        CONFIG x=2 value=3
        INDEX x=3 src=2 add=5 shift=1 bits=8
        LOOP count=0 index=X0 length=1
        CONFIG x=2 value=9
        NOP gap 20
        NOTIFY
        HALT
        .queue mem0.read
        SYNC
        LOOP count=1 index=X2 length=3 step=4
        READ addr=0 dst=E0 x2 step addr+1 index addr=I0 gap 5
        LOOP count=2 length=1 step=1
        READB addr=128 dst=E4 index addr=I0 gap 3
        NOP
        READ addr=1 dst=E0 index addr=X3
        HALT
    """)
    # The middle body ends with the inner one; move it apart.
    words = program.queues["mem0.read"]
    words[1] = dataclasses.replace(words[1], args=words[1].args | {"length": 4})
    run = expand(program)
    assert run.faults == []
    tile = Tile(TINY)
    tile.load(program)
    assert tile.run().cycles == run.cycles
    reads = [dict(values)["addr"] for _, _, values in dispatches(program, "mem0.read")]
    assert reads == [*(a for r in range(4) for a in (4 * r, 4 * r + 1, 128, 129)), 5]


def judged(program):
    """Violations that the check is sure of; None if it cannot know the time."""
    symbols = program.symbols
    texts = check_program(
        program, vectors_in=len(symbols.get("vectors", ())), tokens=symbols.get("tokens", ()), shown=None
    )
    if any("LOOP count depends" in t for t in texts):
        return None
    return [t for t in texts if not UNSURE.search(t)], texts


@pytest.mark.parametrize("seed", range(40))
def test_random_legal_programs_pass(seed):
    if (verdict := judged(legal(TINY, seed))) is not None:
        assert verdict[0] == []


def test_random_illegal_programs_do_not_pass():
    known = 0
    for seed in range(40):
        program, what = illegal(TINY, seed)
        _, result = golden_outcome(program)
        verdict = judged(program)
        if verdict is None:
            continue
        first = result.violation
        wanted = f"cycle {first.cycle}: {first.kind.name} at {TINY.slice_names[first.position]}"
        assert verdict[1], (seed, what)
        if any(t.startswith(wanted) for t in verdict[1]):
            known += 1
        else:
            assert any("depends on data" in t or "ruled out" in t for t in verdict[1]), (seed, what, wanted)
    assert known > 20


def test_a_word_that_cannot_be_encoded():
    program = asm.parse(".config tiny\n.queue mem0.read\nHALT")
    program.queues["mem0.read"].insert(0, Instruction("READ", {"addr": 64, "dst": 0}))
    assert check_program(program) == ["cycle 0: word 0: mem0.read: READ: addr=64 is outside 0..63"]
    assert "READ" in layout(TINY, "mem0.read").ops


def test_the_program_in_the_readme_is_legal():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    section = readme.split("## A program")[1].split("##")[0]
    text = "\n".join(line for line in section.splitlines() if line.startswith("    "))
    program = asm.parse(text)
    assert check_program(program) == []
    assert sum(d.instruction.count for d in expand(program).dispatches if d.instruction.op == "PASS") == 4
