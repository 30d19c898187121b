"""cocotb on Verilator: builds a design once, runs cocotb tests on it, and raises if one fails.

cocotb's own runner makes every signal of the design public, which halves the speed and multiplies the compile
time. This one makes only the ports of the top public: a bench that wants more does not test the contract.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools.runner import Verilator as CocotbVerilator

from tb.build import FAST, SLOW, VERILATE, BuildError, build_once, find_verilator, kept_runtime, key_of

#: Environment variable that carries a bench's parameters, as JSON.
PARAMETERS = "LPU_BENCH"
_PORT = re.compile(r"^\s*(?:input|output)\s+(?:\[[^\]]*\]\s*)?(\S+?)\s*;", re.MULTILINE)
_ROOT = Path(__file__).resolve().parents[1]


class BenchFailure(AssertionError):
    """cocotb tests that failed; the message holds what they said and the command that repeats them."""


class Runner(CocotbVerilator):
    """cocotb's Verilator runner without ``--public-flat-rw``, with the Verilator that tb.build finds."""

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(find_verilator().program)

    def _set_env_build(self) -> None:
        super()._set_env_build()
        self.env.update(find_verilator().environment)

    def _build_command(self) -> list[list[str]]:
        commands = [[str(part) for part in command] for command in super()._build_command()]
        commands[0].remove("--public-flat-rw")
        levels = (f"OPT_FAST={FAST}", f"OPT_SLOW={SLOW}", f"OPT_GLOBAL={SLOW}")
        # The kept runtime's objects are older than this makefile and yet up to date.
        commands[1] += ["-s", "-o", "Vtop.mk", *levels, *find_verilator().make_variables]
        return commands


def top_ports(verilog: str) -> list[str]:
    """Names of the ports of module ``top``. Raises ValueError if there is no such module."""
    body = re.search(r"^module \\?top\s*\(.*?^endmodule", verilog, re.DOTALL | re.MULTILINE)
    if body is None:
        raise ValueError("the Verilog has no module top")
    return [name.lstrip("\\") for name in _PORT.findall(body.group())]


def build_bench(name: str, verilog: str, *, waves: bool = False) -> Path:
    """The folder of a design (module ``top``) built for cocotb, or found in the cache. Raises BuildError."""
    ports = "".join(f'public_flat_rw -module "top" -var "{port}"\n' for port in top_ports(verilog))
    control = "`verilator_config\n" + ports
    key = key_of("cocotb", verilog, control, VERILATE, FAST, SLOW, waves)
    with build_once(f"{name}-cocotb" + ("-waves" if waves else ""), key) as (folder, work):
        if work is not None:
            print(
                f"building {name} for cocotb (once; kept in {folder.parent}) ...", file=sys.stderr, flush=True
            )
            (work / "top.v").write_text(verilog)
            (work / "ports.vlt").write_text(control)
            log = work / "build.log"
            try:
                with kept_runtime(work, "cocotb", VERILATE, SLOW, waves):
                    Runner().build(
                        sources=[work / "ports.vlt", work / "top.v"],
                        hdl_toplevel="top",
                        build_dir=work,
                        build_args=[*VERILATE, "--output-split", "5000", "--output-split-cfuncs", "500"],
                        timescale=("1ns", "1ps"),
                        waves=waves,
                        log_file=log,
                    )
            except (RuntimeError, SystemExit) as error:
                tail = "\n".join(log.read_text().splitlines()[-25:]) if log.exists() else str(error)
                raise BuildError(f"the cocotb build of {name} failed:\n{tail}") from None
            for made in (*work.glob("*.o"), *work.glob("*.cpp"), *work.glob("*.gch"), *work.glob("*.a")):
                made.unlink()
    return folder


def run_bench(
    build: Path,
    module: str,
    parameters: Mapping[str, Any],
    *,
    tests: Sequence[str] = (),
    seed: int = 0,
    repeat: str = "",
    waves: Path | None = None,
) -> str:
    """Run the cocotb tests of a module on a build; the log.

    ``parameters`` reach the tests through :func:`parameters_of_this_run`. ``tests`` are names, all if empty.
    ``repeat`` is the command a failure names. Raises BenchFailure if a test fails, or none was found.
    """
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    with tempfile.TemporaryDirectory(prefix="lpu-bench-") as folder:
        log, results = Path(folder) / "log", Path(folder) / "results.xml"
        # What failed stands in the results; without results the simulation itself broke.
        with contextlib.suppress(RuntimeError, SystemExit):
            Runner().test(
                test_module=module,
                hdl_toplevel="top",
                hdl_toplevel_lang="verilog",
                test_filter=r"\.(" + "|".join(tests) + ")$" if tests else None,
                seed=seed or 1,
                build_dir=build,
                test_dir=waves if waves is not None else folder,
                results_xml=str(results),
                extra_env={PARAMETERS: json.dumps(dict(parameters)), "COCOTB_ANSI_OUTPUT": "0"},
                waves=waves is not None,
                log_file=log,
            )
        text = log.read_text() if log.exists() else ""
        failures, count = _failures(results)
        if count == 0:
            failures = ["no cocotb test ran to its end:\n" + "\n".join(text.splitlines()[-30:])]
    if failures:
        again = (
            f"\nrepeat: {repeat}"
            if repeat
            else f"\nrepeat with seed {seed}, {shlex.quote(json.dumps(parameters))}"
        )
        raise BenchFailure("\n".join(failures) + again)
    return text


def _failures(results: Path) -> tuple[list[str], int]:
    """(what each failed test said, number of tests) of a results file."""
    if not results.exists():
        return [], 0
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failures = []
    for case in cases:
        for kind in ("failure", "error"):
            for found in case.findall(kind):
                said = found.get("error_msg") or found.get("message") or (found.text or "").strip()
                failures.append(f"{case.get('name')}: {said}")
    return failures, len(cases)


def parameters_of_this_run() -> dict[str, Any]:
    """Inside a cocotb test: the parameters given to :func:`run_bench`."""
    return json.loads(os.environ.get(PARAMETERS, "{}"))
