"""Verilator's linter on the Verilog of configurations: ``python -m tb.lint [CONFIG ...]``, all presets by default.

With -Wall, and the waivers of ``lint.vlt``, which says why.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lpu.arch import PRESETS, ConfigError, TileConfig, load_config
from tb.build import BuildError, checked, find_verilator

WAIVERS = Path(__file__).resolve().parent / "lint.vlt"


def lint(config: TileConfig, waivers: Path = WAIVERS) -> None:
    """Raise BuildError with the end of what the linter said if it said anything."""
    from rtl.verilog import write

    tool = find_verilator()
    with tempfile.TemporaryDirectory(prefix="lpu-lint-") as folder:
        write(config, Path(folder) / "tile.v")
        command = [tool.program, "--lint-only", "-Wall", "--top-module", "lpu_tile", waivers, "tile.v"]
        checked(command, Path(folder), tool.environment)


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is 1 if there was a warning."""
    parser = argparse.ArgumentParser(prog="python -m tb.lint", description="Lint the Verilog of tiles.")
    parser.add_argument(
        "configs", nargs="*", metavar="config", help="presets or .json files; all presets by default"
    )
    try:
        for name in parser.parse_args(arguments).configs or PRESETS:
            lint(load_config(name))
            print(f"{name}: clean")
    except (BuildError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
