"""The schedule check where index registers decide: loop counts, addresses, and cycle formulas of a run's start."""

import dataclasses
import time

import pytest

from golden.tile import Tile
from lpu import asm
from lpu.arch import PRESETS
from lpu.compiler import check_program
from lpu.compiler.expand import expand
from lpu.program import ProgramError
from lpu.runtime.cycles import evaluate

TINY = PRESETS["tiny"]
POSITION = 2
#: A decode step in small: X2 is the position, a block of products for every four of it, an arg-max read back into X1,
#: and one row copied from where X1 says to where X1 says.
DECODE = """
    .config tiny
    .cycles decode "44 + 20 * ((position >> 2) + 1)"
    .symbol registers {"position": 2, "token": 1}
    .queue host0.port
    decode:
        INDEX x=3 src=2 add=0 shift=2 bits=8 gap 30
        LOOP count=1 index=X3 length=1
        NOP x20
        LDX x=1 src=W0
        HALT
    .queue mem0.read
        NOP gap 7
        LOOP count=1 index=X3 length=1 step=16
        READB addr=0 dst=E0 x4 step addr+4 index addr=I0 gap 16
        NOP gap 26
        READ addr=0 dst=E0 index addr=X1
        HALT
    .queue mxm0.load
        NOP gap 10
        LOOP count=1 index=X3 length=1
        LA act=0 src=E0 x4 step act+1 gap 16
        HALT
    .queue mxm0.passes
        NOP gap 12
        LOOP count=1 index=X3 length=2 step=4
        PASS ctx=0 act=0 acc=0 clear=1 index ctx=I0
        PASS ctx=1 act=1 acc=0 clear=0 x3 step ctx+1 act+1 index ctx=I0 gap 16
        HALT
    .queue mxm0.drain
        NOP gap 23
        LOOP count=1 index=X3 length=1
        DRAIN acc=0 dst=E4 gap 19
        DRAIN acc=0 dst=W0
        HALT
    .queue sxm0.reduce
        NOP gap 24
        LOOP count=1 index=X3 length=1
        NOP x20
        REDUCE acc=0 how=ARGMAX src=W0 clear=1 emit=1 dst=W0
        HALT
    .queue mem1.write
        NOP gap 25
        LOOP count=1 index=X3 length=1 step=1
        WRITE addr=8 src=E4 index addr=I0 gap 19
        NOP gap 13
        WRITE addr=0 src=E0 index addr=X1
        HALT
"""


def decode():
    return asm.parse(DECODE)


def judge(program, position, **options):
    options.setdefault("loaded", [3])
    return check_program(program, "decode", registers={POSITION: position}, **options)


@pytest.mark.parametrize("position", [0, 3, 4, 21, 27])
def test_a_run_is_proven_for_its_registers(position):
    program = decode()
    assert judge(program, position) == []
    tile = Tile(TINY)
    # Registers keep their values from run to run.
    tile.load(asm.parse(f".config tiny\n.queue host0.port\nPOP x={POSITION}\nHALT"))
    tile.push_tokens([position])
    tile.run()
    tile.load(program)
    result = tile.run("decode")
    assert result.violation is None
    assert result.cycles == evaluate(program.cycles["decode"], position=position)
    run = expand(program, "decode", registers={POSITION: position}, loaded=[3])
    assert run.cycles == result.cycles
    assert sum(d.instruction.count for d in run.dispatches if d.instruction.op == "PASS") == result.passes


def changed(program, queue, word, **values):
    """The program with one word's count, gap, or fields changed."""
    words = program.queues[queue]
    repeats = words[word].op != "LOOP"
    own = {n: v for n, v in values.items() if n in ("gap", "count", "strides", "index") and repeats}
    args = {**words[word].args, **{n: v for n, v in values.items() if n not in own}}
    words[word] = dataclasses.replace(words[word], args=args, **own)
    return program


@pytest.mark.parametrize(
    ("queue", "word", "values", "expected"),
    [
        # One word a cycle late.
        ("host0.port", 0, {"gap": 31}, "NO_OPERAND at host0"),
        ("mem0.read", 0, {"gap": 8}, "NO_OPERAND at mxm0"),
        ("mem0.read", 2, {"gap": 17}, "NO_OPERAND at mxm0"),
        ("mem0.read", 3, {"gap": 27}, "NO_OPERAND at mem1"),
        ("mxm0.load", 2, {"gap": 15}, "NO_OPERAND at mxm0"),
        ("mxm0.drain", 2, {"gap": 20}, "NO_OPERAND at mem1"),
        ("sxm0.reduce", 2, {"count": 21}, "NO_OPERAND at sxm0"),
        ("mem1.write", 3, {"gap": 14}, "the prediction says"),
        # Another step: the last iterations read or write past the end.
        ("mem0.read", 1, {"step": 52}, "RANGE at mem0"),
        ("mem0.read", 2, {"strides": {"addr": 64}}, "RANGE at mem0"),
        ("mxm0.passes", 1, {"step": 6}, "RANGE at mxm0"),
        ("mem1.write", 1, {"step": 12}, "RANGE at mem1"),
        # Another count, or none from the register.
        ("host0.port", 1, {"count": 0}, "NO_OPERAND at host0"),
        ("mem0.read", 1, {"count": 0}, "NO_OPERAND at mxm0"),
        ("mxm0.load", 1, {"count": 2}, "NO_OPERAND at mxm0"),
        ("mem1.write", 1, {"index": 0}, "NO_OPERAND at mem1"),
        ("host0.port", 0, {"shift": 3}, "the prediction says"),
        ("mem0.read", 4, {"addr": 62}, "RANGE at mem0"),
    ],
)
def test_a_changed_word_is_found(queue, word, values, expected):
    program = decode()
    assert judge(program, 21) == []
    if queue == "mem0.read" and "strides" in values:
        # Byte planes 0, 64, 128, 192 and 16 a block: past 255 from the fifth block on.
        assert judge(changed(program, queue, word, **values), 3) == []
    texts = judge(changed(program, queue, word, **values), 21)
    assert any(expected in text for text in texts), texts


def test_masks_and_registers_take_their_time():
    """An index written less than INDEX_VISIBLE before is legal; what is seen is the old one."""
    text = """
        .config tiny
        .queue host0.port
        CONFIG x=1 value=60
        HALT
        .queue mem0.read
        NOP gap 2
        READ addr=4 dst=E0 index addr=X1
        HALT"""
    assert check_program(asm.parse(text)) == []
    (late,) = check_program(asm.parse(text.replace("gap 2", "gap 3")))
    assert "RANGE at mem0" in late and "addr=64" in late
    (early,) = check_program(asm.parse(text), registers={1: 61})
    assert "RANGE at mem0" in early and "addr=65" in early


def test_what_is_not_given_depends_on_data():
    texts = judge(decode(), 5, loaded=[])
    assert len(texts) == 2 and all("addr depends on data; it cannot be checked" in t for t in texts)
    assert {t.split()[2] for t in texts} == {"mem0.read", "mem1.write"}
    assert any("RANGE" in t for t in judge(decode(), 5, loaded=[64]))
    # What LDX finds is cut to 16 bits, as the machine does.
    assert judge(decode(), 5, loaded=[(1 << 16) + 3]) == []


def test_one_visit_of_a_word_known_and_the_next_not():
    text = """
        .config tiny
        .queue host0.port
        POP x=1 x2 every 10
        HALT
        .queue mem0.read
        NOP gap 9
        LOOP count=2 length=1
        READ addr=0 dst=E0 index addr=X1 gap 9
        HALT"""
    assert check_program(asm.parse(text), tokens=[1, 2]) == []
    texts = check_program(asm.parse(text), tokens=[1])
    assert [t.split(":")[0] for t in texts] == ["cycle 11", "cycle 23"]
    assert "UNDERFLOW" in texts[0] and "addr depends on data" in texts[1]


def test_predictions_by_name():
    program = decode()
    assert judge(program, 9, cycles="44 + 20 * ((X2 >> 2) + 1)") == []
    assert judge(program, 9, cycles="a * b", names={"a": 4, "b": 26}) == []
    assert judge(program, 9, cycles=104) == []
    (text,) = judge(program, 9, cycles="position + 1")
    assert text.endswith("the last HALT is here, the prediction says 10 (position + 1)")
    (text,) = judge(program, 9, cycles="44 + depth")
    assert "needs depth" in text
    program.symbols = {}
    (text,) = judge(program, 9)
    assert "needs position" in text
    assert judge(program, 9, names={"position": 9}) == []


@pytest.mark.parametrize(
    ("registers", "entry", "words"),
    [
        ({0: 1}, "decode", "X0=1 at the start"),
        ({8: 1}, "decode", "X8=1 at the start"),
        ({1: 1 << 16}, "decode", "X1=65536 at the start"),
        ({}, "main", "no entry 'main': it has decode"),
    ],
)
def test_starts_that_cannot_be(registers, entry, words):
    (text,) = check_program(decode(), entry, registers=registers)
    assert words in text
    with pytest.raises(ProgramError, match="entry" if entry == "main" else "at the start"):
        expand(decode(), entry, registers=registers)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        (7, 7),
        ("7", 7),
        (" 900 + 7*position ", 935),
        ("(position+3>>2)*20 - -1", 41),
        ("-position // 2", -3),
        ("+position*position", 25),
    ],
)
def test_formulas(formula, value):
    assert evaluate(formula, position=5) == value


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "position / 2",
        "2 ** 9",
        "position % 4",
        "depth",
        "abs(position)",
        "position.real",
        "[1][0]",
        "1.5",
        "True",
        "'a' * 3",
        "position if 1 else 2",
        "1 // 0",
        "1 >> -1",
        "1; 2",
        "__import__('os')",
        "(" * 900,
        "1+" * 5000 + "1",
        True,
        None,
        2.5,
    ],
)
def test_formulas_that_are_refused(formula):
    with pytest.raises(ProgramError) as caught:
        evaluate(formula, position=5)
    assert "\n" not in str(caught.value)


def test_a_long_run_is_checked_in_no_time():
    """12,000 visits of 1,800 words, as long as a small model's decode: well under two seconds, here under one."""
    layers, words = 100, {}
    for queue, wait, body in (
        ("mem0.read", 20, ["READB addr={a} dst=E0 x8 step addr+1 index addr=X3 gap 51"]),
        ("mxm0.load", 23, ["LA act=0 src=E0 x8 step act+1 gap 51"]),
        (
            "mxm0.passes",
            27,
            ["PASS ctx={a} act=0 acc=0", "PASS ctx={a} act=1 acc=0 x7 step ctx+1 act+1 gap 51"],
        ),
        ("mxm0.drain", 62, ["DRAIN acc=0 dst=E4 gap 58"]),
        ("vxm0.chain", 63, ["CHAIN a=INT32 a_at=E4 to=STREAM to_at=E4 gap 58"]),
        ("mem1.write", 72, ["WRITE addr={a} src=E4 index addr=I0 gap 58"]),
    ):
        words[queue] = [f"NOP x{wait}"]
        for layer in range(layers):
            words[queue].append(f"LOOP count=0 index=X3 length={len(body)} step=1")
            words[queue] += [b.format(a=16 * layer) for b in body]
    words["host0.port"] = ["INDEX x=3 src=2 add=1 shift=3 bits=8"]
    text = "".join(f"\n.queue {q}\n" + "\n".join([*w, "HALT"]) for q, w in words.items())
    program = asm.parse(".config sim16" + text)
    assert len(expand(program, registers={2: 127}).dispatches) > 11_000
    started = time.process_time()
    assert check_program(program, registers={2: 127}) == []
    assert time.process_time() - started < 1
