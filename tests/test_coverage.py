"""Functional coverage counts what programs do, names its holes, and is nearly whole after a few dozen programs."""

import pytest

from lpu.arch import load_config
from lpu.isa import Instruction, east
from lpu.program import Program
from tb.bins import classes_of, universe
from tb.coverage import Coverage
from tb.programs import MAX_CYCLES, illegal, legal

TINY = load_config("tiny")


@pytest.fixture(scope="module")
def covered():
    coverage = Coverage(TINY)
    for seed in range(50):
        coverage.run(legal(TINY, seed), MAX_CYCLES)
    for seed in range(35):
        coverage.run(illegal(TINY, seed)[0], MAX_CYCLES)
    return coverage


def test_a_few_dozen_programs_leave_few_holes(covered):
    holes = covered.holes()
    for group in (
        "op",
        "byte plane",
        "control",
        "loop",
        "mask",
        "chain source",
        "chain operand",
        "chain special",
    ):
        assert group not in holes, holes[group]
    bins = sum(len(b) for b in universe(TINY).values())
    assert sum(len(b) for b in holes.values()) < 0.12 * bins, covered.table()
    kinds = {name.split()[0] for (group, name) in covered.hits if group == "violation"}
    assert len(kinds) == 7


def test_the_table_names_groups_and_holes(covered):
    table = covered.table()
    assert "85 programs" in table
    for group in universe(TINY):
        assert group in table
    assert "host0.port HALT" in Coverage(TINY).table()


def test_one_program_hits_what_it_does():
    read = Instruction("READ", {"addr": 0, "dst": east(4)}, count=2, interval=3, strides={"addr": 1})
    program = Program(TINY, {"mem0.read": [read, Instruction("HALT")]}, symbols={"tokens": [], "vectors": []})
    coverage = Coverage(TINY)
    coverage.run(program, MAX_CYCLES)
    assert coverage.dispatches == 2
    hits = coverage.hits
    assert hits["op", "mem0.read READ"] == 2
    assert hits["stream", "mem0 inject E4"] == 2
    assert hits["address", "mem0.read READ addr first"] == 1
    assert hits["spacing", "mem0.read 3 to 7"] == 1
    assert hits["stride", "mem0.read up"] == 1
    assert hits["repeat", "interval 3 to 7"] == 1


def test_merging_adds():
    one, two = Coverage(TINY), Coverage(TINY)
    one.run(legal(TINY, 1), MAX_CYCLES)
    two.run(legal(TINY, 2), MAX_CYCLES)
    hits = one.hits + two.hits
    one.merge(two)
    assert one.hits == hits and one.programs == 2
    assert sum(map(len, one.holes().values())) <= sum(map(len, two.holes().values()))


def test_unknown_bins_are_mistakes():
    with pytest.raises(KeyError, match="byte plane: READB 4"):
        Coverage(TINY).hit("byte plane", "READB", 4)


def test_float_classes():
    words = [0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x3F800000]
    assert classes_of(TINY.float_format, words) == {"+0", "-0", "+inf", "-inf", "NaN", "ordinary"}
