"""Slices alone, native, on dense random instruction streams: every output of every cycle against golden.

The VXM has the same, and more, in test_vxm.py.
"""

import importlib
from collections import Counter

import numpy as np
import pytest

from lpu.isa import unit_of
from tb import slices
from tests.conftest import SMALL

SEEDS = range(3)
CYCLES = 1500


def build(config, name):
    kind = str(config.spec(name).kind)
    return getattr(importlib.import_module(f"rtl.{kind}"), kind.capitalize())(config, name)


@pytest.mark.parametrize("name", ["mem0", "mxm0", "sxm0"])
def test_slice(name):
    config = SMALL["tiny"]
    seen = Counter()
    component = build(config, name)
    for seed in SEEDS:
        made = slices.check(config, name, component, seed, CYCLES)
        seen.update((d.queue, d.instruction.op) for d in made.dispatches)
    every = {(q, op.name) for q in {q for q, _ in seen} for op in unit_of(config, q).ops}
    assert set(seen) == every, f"never dispatched: {sorted(every - set(seen))}"
    assert sum(seen.values()) > CYCLES // 2


def test_a_difference_names_slice_cycle_stream_and_what_was_dispatched(monkeypatch):
    config = SMALL["tiny"]
    golden = slices.golden

    def lying(config, name, made):
        data, valid, violation = golden(config, name, made)
        cycle, stream = np.argwhere(valid[200:, 1])[0]
        data[200 + cycle, 1, stream, 2] ^= 1
        return data, valid, violation

    monkeypatch.setattr(slices, "golden", lying)
    with pytest.raises(slices.SliceMismatch) as failure:
        slices.check(config, "mem0", build(config, "mem0"), 5, 400)
    text = str(failure.value)
    assert "mem0 of tiny, seed 5, west_out stream" in text and "in cycle 20" in text
    assert "expected" in text and "actual" in text and "mem0.write" in text
