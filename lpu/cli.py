"""The command line ``lpu``. Each verb is a module of lpu.commands and imports what it needs when it runs.

Bad input is one line on standard error and exit code 2; a run that goes wrong (a violation, a wrong result) exits with 1.
"""

from __future__ import annotations

import importlib
import sys

import click

#: Verb -> (module, its one line of help); the help is here so that ``lpu --help`` imports no verb.
VERBS = {
    "asm": ("assemble", "Assemble a program from text."),
    "board-sim": ("board_sim", "Simulate a board behind a serial port."),
    "build": ("build", "Build a bitstream for an FPGA board."),
    "bench": ("bench", "Measure kernels and simulators."),
    "compile": ("compile", "Compile a language model to a program."),
    "configs": ("configs", "List the configurations."),
    "demo": ("demo", "Tell a story with the project's own model on the RTL."),
    "disasm": ("disassemble", "Print a program as text."),
    "isa": ("isa", "List the instructions of a configuration."),
    "load": ("load", "Load a program into a board."),
    "report": ("report", "Show a program's schedule as a web page."),
    "run": ("run", "Run a language model on golden model, RTL, a board or float reference."),
    "sim": ("sim", "Run a program on golden model, RTL or a board."),
    "verilog": ("verilog", "Write a tile as Verilog."),
}
_PACKAGES = ("lpu", "golden", "rtl", "tb", "fpga")


class _Verbs(click.Group):
    """Verbs, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f"lpu.commands.{VERBS[name][0]}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="open-lpu", prog_name="lpu")
def cli() -> None:
    """An open Language Processing Unit: programs, golden model, RTL."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        return cli.main(arguments, prog_name="lpu", standalone_mode=False) or 0
    except click.ClickException as error:
        return _refuse(error.format_message())
    except click.Abort:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ValueError, RuntimeError) as error:
        # The project's own errors speak for themselves; anything else is a defect and keeps its traceback.
        if type(error).__module__.split(".")[0] in _PACKAGES:
            return _refuse(str(error))
        raise


def _refuse(message: str) -> int:
    click.echo("lpu: " + " ".join(message.split()), err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
