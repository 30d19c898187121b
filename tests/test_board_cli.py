"""A board on the command line: load, run, simulate; what is refused."""

import json
import re
import signal
import subprocess
import sys

import pytest

from fpga.boards import board_of
from lpu.arch import PRESETS
from tb.boardsim import SimulatedBoard
from tests.test_cli import hello, refused, run

TINY = PRESETS["tiny"]
__all__ = ["hello"]  # a fixture


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with SimulatedBoard(TINY, port=tmp_path_factory.mktemp("dev") / "board") as board:
        yield board


@pytest.fixture
def program(capsys, hello):
    text, program = hello
    assert run(capsys, "asm", text, "-o", program)[0] == 0
    return program


def test_load_and_run(capsys, board, program):
    code, out, _ = run(capsys, "load", program, "--port", board.port, "--timeout", 10, "--json", "-")
    assert code == 0
    figures = json.loads(out)
    assert figures.pop("seconds") > 0
    assert figures == {
        "program": str(program),
        "board": "simulated",
        "config": "tiny",
        "clock_mhz": 60.0,
        "words": figures["words"],
        "frames": figures["frames"],
        "repeated_frames": 0,
    }
    assert figures["words"] > figures["frames"] > 10

    arguments = ("sim", program, "--tokens", "3,4", "--json", "-")
    code, out, _ = run(capsys, *arguments, "--target", "board", "--port", board.port)
    # It violates its schedule, on every machine alike.
    assert code == 1
    _, expected, _ = run(capsys, *arguments)
    assert json.loads(out) == json.loads(expected) | {"target": "board"}


def test_what_is_refused(capsys, board, program, tmp_path):
    port = ("--port", board.port)
    assert "a board needs --port" in refused(capsys, "load", program)
    assert "a board needs --port" in refused(capsys, "sim", program, "--target", "board")
    assert "needs --target board" in refused(capsys, "sim", program, *port)
    assert "--waves needs --target rtl" in refused(
        capsys, "sim", program, "--target", "board", *port, "--waves", tmp_path / "w.fst"
    )
    message = refused(capsys, "load", program, "--port", tmp_path / "none")
    assert "none cannot be opened: No such file or directory: name the board's serial port" in message
    assert "this is the board simulated, not ulx3s-85f" in refused(
        capsys, "load", program, *port, "--board", "ulx3s-85f"
    )
    other = tmp_path / "other.asm"
    other.write_text(".config ecp5-25f\n.queue mem0.read\n    HALT\n")
    compiled = tmp_path / "other.lpu"
    assert run(capsys, "asm", other, "-o", compiled)[0] == 0
    message = refused(capsys, "load", compiled, *port)
    assert f"the board simulated is built for configuration {TINY.fingerprint}, not ecp5-25f" in message


def test_a_simulated_board_of_its_own(capsys, board, program, tmp_path):
    link = tmp_path / "dev"
    command = [sys.executable, "-m", "lpu.cli", "board-sim", "--config", "tiny", "--port", str(link)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"simulated with tiny at {link}\n"
        assert run(capsys, "load", program, "--port", link)[0] == 0
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)[0]
        assert process.returncode == 0
    assert re.fullmatch(r"[\d,]+ cycles\n", rest)
    assert not link.is_symlink()
    link.write_text("mine")
    assert "is there already" in refused(capsys, "board-sim", "--port", link)


@pytest.mark.slow
def test_a_story_told_through_the_pins(capsys, tmp_path):
    """The project's own model on the board's 16 lanes: every token and every cycle as on the tile."""
    from lpu.commands.demo import MODEL

    config = board_of("ulx3s-85f").tile
    arguments = ("run", MODEL, "--config", config.name, "--prompt", "Once upon a time", "--tokens", 120)
    stories = []
    with SimulatedBoard(config) as board:
        at = ("--port", board.port, "--timeout", 10)
        # The second time the board has the program.
        for target in (("rtl",), ("board", *at), ("board", *at)):
            path = tmp_path / "story.json"
            assert run(capsys, *arguments, "--json", path, "--target", *target)[0] == 0
            stories.append(json.loads(path.read_text()))
            assert stories[-1].pop("target") == target[0]
    assert len(stories[0]["tokens"]) == 120
    assert stories[0]["cycles"] == stories[0]["predicted_cycles"]
    assert stories[0] == stories[1] == stories[2]
