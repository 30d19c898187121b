"""The text form: round trips, and errors that name the line."""

import dataclasses

import pytest

from lpu.arch import PRESETS, parse_floorplan
from lpu.asm import AsmError, format, format_instruction, parse, parse_instruction
from lpu.isa import Instruction
from tests.random_text import random_program

TINY = PRESETS["tiny"]
HELLO = """\
.config tiny
# A read, a loop, a chain.
.queue mem0.read
main:
    READ addr=4 dst=E0 x8 every 2 step addr+1 index addr=X1 gap 3  # comment
    LOOP count=5 length=1 step=8
    READB addr=0x10 dst=W3 x4 step addr-1 index addr=I0
    HALT
.queue vxm0.chain
    CHAIN a=INT32 a_at=E0 q=INT8 shift=-3 to=STREAM to_at=W1
again:
    HALT
.image mem0
    .zero 14
    .bytes 0a0B
"""


def test_the_text_means_what_it_says():
    program = parse(HELLO)
    assert program.config == TINY
    assert program.entries == {"main": 0, "again": 1}
    assert program.queues["mem0.read"] == [
        Instruction(
            "READ", {"addr": 4, "dst": 0}, count=8, interval=2, gap=3, strides={"addr": 1}, index={"addr": 1}
        ),
        Instruction("LOOP", {"count": 5, "index": 0, "length": 1, "step": 8}),
        Instruction("READB", {"addr": 16, "dst": 7}, count=4, strides={"addr": -1}, index={"addr": 8}),
        Instruction("HALT"),
    ]
    chain = program.queues["vxm0.chain"][0]
    assert {n: v for n, v in chain.args.items() if v} == {"q": 1, "shift": -3, "to": 1, "to_at": 3}
    assert program.images == {"mem0": bytes(14) + b"\x0a\x0b"}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", PRESETS)
def test_round_trip_is_exact(name, seed):
    program = random_program(PRESETS[name], seed)
    text = format(program)
    assert parse(text) == program
    assert format(parse(text)) == text


def test_a_configuration_of_ones_own_travels_with_the_text():
    config = dataclasses.replace(TINY, name="mine", floorplan=parse_floorplan("host mem:16 mxm mem:32"))
    program = random_program(config, 0)
    assert parse(format(program)) == program
    # Same name, other sizes: the text must not claim to be the preset.
    changed = dataclasses.replace(TINY, contexts=64)
    assert parse(format(random_program(changed, 1))).config == changed


def test_streams_registers_and_enums_read_by_name():
    text = "CHAIN a=REG a_at=3 b=STREAM b_at=E4 f=RSQRT to=REG to_at=5 mask=2"
    instruction = parse_instruction(TINY, "vxm0.chain", text)
    assert instruction.args["b_at"] == 8
    assert instruction.args["f"] == 3
    assert format_instruction(TINY, "vxm0.chain", instruction) == text
    text = "REDUCE acc=1 how=ARGMAX src=W4 clear=1 dst=E0"
    assert format_instruction(TINY, "sxm0.reduce", parse_instruction(TINY, "sxm0.reduce", text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the text is empty; it starts with .config"),
        (".queue mem0.read", "line 1: the first line has to be .config"),
        (".config nope", "line 1: no configuration 'nope'"),
        (".config {", "line 1: '{' is not JSON"),
        (".config tiny\nHALT", "line 2: 'HALT' belongs to no queue"),
        (".config tiny\n.queue mem7.read", "line 2: no queue 'mem7.read' in tiny"),
        (".config tiny\n.queue mem0.read\n\nJUMP", "line 4: mem0.read: no instruction 'JUMP'"),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=64 dst=E0",
            "line 3: mem0.read: READ: addr=64 is outside 0..63",
        ),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E8",
            "line 3: mem0.read: READ: dst=16 is outside 0..15",
        ),
        (".config tiny\n.queue mem0.read\nREAD addr=E0 dst=E0", "line 3: READ: addr=E0 takes no stream"),
        (".config tiny\n.queue mem0.read\nREAD addr=1", "line 3: mem0.read: READ: field dst is missing"),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 lane=3",
            "line 3: mem0.read: READ: no field lane",
        ),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 twice",
            "line 3: mem0.read: READ: 'twice' means nothing here",
        ),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 gap",
            "line 3: READ: gap: 'nothing' is not a number",
        ),
        (".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 x9999", "line 3: mem0.read: READ: count=9999"),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 index addr=Y1",
            "line 3: READ: index of addr=Y1 is no index",
        ),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 index addr=X9",
            "line 3: READ: index of addr=X9 is no index",
        ),
        (
            ".config tiny\n.queue mem0.read\nREAD addr=1 dst=E0 step addr+900",
            "line 3: mem0.read: READ: stride of addr=900",
        ),
        (
            ".config tiny\n.queue sxm0.reduce\nREDUCE acc=0 how=MEAN src=E0 dst=E0",
            "line 3: REDUCE: how=MEAN is none of SUM",
        ),
        (".config tiny\n.queue mem0.read\n.queue mem0.read", "line 3: queue mem0.read is here twice"),
        (
            ".config tiny\n.queue mem0.read\na:\nHALT\n.queue mem1.read\nHALT\na:",
            "line 7: entry a is at word 0 elsewhere",
        ),
        (".config tiny\n.bytes 00", "line 2: .bytes belongs to no image"),
        (".config tiny\n.image mem0\n.bytes 0g", "line 3: .bytes takes pairs of hexadecimal digits"),
        (
            ".config tiny\n.image mem0\n.zero 99999",
            "line 3: .zero 99999 is more than the 1024 bytes there are",
        ),
        (".config tiny\n.image mem0\n.bytes 00", "line 4: image mem0 has 1 bytes, not a multiple of 16"),
        (".config tiny\n.image vxm0", "line 2: no image space 'vxm0'"),
        (".config tiny\n.align 4", "line 2: no directive .align"),
    ],
)
def test_errors_name_the_line(text, message):
    with pytest.raises(AsmError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
