"""Deliberate faults are found by random programs; ``make faults`` tries all of them, this file some of each slice."""

import ast

import pytest

from lpu.arch import load_config
from tb import faults
from tb.faultlist import FAULTS, Fault

TINY = load_config("tiny")
#: One a slice: what most programs trip over.
QUICK = (
    "WRITEB writes all planes",
    "collision not seen",
    "product of the wrong sign",
    "map's zero bit ignored",
    "saturation missing",
    "token FIFO off by one",
    "hop drops valid",
    "loop count off by one",
    "last entry of a load is lost",
    "cycle of a violation off by one",
)


@pytest.fixture(scope="module")
def factory():
    return faults.simulations(TINY)


def sources():
    return {path.name: path.read_text() for path in (faults.ROOT / "rtl").glob("*.py")}


def test_all_faults_fit_the_sources():
    mutated = faults.mutate(sources(), FAULTS)
    for name, text in mutated.items():
        ast.parse(text, name)
    assert sum(text.count("fault(") for text in mutated.values()) >= len(FAULTS)


def test_the_list_covers_every_slice():
    assert len(FAULTS) >= 12
    assert len({f.name for f in FAULTS}) == len(FAULTS)
    assert {f.slice for f in FAULTS} >= {"host", "mem", "mxm", "sxm", "vxm", "icu", "hop", "port"}
    assert {f.slice for f in FAULTS if f.name in QUICK} == {f.slice for f in FAULTS}
    assert set(QUICK) <= {f.name for f in FAULTS}


def test_a_fault_without_a_place_is_refused():
    stray = Fault("stray", "mem", "mem.py", "no such text", "FAULT")
    with pytest.raises(faults.FaultError, match=r"fault stray: 0 places in rtl/mem\.py read 'no such text'"):
        faults.mutate(sources(), [stray])


def test_without_a_fault_the_design_passes(factory):
    quick = [Fault(f.name, f.slice, f.file, f.old, f.new, f.kind, range(10)) for f in FAULTS]
    assert faults.healthy(TINY, quick, factory) == []


@pytest.mark.parametrize("name", QUICK)
def test_faults_are_caught(factory, name):
    number, fault = next((n, f) for n, f in enumerate(FAULTS, 1) if f.name == name)
    found = faults.caught(TINY, number, fault, factory)
    assert found is not None, f"{name} survives {fault.kind} seeds {fault.seeds}"
    assert found.difference
