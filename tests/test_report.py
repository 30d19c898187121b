"""The schedule report: its figures against the expansion, its file, the verbs that write it, and the page in a browser."""

import html
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from lpu import asm
from lpu.arch import PRESETS
from lpu.cli import main
from lpu.compiler import compile_matmul
from lpu.compiler.expand import expand
from lpu.compiler.report import Start, collect, positions, starts, write_report
from lpu.compiler.report.page import render
from lpu.program import Program, ProgramError
from lpu.runtime.cycles import evaluate
from tests.test_check_registers import DECODE

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def decode():
    """The small decode step with everything that symbols may say."""
    program = asm.parse(DECODE)
    program.symbols = {
        "model": {"positions": 32, "vocabulary": 64, "registers": {"token": 1, "position": 2}},
        "labels": {
            "mem0.read": [[0, 3, "layer 0 / scores"], [3, 2, "output </script> / copy"]],
            "mxm0.load": [[0, 3, "layer 0 / scores"]],
            "mxm0.passes": [[0, 4, "layer 0 / scores"]],
            "mxm0.drain": [[0, 3, "layer 0 / scores"]],
            "sxm0.reduce": [[3, 1, "output </script> / arg-max"]],
            "mem1.write": [[2, 1, "layer 0 / scores"], [4, 1, "output </script> / copy"]],
        },
        "contexts": [[0, 8, "keys"], [8, 16, "values"]],
        "memory": {"mem0": [[0, 48, "table"]], "mem1": [[0, 8, "copies"], [8, 8, "scores"]]},
    }
    return program


def runs_of(program, *wanted):
    return collect(program, "decode", starts(program, wanted))["runs"]


def test_a_run_is_all_there(decode):
    data = collect(decode, "decode", starts(decode, [0, 21]))
    for position, run in zip([0, 21], data["runs"], strict=True):
        expected = expand(decode, "decode", registers={2: position})
        assert run["cycles"] == run["predicted"] == expected.cycles
        assert run["name"] == f"position {position}" and run["registers"] == {"X2": position}
        assert run["passes"] == 4 * (position // 4 + 1)
        seen = []
        for queue in data["queues"]:
            flat = np.array(run["visits"][queue["name"]]).reshape(-1, 2).cumsum(axis=0)
            seen += [(queue["name"], int(word), int(cycle)) for word, cycle in flat]
            assert len(queue["words"]) == len(queue["labels"]) == len(decode.queues[queue["name"]])
        assert sorted(seen) == sorted((d.queue, d.word, d.cycle) for d in expected.dispatches)
        text, count, interval = data["queues"][1]["words"][2]
        assert (text[:12], count, interval) == ("READB addr=0", 4, 1)


def test_every_cycle_is_charged_once(decode):
    (run,) = runs_of(decode, 21)
    rows = {row["label"]: row for row in run["charges"]}
    assert sum(row["charged"] for row in rows.values()) == run["cycles"] == 164
    assert list(rows) == ["layer 0 / scores", "output </script> / arg-max", "output </script> / copy"]
    scores = rows["layer 0 / scores"]
    assert scores["passes"] == run["passes"] == 24
    # From the start to the arg-max, which is charged until the copy's read.
    assert scores["charged"] == 148 and scores["first"] == 11
    assert rows["output </script> / arg-max"]["charged"] == 10
    assert rows["output </script> / copy"]["charged"] == 6


def test_passes_win_over_chains_and_chains_over_the_rest():
    text = """
        .config tiny
        .queue mem0.read
        READ addr=0 dst=E0 x12
        HALT
        .queue vxm0.chain
        NOP gap 1
        CHAIN a=REG a_at=0 to=REG to_at=1 x2 every 2
        HALT
        .queue mxm0.passes
        NOP gap 3
        PASS ctx=0 act=0 acc=0 clear=1 x2
        HALT
        .queue mxm0.drain
        NOP x13
        HALT"""
    program = asm.parse(text)
    program.symbols["labels"] = {
        "mem0.read": [[0, 1, "read"]],
        "vxm0.chain": [[1, 1, "chain"]],
        "mxm0.passes": [[1, 1, "pass"]],
    }
    (run,) = collect(program, "main", starts(program, []))["runs"]
    # Chains take two beats each, cycles 2 to 5; passes 4 and 5 of those.
    charged = {row["label"]: row["charged"] for row in run["charges"]}
    assert charged == {"read": 9, "chain": 2, "pass": 2}
    busy = {unit["name"]: unit["busy"] for unit in run["occupancy"]}
    assert busy == {"mxm0": 2, "vxm0": 4}
    assert [u["bins"] for u in run["occupancy"]][1] == [0, 0, 1000, 1000, 1000, 1000, *[0] * 7]


def test_occupancy_adds_up():
    a = np.ones((32, 64), np.int8)
    program = compile_matmul(PRESETS["ecp5-85f"], a, np.ones((64, 64), np.int8))
    (run,) = collect(program, "main", starts(program, []))["runs"]
    mxm = next(u for u in run["occupancy"] if u["kind"] == "mxm")
    assert mxm["busy"] == run["passes"] == 512
    assert abs(sum(mxm["bins"]) / 1000 * run["cycles"] / len(mxm["bins"]) - 512) < 6
    assert run["charges"] == [] and run["wrong"] == [0, []]


def test_maps_come_from_symbols_or_images(decode):
    data = collect(decode, "decode", starts(decode, [0]))
    assert data["contexts"] == [
        {"name": "mxm0", "size": 32, "unit": "contexts", "parts": [(0, 8, "keys"), (8, 16, "values")]}
    ]
    assert [m["parts"] for m in data["memory"]][1] == [(0, 8, "copies"), (8, 8, "scores")]
    assert ["mem0.read", 6] in data["fill"] and ["vxm0.chain", 0] in data["fill"]
    program = compile_matmul(PRESETS["tiny"], np.ones((2, 8), np.int8), np.ones((8, 8), np.int8))
    data = collect(program, "main", starts(program, []))
    assert data["contexts"][0]["parts"] == [(0, 4, "image")]
    assert any(m["parts"] for m in data["memory"])


def test_what_the_check_says(decode):
    (run,) = runs_of(decode, 5)
    assert run["wrong"] == [0, []]
    assert run["unknown"][0] == 2 and "depends on data" in run["unknown"][1][0]
    (run,) = collect(decode, "decode", [Start("late", {2: 5}, loaded=[9])])["runs"]
    assert run["wrong"] == run["unknown"] == [0, []]
    decode.cycles["decode"] = "60 + position"
    (run,) = runs_of(decode, 5)
    assert run["predicted"] == 65 and run["wrong"][0] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"labels": {"mem0.read": [[0, 1]]}},
            r"labels of mem0\.read has to be a list of \[first, count, name\]",
        ),
        ({"contexts": 7}, "contexts has to be a list"),
        ({"memory": {"mem1": [[-1, 2, "x"]]}}, "memory of mem1 has a negative"),
        ({"model": {}}, "does not say which index register holds the position"),
    ],
)
def test_symbols_that_are_none(decode, change, words):
    decode.symbols |= change
    with pytest.raises(ProgramError, match=words):
        collect(decode, "decode", starts(decode, [0]))


def test_usual_positions(decode):
    assert positions(decode) == [0, 16, 31]
    del decode.symbols["model"]["positions"]
    assert positions(decode) == [0]
    assert positions(asm.parse(".config tiny\n.queue mem0.read\nHALT")) == []


def test_the_page_is_one_file(decode, tmp_path):
    write_report(decode, tmp_path / "r.html", positions=[0, 21], title="<Small> & safe")
    text = (tmp_path / "r.html").read_text()
    page = re.sub(r'(id="data">).*?</script>', r"\1", text, flags=re.S)
    assert not re.search(r"(src|href)\s*=|@import|url\(|https?://|fetch\(|import\(", page)
    assert "<title>&lt;Small&gt; &amp; safe</title>" in text
    # Nothing in the data can end its element.
    assert text.count("</script>") == 2
    (payload,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert json.loads(payload)["title"] == "<Small> & safe"
    assert "/*" + "DATA" not in text and "<!--TITLE" not in text


def test_a_long_run_stays_small():
    """12,000 visits of 1,000 words, three runs: well under three megabytes."""
    words = [f"READ addr={n} dst=E0 gap 5" for n in range(500)]
    text = "".join(
        f".queue {q}\nLOOP count=12 length=500\n" + "\n".join(words) + "\nHALT\n"
        for q in ("mem0.read", "mem1.read")
    )
    program = asm.parse(".config sim16\n" + text)
    page = render(collect(program, "main", [Start(str(n)) for n in range(3)]), "long")
    assert len(page) < 1_000_000


@pytest.fixture
def saved(decode, tmp_path):
    decode.save(tmp_path / "small.lpu")
    return tmp_path / "small.lpu", tmp_path / "small.html"


@pytest.mark.parametrize(
    ("options", "words", "names"),
    [
        ([], "entry decode, 3 runs", ["position 0", "position 16", "position 31"]),
        (["--position", "4", "--position", "9"], "entry decode, 2 runs", ["position 4", "position 9"]),
        (["--register", "X2=0x10"], "entry decode, 1 run", ["as started"]),
    ],
)
def test_report_verb(capsys, saved, options, words, names):
    program, page = map(str, saved)
    assert main(["report", program, "-o", page, *options]) == 0
    assert words in capsys.readouterr().out
    (payload,) = re.findall(r'id="data">(.*?)</script>', saved[1].read_text(), re.S)
    data = json.loads(payload)
    assert [run["name"] for run in data["runs"]] == names and data["title"] == "small: decode"
    if "X2=0x10" in options:
        assert data["runs"][0]["registers"] == {"X2": 16}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--entry", "encode"], "no entry 'encode'"),
        (["--register", "2=5"], "write it as X2=5"),
        (["--register", "X9=5"], "X1 to X7"),
        (["--position", "70000"], "70000"),
    ],
)
def test_report_refuses_in_one_line(capsys, saved, options, words):
    program, page = map(str, saved)
    assert main(["report", program, "-o", page, *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.fixture
def model(monkeypatch, decode):
    """The passes in front of the schedule replaced: ``lpu compile`` is given the small program."""
    graph = types.SimpleNamespace(source="small")

    def compile_model(quantised, config, *, chunk, progress):
        assert quantised is graph and config is decode.config and chunk == 2
        progress("decode", 1, 2)
        return decode

    for name, attributes in (
        ("lpu.compiler.frontend", {"load_model": lambda path: graph}),
        ("golden.calibrate", {"quantised_model": lambda given: given}),
        ("lpu.compiler.model", {"compile_model": compile_model}),
    ):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**attributes))
    # The copy behind the arg-max is where data choose addresses.
    del decode.queues["mem0.read"][4]
    decode.queues["mem1.write"][4] = decode.queues["mem1.write"][-1]
    decode.cycles["decode"] = "43 + 20 * ((position >> 2) + 1)"


def test_compile_verb(capsys, model, tmp_path):
    program, page = tmp_path / "small.lpu", tmp_path / "small.html"
    arguments = ["compile", "small.bin", "--chunk", "2", "-o", str(program), "--report", str(page)]
    assert main([*arguments, "--position", "5"]) == 0
    printed = capsys.readouterr()
    assert "decode at position 5: 83 cycles, 8 passes, array busy 9.6 %" in printed.out
    assert printed.err == "", "progress is for terminals"
    assert Program.load(program).entries == {"decode": 0}
    assert "<title>small on tiny</title>" in page.read_text()


OWN = Path(__file__).parent.parent / "models" / "stories192k"


def test_where_the_cycles_are(capsys, tmp_path):
    """The model of our own compiled, and its cycles as a table that adds up."""
    program = tmp_path / "story.lpu"
    assert main(["compile", str(OWN), "--config", "ecp5-85f", "-o", str(program)]) == 0
    printed = capsys.readouterr().out
    assert "schedule proven: decode and prefill at the first and the last position" in printed
    assert "prefill: none, the queues have no room for it" in printed
    assert main(["report", str(program), "--cycles", "--position", "128"]) == 0
    table = capsys.readouterr().out
    cycles = evaluate(Program.load(program).cycles["decode"], position=128)
    assert f"decode at position 128: {cycles:,} cycles" in table
    rows = [[c.strip() for c in line.strip("│").split("│")] for line in table.splitlines() if "│" in line]
    numbers = {name: [int(n.replace(",", "")) for n in cells[:3]] for name, *cells in rows}
    assert numbers["all"][0] == cycles
    for prefix in ("all / ", ""):
        parts = [n for name, n in numbers.items() if name.startswith("all") == bool(prefix) and name != "all"]
        assert [sum(column) for column in zip(*parts, strict=True)] == numbers["all"]
    assert main(["report", str(program)]) == 2
    assert "give -o FILE.html for the page, or --cycles for the table" in capsys.readouterr().err


def test_compile_keeps_no_illegal_program(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("lpu.compiler.model.check_program", lambda *a, **k: ["cycle 7: CONFLICT at mem0"])
    program = tmp_path / "story.lpu"
    assert main(["compile", str(OWN), "--config", "ecp5-85f", "--chunk", "1", "-o", str(program)]) == 2
    complaint = "decode at position 0: cycle 7: CONFLICT at mem0; this is an error of the compiler"
    assert complaint in capsys.readouterr().err
    assert not program.exists()


@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_the_page_in_a_browser(decode, tmp_path):
    """The page drives itself (selftest.js) in a headless browser, by wheel, pointer and keyboard, and reads its pixels."""
    page = tmp_path / "r.html"
    write_report(decode, page, positions=[0, 21, 27], title="Small")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command += [
        "--window-size=1300,1800",
        "--virtual-time-budget=5000",
        "--dump-dom",
        f"{page.as_uri()}#selftest",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    match = re.search(r'<pre id="selftest"[^>]*>(.*?)</pre>', done.stdout, re.S)
    assert match and match[1], f"the page wrote nothing; {' '.join(command)} said {done.stderr[-2000:]}"
    report = json.loads(html.unescape(match[1]))
    assert "error" not in report, report["error"]
    for position, run in zip([0, 21, 27], report["runs"], strict=True):
        cycles = evaluate(decode.cycles["decode"], position=position)
        assert run["name"] == f"position {position}"
        assert run["cycles"] == str(cycles)
        assert run["window"] == f"0 {cycles}"
        # Coloured pixels in every row with a label; a queue without one is grey.
        assert set(run["inked"]) == set(decode.symbols["labels"])
        assert run["drawn"] > 10 and run["rows"] == 2

    def width(name):
        start, end = map(int, report[name].split())
        return end - start

    assert width("whole") > width("wheel") > width("button") > width("key")
    assert width("drag") == pytest.approx(width("key"), abs=1) and report["drag"] != report["key"]
    assert int(report["drag"].split()[0]) > int(report["key"].split()[0]), (
        "dragged left, it shows what is later"
    )
    assert report["home"].startswith("0 ") and report["again"] == report["whole"]
    assert report["hover"].startswith("INDEX x=3 src=2") and "host0.port word 0" in report["hover"]
    assert report["next"] == report["hover"]
    assert set(report["legend"]) == {
        "INDEX",
        "LDX",
        "READ",
        "READB",
        "LA",
        "PASS",
        "DRAIN",
        "REDUCE",
        "WRITE",
    }
    assert report["maps"] == 3 and report["fill"] == 12 and report["unnamed"] == []
    assert "nothing wrong" in report["verdict"] and "2 that depend on data" in report["verdict"]
