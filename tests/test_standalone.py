"""Verilog without Python: clean to a linter, and a testbench of its own that tells right from wrong."""

import re
import subprocess

import pytest

from lpu.arch import PRESETS, TileConfig, parse_floorplan
from tb import lint
from tb.build import BuildError, find_verilator
from tb.standalone import write_testbench

SHORT = TileConfig(
    "short", 4, 4, 4, parse_floorplan("mem:32 host mem:16"), queue_depth=32, token_fifo=4, vector_fifo=2
)


@pytest.mark.parametrize(
    "config",
    [SHORT, *(pytest.param(PRESETS[n], marks=pytest.mark.slow) for n in PRESETS if n != "sim64")],
    ids=lambda c: c.name,
)
def test_the_linter_is_content(config):
    lint.lint(config)


def test_every_waiver_is_wanted_and_explained(tmp_path):
    """Without any one of them the linter complains of just that."""
    text = lint.WAIVERS.read_text()
    rules = re.findall(r"^lint_off -rule (\w+)$", text, re.M)
    assert len(rules) == text.count("lint_off") >= 5 and text.count("//") > len(rules)
    waivers = tmp_path / "fewer.vlt"
    waivers.write_text(text.replace("lint_off -rule PROCASSINIT\n", ""))
    with pytest.raises(BuildError, match="PROCASSINIT"):
        lint.lint(SHORT, waivers)


@pytest.mark.slow
def test_a_testbench_without_python(tmp_path):
    write_testbench(PRESETS["tiny"], tmp_path)
    tool = find_verilator()

    def run():
        done = subprocess.run(
            ["make", "-s", *tool.make_variables],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=tool.environment,
        )
        return done.returncode, done.stdout

    code, text = run()
    assert code == 0 and "PASS" in text
    words = tmp_path / "conversation.h"
    lines = words.read_text().splitlines()
    # The last word of the last answer that has any.
    at = next(n for n in reversed(range(len(lines))) if lines[n].startswith("0x"))
    lines[at] = re.sub(r"0x(\w+),$", "0x12345,", lines[at])
    words.write_text("\n".join(lines))
    code, text = run()
    assert code and "FAIL" in text
