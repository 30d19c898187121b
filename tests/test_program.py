"""Program files: round trip, damage of every kind, programs for other configurations."""

import dataclasses
import random

import pytest

from lpu.arch import PRESETS
from lpu.isa import Instruction, IsaError
from lpu.program import Program, ProgramError
from tests.random_text import random_program

TINY = PRESETS["tiny"]


@pytest.mark.parametrize("name", PRESETS)
def test_save_and_load(name, tmp_path):
    program = random_program(PRESETS[name], 3)
    program.save(tmp_path / "p.lpu")
    assert Program.load(tmp_path / "p.lpu") == program
    assert Program.load(tmp_path / "p.lpu", PRESETS[name]) == program


def test_other_configuration(tmp_path):
    random_program(TINY, 0).save(tmp_path / "p.lpu")
    with pytest.raises(
        ProgramError, match=r"made for configuration tiny .*, not for ecp5-25f .*--config ecp5-25f"
    ):
        Program.load(tmp_path / "p.lpu", PRESETS["ecp5-25f"])
    # The name alone makes no other configuration.
    Program.load(tmp_path / "p.lpu", dataclasses.replace(TINY, name="renamed"))


def test_truncation_anywhere(tmp_path):
    random_program(TINY, 1).save(tmp_path / "p.lpu")
    whole = (tmp_path / "p.lpu").read_bytes()
    for size in [0, 1, 10, *range(50, len(whole), 97), len(whole) - 1]:
        (tmp_path / "cut.lpu").write_bytes(whole[:size])
        with pytest.raises(ProgramError, match="not a whole program file") as caught:
            Program.load(tmp_path / "cut.lpu")
        assert "\n" not in str(caught.value)


def test_damage_anywhere_is_noticed_or_harmless(tmp_path):
    program = random_program(TINY, 2)
    program.save(tmp_path / "p.lpu")
    whole = (tmp_path / "p.lpu").read_bytes()
    rng = random.Random(0)
    noticed = 0
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.lpu").write_bytes(damaged)
        try:
            # Bits of the archive that say nothing about its contents, times for instance, may change.
            assert Program.load(tmp_path / "bad.lpu") == program
        except ProgramError as error:
            noticed += 1
            assert "\n" not in str(error)
    assert noticed > 200


def test_what_is_no_program_file(tmp_path):
    with pytest.raises(ProgramError, match=r"cannot read program .*: No such file"):
        Program.load(tmp_path / "none")
    with pytest.raises(ProgramError, match="cannot read program"):
        Program.load(tmp_path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ProgramError, match="not a whole program file"):
        Program.load(tmp_path / "text")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queues": {"mem5.read": []}}, "program has a queue 'mem5.read'; tiny has host0.port"),
        (
            {"queues": {"mem0.read": [Instruction("HALT")] * 257}},
            "257 words, tiny has room for 256: 1 too many",
        ),
        ({"images": {"mem0": bytes(64 * 16 + 16)}}, "1040 bytes, tiny has room for 1024: 16 too many"),
        ({"images": {"mem0": bytes(15)}}, "15 bytes, not a multiple of 16"),
        ({"images": {"vxm0": b""}}, "no image space 'vxm0' in tiny"),
        ({"images": {"masks": b"\x0e"}}, "mask 0 is always all lanes"),
    ],
)
def test_what_does_not_fit(change, words, tmp_path):
    program = Program(TINY, **change)
    with pytest.raises(ProgramError) as caught:
        program.save(tmp_path / "p.lpu")
    assert words in str(caught.value)


def test_a_bad_word_is_named():
    program = Program(TINY, {"mem0.read": [Instruction("HALT"), Instruction("READ", {"addr": 99, "dst": 0})]})
    with pytest.raises(IsaError, match=r"word 1: mem0\.read: READ: addr=99 is outside 0\.\.63"):
        program.words("mem0.read")
