"""Random programs: legal ones run clean and as predicted, illegal ones violate, and RTL agrees with golden on both.

The long run is ``make regress``; see tb/regress.py for the command that repeats one seed.
"""

import pytest

from lpu.arch import load_config
from lpu.program import Program
from lpu.runtime.machine import ViolationKind
from tb.programs import golden_outcome, illegal, legal
from tb.regress import INVENTED, NARROW, run_seeds, simulations

TINY = load_config("tiny")
SMALL = load_config("ecp5-25f")


@pytest.mark.parametrize(
    "config", [TINY, SMALL, INVENTED, NARROW, load_config("sim16")], ids=lambda c: c.name
)
def test_legal_programs_run_clean_on_golden(config):
    for seed in range(1000, 1012):
        program = legal(config, seed)
        _, result = golden_outcome(program)
        assert result.violation is None, f"seed {seed}: {result.violation.describe(config)}"
        assert result.cycles == program.cycles["main"], f"seed {seed}"


def test_a_seed_is_a_program(tmp_path):
    first, again = legal(TINY, 7), legal(TINY, 7)
    assert first == again
    assert first != legal(TINY, 8)
    first.save(tmp_path / "seed7.lpu")
    loaded = Program.load(tmp_path / "seed7.lpu", TINY)
    assert golden_outcome(loaded)[1] == golden_outcome(first)[1]
    assert illegal(TINY, 7) == illegal(TINY, 7)


def test_illegal_programs_violate_in_every_way():
    kinds = set()
    for seed in range(3 * len(ViolationKind)):
        program, what = illegal(TINY, seed)
        violation = golden_outcome(program)[1].violation
        assert violation is not None and what
        kinds.add(violation.kind)
    assert kinds == set(ViolationKind)


@pytest.mark.parametrize(
    ("config", "kind", "seeds"),
    [
        (TINY, "legal", range(0, 60)),
        (TINY, "illegal", range(0, 42)),
        (SMALL, "legal", range(0, 8)),
        (SMALL, "illegal", range(0, 14)),
        (INVENTED, "legal", range(0, 30)),
        (INVENTED, "illegal", range(0, 21)),
        (NARROW, "legal", range(0, 60)),
        (NARROW, "illegal", range(0, 40)),
    ],
    ids=lambda v: getattr(v, "name", None) or str(v),
)
def test_rtl_agrees_with_golden(config, kind, seeds):
    failures, coverage = run_seeds(config, kind, seeds, simulations(config))
    assert coverage.programs == len(seeds) or failures
    assert not failures, "\n".join(
        f"{f.kind} seed {f.seed}: {f.difference} (python -m tb.regress --config {config.name} "
        f"--{f.kind} {f.seed}:{f.seed + 1})"
        for f in failures
    )
