"""The command line: what it prints, and that bad input is one line and exit code 2."""

import json
import re
import subprocess
import sys
import time

import pytest

from lpu.arch import PRESETS
from lpu.cli import VERBS, main
from tests.random_text import random_program

TINY = PRESETS["tiny"]
HELLO = """\
.config tiny
.cycles main 9
.queue mem0.read
    READ addr=1 dst=E0
    HALT
.queue mem1.write
    NOP gap 3
    WRITE addr=2 src=E0 gap 2
    HALT
"""


def run(capsys, *arguments):
    """(exit code, standard output, standard error)"""
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys, *arguments):
    """The one line with which bad input is refused."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("lpu: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def hello(tmp_path):
    """A text and where its program goes."""
    (tmp_path / "hello.asm").write_text(HELLO)
    return tmp_path / "hello.asm", tmp_path / "hello.lpu"


def test_help_is_quick():
    command = [sys.executable, "-m", "lpu.cli", "--help"]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.5
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    seen = "import sys, lpu.cli; lpu.cli.main(['--help']); sys.exit('numpy' in sys.modules or 'amaranth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", seen], capture_output=True).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_matches_the_list(verb, capsys):
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert VERBS[verb][1].rstrip(".").split(",")[0] in out


def test_configs(capsys):
    code, out, _ = run(capsys, "configs")
    assert code == 0
    assert all(name in out for name in PRESETS)
    _, out, _ = run(capsys, "configs", "--json")
    assert json.loads(out)["tiny"] == TINY.to_dict()


def test_isa(capsys):
    code, out, _ = run(capsys, "isa", "--config", "ecp5-25f")
    assert code == 0
    assert "mxm0.passes: 77 bits a word" in out
    assert "ctx:10 act:5 acc:4 clear:1" in out


def test_assemble_disassemble_run(capsys, hello):
    text, program = hello
    assert run(capsys, "asm", text, "-o", program) == (0, "", "")
    code, out, _ = run(capsys, "disasm", program)
    assert code == 0
    assert "WRITE addr=2 src=E0 gap 2" in out
    text.write_text(out)
    assert run(capsys, "asm", text, "-o", program)[0] == 0
    assert run(capsys, "disasm", program)[1] == out
    code, out, _ = run(capsys, "sim", program, "--json", "-")
    figures = json.loads(out)
    assert (figures["cycles"], figures["target"], figures["config"]) == (7, "golden", "tiny")
    # READ's result passes four slices on its way: too late for this WRITE.
    assert figures["violation"].startswith("NO_OPERAND at mem1")
    assert code == 1


def test_json_to_a_file(capsys, hello, tmp_path):
    text, program = hello
    run(capsys, "asm", text, "-o", program)
    _, out, _ = run(capsys, "sim", program, "--json", tmp_path / "out.json")
    assert out == ""
    assert json.loads((tmp_path / "out.json").read_text())["predicted_cycles"] == 9


@pytest.mark.parametrize("weights", ["resident", "streamed"])
def test_bench_matmul(capsys, weights, tmp_path):
    code, out, _ = run(
        capsys,
        "bench",
        "matmul",
        "--m",
        2,
        "--k",
        9,
        "--n",
        7,
        "--weights",
        weights,
        "--json",
        "-",
        "-o",
        tmp_path / "p",
    )
    figures = json.loads(out)
    assert code == 0
    assert figures["bit_exact"] is True
    assert figures["cycles"] == figures["predicted_cycles"]
    assert figures["ideal_cycles"] == 2 * 3 * 2
    assert figures["utilisation"] == pytest.approx(figures["ideal_cycles"] / figures["cycles"], abs=1e-4)
    code, out, _ = run(capsys, "sim", tmp_path / "p", "--json", "-")
    assert code == 0
    assert json.loads(out)["passes"] == figures["ideal_cycles"]


def test_bad_input_is_one_line(capsys, hello, tmp_path):
    text, program = hello
    run(capsys, "asm", text, "-o", program)
    # A program for another configuration.
    assert "made for configuration tiny" in refused(capsys, "sim", program, "--config", "ecp5-25f")
    # A truncated file.
    (tmp_path / "cut").write_bytes(program.read_bytes()[:-20])
    assert "truncated or damaged" in refused(capsys, "sim", tmp_path / "cut")
    assert "truncated or damaged" in refused(capsys, "disasm", tmp_path / "cut")
    # An address past the end.
    text.write_text(HELLO.replace("addr=2", "addr=64"))
    assert "line 8: mem1.write: WRITE: addr=64 is outside 0..63" in refused(
        capsys, "asm", text, "-o", program
    )
    # A field out of range.
    text.write_text(HELLO.replace("gap 2", "gap 64"))
    assert "line 8: mem1.write: WRITE: gap=64 is outside 0..63" in refused(capsys, "asm", text, "-o", program)
    # An impossible configuration.
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(TINY.to_dict() | {"lanes": 5}))
    assert "lanes=5: use a power of two from 2 to 64" in refused(capsys, "bench", "matmul", "--config", mine)
    mine.write_text("{")
    assert "is not JSON" in refused(capsys, "isa", "--config", mine)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["asm"], "Missing argument 'SOURCE'"),
        (["asm", "none.asm", "-o", "x"], "none.asm: No such file"),
        (["disasm", "none.lpu"], "cannot read program none.lpu: No such file"),
        (["sim", "none.lpu"], "cannot read program none.lpu"),
        (["isa", "--config", "nope"], "no configuration 'nope': use tiny"),
        (["bench", "matmul", "--m", "0"], "0 is not in the range x>=1"),
        (["bench", "matmul", "--k", "400", "--n", "400"], "needs 10000 contexts, tiny has 32: 9968 missing"),
        (["bench", "matmul", "--k", "1000000"], "could overflow int32"),
        (["bench", "matmul", "--target", "fpga"], "Invalid value for '--target'"),
        (["verilog", "--config", "nope", "-o", "x"], "no configuration 'nope'"),
        (["configs", "--what"], "No such option"),
    ],
)
def test_more_bad_input(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


def test_options_of_sim(capsys, hello, tmp_path):
    text, program = hello
    run(capsys, "asm", text, "-o", program)
    assert "has no entry 'start': it has main" in refused(capsys, "sim", program, "--entry", "start")
    assert "use numbers with commas" in refused(capsys, "sim", program, "--tokens", "1;2")
    assert "--waves needs --target rtl" in refused(capsys, "sim", program, "--waves", "x.fst")
    assert "room" in refused(capsys, "sim", program, "--tokens", ",".join("1" * 99))
    text.write_text(".config tiny\n.queue mem0.read\nSYNC\nHALT\n")
    run(capsys, "asm", text, "-o", program)
    refused(capsys, "sim", program, "--max-cycles", 100)


def test_text_that_is_no_text(capsys, tmp_path):
    random_program(TINY, 0).save(tmp_path / "p")
    assert "is not text" in refused(capsys, "asm", tmp_path / "p", "-o", tmp_path / "q")
    assert "is a directory" in refused(capsys, "disasm", tmp_path)


def test_tokens_go_through(capsys, tmp_path):
    (tmp_path / "t.asm").write_text(
        ".config tiny\n.queue host0.port\nPOP x=1\nINDEX x=1 src=1 add=5 shift=0 bits=16\nPUSH src=1\nHALT\n"
    )
    run(capsys, "asm", tmp_path / "t.asm", "-o", tmp_path / "t")
    _, out, _ = run(capsys, "sim", tmp_path / "t", "--tokens", "37", "--json", "-")
    assert json.loads(out)["tokens"] == [42]


def test_verilog_is_whole(capsys, tmp_path):
    assert run(capsys, "verilog", "--config", "tiny", "-o", tmp_path / "tile.v")[0] == 0
    text = (tmp_path / "tile.v").read_text()
    modules = set(re.findall(r"^module\s+(\S+?)\s*\(", text, re.M))
    used = set(re.findall(r"^  (\S+)\s+\S+ \(\n    \.", text, re.M))
    assert "top" in modules
    assert len(used) > 20
    assert used <= modules, "instances of modules that the file does not hold"
    code, out, err = run(capsys, "verilog", "--config", "tiny", "-o", tmp_path / "no" / "tile.v")
    assert (code, out) == (2, "")
    assert "No such file" in err


def test_rtl_runs_what_golden_runs(capsys, hello, tmp_path):
    text, program = hello
    run(capsys, "asm", text, "-o", program)
    figures = {}
    for target in ("golden", "rtl"):
        code, out, _ = run(capsys, "sim", program, "--target", target, "--json", "-")
        assert code == 1
        figures[target] = json.loads(out) | {"target": ""}
    assert figures["golden"] == figures["rtl"]
    code, out, _ = run(capsys, "bench", "matmul", "--k", 9, "--target", "rtl", "--n", 5, "--json", "-")
    assert code == 0
    assert json.loads(out)["bit_exact"]


def test_demo(capsys):
    code, out, _ = run(capsys, "demo", "--target", "golden", "--tokens", 8)
    assert code == 0
    assert out.startswith("Once upon a time")
    assert "cycles a token, mean" in out


@pytest.mark.slow
def test_waves(capsys, hello, tmp_path):
    text, program = hello
    run(capsys, "asm", text, "-o", program)
    assert run(capsys, "sim", program, "--target", "rtl", "--waves", tmp_path / "w.fst")[0] == 1
    assert (tmp_path / "w.fst").stat().st_size > 1000
    refused(capsys, "sim", program, "--target", "rtl", "--waves", tmp_path / "no" / "w.fst")
