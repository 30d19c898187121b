"""How fast a language model runs here: RTL, golden model, float reference, in tokens a second."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from golden.calibrate import quantised_model
from golden.session import ReferenceSession
from golden.tile import Tile
from lpu.arch import TileConfig
from lpu.compiler.frontend import load_model
from lpu.compiler.model import compile_model
from lpu.runtime.generate import Engine
from lpu.runtime.session import Session
from tb.fastsim import fast_machine

#: Published speeds of llama2.c on stories260K: what, machine, tokens a second as its authors give them.
PUBLISHED = (
    ("llama2.c stories260K, -Ofast", "one EPYC core", "6,000 to 12,000"),
    ("llama2.c stories260K, -O3", "one EPYC core", "3,400"),
    ("llama2.c stories260K", "Raspberry Pi 4", "917"),
    ("llama2.c stories260K", "ESP32-S3, RP2350", "19 to 25"),
)


@dataclass(frozen=True)
class Speed:
    """Tokens a second by target, and what each token took in cycles. ``source``: the model's name."""

    source: str
    rates: dict[str, float]
    cycles: list[int]


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, one core"


def measure(
    model: str,
    config: TileConfig,
    tokens: int,
    tell: Callable[..., None] = lambda what, done=0, of=None: None,
) -> Speed:
    """Generate greedily from BOS on each target. Raises what importers and compiler raise, AssertionError if tokens differ."""
    tell("compiling")
    graph = load_model(model)
    program = compile_model(quantised_model(graph), config)
    count = min(tokens, graph.positions)
    engines: dict[str, Callable[[], Engine]] = {
        "rtl": lambda: Session(fast_machine(config), program),
        "golden": lambda: Session(Tile(config), program),
        "reference": lambda: ReferenceSession(graph),
    }
    rates: dict[str, float] = {}
    cycles: dict[str, list[int]] = {}
    told: dict[str, list[int]] = {}
    for target, make in engines.items():
        tell(f"{target}: starting")
        engine = make()
        engine.start([1])
        begun = time.perf_counter()
        steps = []
        for n in range(count):
            tell(target, n, count)
            steps.append(engine.step())
        rates[target] = count / (time.perf_counter() - begun)
        cycles[target] = [s.cycles or 0 for s in steps]
        told[target] = [s.token for s in steps]
    if told["rtl"] != told["golden"] or cycles["rtl"] != cycles["golden"]:
        raise AssertionError("RTL and golden model told different stories")
    return Speed(graph.source, rates, cycles["rtl"])
