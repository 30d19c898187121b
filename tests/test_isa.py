"""Encodings: literal words worked by hand, round trips over every op, refusals, and the generated page."""

import itertools
import random

import pytest

from lpu import docs
from lpu.arch import PRESETS
from lpu.isa import (
    Instruction,
    IsaError,
    decode,
    east,
    encode,
    layout,
    queue_names,
    stream_name,
    unit_of,
    west,
)
from tests.random_text import random_instruction

TINY, SMALL = PRESETS["tiny"], PRESETS["ecp5-25f"]
CHAIN = {f.name: 0 for f in unit_of(TINY, "vxm0.chain").ops[0].fields}


@pytest.mark.parametrize(
    ("config", "queue", "instruction", "word"),
    [
        (TINY, "mem0.read", Instruction("HALT"), 0),
        # op 1 | gap 63 << 4 | 2 << 10 | 63 << 20
        (TINY, "mem0.read", Instruction("NOP", count=3, interval=64, gap=63), 0x3F00BF1),
        # op 2 | count 5 << 26 | I0 = 8 << 38 | length 1 << 42 | step 8 << 50
        (
            TINY,
            "mem0.read",
            Instruction("LOOP", {"count": 5, "index": 8, "length": 1, "step": 8}),
            0x0020060014000002,
        ),
        # op 9 | gap 3 << 4 | 3 << 10 | 1 << 20 | addr 0x25 << 26 | X1 << 34 | stride 1 << 38 | W3 = 7 << 46
        (
            TINY,
            "mem0.read",
            Instruction(
                "READB",
                {"addr": 0x25, "dst": 7},
                count=4,
                interval=2,
                gap=3,
                strides={"addr": 1},
                index={"addr": 1},
            ),
            0x1C04494100C39,
        ),
        # op 8 | 6 << 10 | ctx 5 << 26, 1 << 40 | act 31 << 50, -1 << 59 | acc 2 << 64 | clear << 76
        (
            SMALL,
            "mxm0.passes",
            Instruction(
                "PASS", {"ctx": 5, "act": 31, "acc": 2, "clear": 1}, count=7, strides={"ctx": 1, "act": -1}
            ),
            0x1002F87C010014001808,
        ),
        # op 8 | q 1 << 66 | shift -3 mod 64 << 68 | to 1 << 75 | W1 = 3 << 77
        (
            TINY,
            "vxm0.chain",
            Instruction("CHAIN", CHAIN | {"q": 1, "shift": -3, "to": 1, "to_at": 3}),
            0x6BD40000000000000008,
        ),
    ],
)
def test_literal_words(config, queue, instruction, word):
    assert encode(config, queue, instruction) == word
    assert decode(config, queue, word) == instruction


@pytest.mark.parametrize("name", PRESETS)
def test_every_op_comes_back(name):
    config = PRESETS[name]
    rng = random.Random(name)
    for queue in queue_names(config):
        for op in layout(config, queue).ops:
            for _ in range(12):
                instruction = random_instruction(config, queue, rng, op)
                word = encode(config, queue, instruction)
                assert word < 1 << layout(config, queue).width
                assert decode(config, queue, word) == instruction


def test_fields_do_not_overlap():
    for config in PRESETS.values():
        for queue in queue_names(config):
            lay = layout(config, queue)
            for op in lay.ops.values():
                slots = {f.slot for f in op.fields if f.slot is not None}
                spans = [(s.offset, s.end) for n, s in enumerate(lay.slots) if n in slots]
                spans += [
                    (o, o + w) for f in op.fields if f.slot is None for o, w in [lay.fields[op.name][f.name]]
                ]
                spans.sort()
                assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)), (queue, op.name)
                assert all(26 <= a < b <= lay.width for a, b in spans), (queue, op.name)


@pytest.mark.parametrize(
    ("queue", "instruction", "words"),
    [
        ("mem0.read", Instruction("PASS"), "mem0.read: no instruction 'PASS'; it has HALT, NOP, LOOP"),
        ("mem9.read", Instruction("READ"), "no queue 'mem9.read' in tiny"),
        ("mem0.read", Instruction("READ", {"addr": 64, "dst": 0}), "addr=64 is outside 0..63"),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 2}), "dst=E1 starts no word"),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 16}), "dst=16 is outside 0..15"),
        ("mem0.read", Instruction("READ", {"addr": 0}), "field dst is missing"),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 0, "src": 1}), "no field src"),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 0}, strides={"dst": 1}), "stride on dst"),
        (
            "mem0.read",
            Instruction("READ", {"addr": 0, "dst": 0}, strides={"addr": 256}),
            "stride of addr=256",
        ),
        (
            "mem0.read",
            Instruction("READ", {"addr": 0, "dst": 0}, index={"addr": 11}),
            "index select 11 of addr",
        ),
        (
            "mem0.read",
            Instruction("READ", {"addr": 0, "dst": 0}, count=1025),
            "count=1025 is outside 1..1024",
        ),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 0}, interval=65), "interval=65"),
        ("mem0.read", Instruction("READ", {"addr": 0, "dst": 0}, gap=64), "gap=64"),
        ("mem0.read", Instruction("HALT", gap=1), "have no meaning here"),
        (
            "mem0.read",
            Instruction("LOOP", {"count": 1, "index": 0, "length": 0, "step": 0}),
            "at least one word",
        ),
        ("host0.port", Instruction("CONFIG", {"x": 0, "value": 1}), "X0 always reads as zero"),
        ("host0.port", Instruction("TAIL", {"mask": 0, "src": 1}), "mask 0 is always all lanes"),
        ("host0.port", Instruction("INDEX", {"x": 1, "src": 0, "add": 0, "shift": 0, "bits": 17}), "bits=17"),
        ("vxm0.chain", Instruction("CHAIN", CHAIN), "the result goes nowhere"),
        ("vxm0.chain", Instruction("CHAIN", CHAIN | {"b": 3, "to": 1}), "b=SELF does not exist"),
        ("vxm0.chain", Instruction("CHAIN", CHAIN | {"accumulate": 1}), "set q"),
        ("vxm0.chain", Instruction("CHAIN", CHAIN | {"q": 1, "to": 2}), "registers hold floats"),
        (
            "vxm0.chain",
            Instruction("CHAIN", CHAIN | {"a": 3, "a_at": 16, "to": 1}),
            "a_at=16 is outside 0..15",
        ),
        ("vxm0.chain", Instruction("CHAIN", CHAIN | {"a": 4, "a_at": 8, "to": 1}), "a_at=8 is outside 0..7"),
        ("vxm0.chain", Instruction("CHAIN", CHAIN | {"a_at": 3, "to": 1}), "a_at=W1 starts no word"),
    ],
)
def test_refusals(queue, instruction, words):
    with pytest.raises(IsaError) as caught:
        encode(TINY, queue, instruction)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_opcode():
    with pytest.raises(IsaError, match=r"mxm0\.drain: no instruction has opcode 15"):
        decode(TINY, "mxm0.drain", 15)


def test_streams_by_name():
    assert [stream_name(s) for s in (east(4), west(0), west(7))] == ["E4", "W0", "W7"]


def test_the_page_is_current():
    assert docs.PAGE.read_text() == docs.page(), "docs/isa.md is behind the declarations: run make docs"


def test_the_page_names_everything():
    text = docs.page()
    for config in PRESETS.values():
        for queue in queue_names(config):
            for op in layout(config, queue).ops:
                assert f"### {op} (opcode" in text
    assert "PASS" in docs.listing(TINY)
