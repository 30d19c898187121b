"""Netlists put right before they are placed: they do what they did."""

import random
from collections import Counter

import pytest

from fpga.tidy import fold_constants, spread


def carry_cell(cell, values):
    """S0, S1 and COUT of a CCU2C as Lattice's model has them. ``values``: of its inputs, by net."""
    carry, sums = values[cell["connections"]["CIN"][0]], []
    for half in "01":
        init = int(cell["parameters"][f"INIT{half}"], 2)
        a, b, c, d = (
            values[bit] if isinstance(bit := cell["connections"][f"{port}{half}"][0], int) else int(bit)
            for port in "ABCD"
        )
        look = init >> (a | b << 1 | c << 2 | d << 3) & 1
        generate = init >> (a | b << 1) & 1
        sums.append(look ^ carry)
        carry = carry if look else generate
    return *sums, carry


@pytest.mark.parametrize("seed", range(40))
def test_a_folded_constant_changes_nothing(seed):
    rng = random.Random(seed)
    pins = [f"{port}{half}" for half in "01" for port in "ABCD"]
    cell = {
        "type": "CCU2C",
        "parameters": {f"INIT{half}": f"{rng.getrandbits(16):016b}" for half in "01"},
        "connections": {pin: [rng.choice([n, n, "0", "1"])] for n, pin in enumerate(pins, 10)} | {"CIN": [9]},
    }
    inputs = [{9 + n: bits >> n & 1 for n in range(9)} for bits in range(512)]
    before = [carry_cell(cell, values) for values in inputs]
    fold_constants({"cells": {"carry": cell}})
    assert [carry_cell(cell, values) for values in inputs] == before
    assert ["0"] not in cell["connections"].values()


def test_many_readers_are_shared_among_copies():
    """Of 200 readers, out of order, each copy has neighbours; the first also goes outside."""
    cells = {
        "source": {
            "type": "TRELLIS_FF",
            "parameters": {"SD": "1"},
            "port_directions": {"CLK": "input", "DI": "input", "Q": "output"},
            "connections": {"CLK": [2], "DI": [3], "Q": [4]},
        }
    }
    order = list(range(200))
    random.Random(0).shuffle(order)
    for n in order:
        cells[f"lane{n}.x"] = {
            "type": "LUT4",
            "parameters": {},
            "port_directions": {"A": "input", "Z": "output"},
            "connections": {"A": [4], "Z": [1000 + n]},
        }
    ports = {"o": {"direction": "output", "bits": [4]}}
    module = {"ports": ports, "cells": cells, "netnames": {"q": {"hide_name": 0, "bits": [4]}}}
    assert spread(module, 64) == 3
    drivers = {c["connections"]["Q"][0]: n for n, c in cells.items() if c["type"] == "TRELLIS_FF"}
    assert sorted(drivers.values()) == ["source", "source$copy1", "source$copy2", "source$copy3"]
    assert all(cells[n]["connections"]["DI"] == [3] for n in drivers.values())
    by = [drivers[cells[f"lane{n}.x"]["connections"]["A"][0]] for n in range(200)]
    assert by == sorted(by) and set(Counter(by).values()) == {50} and drivers[4] == "source"
    assert {bits for net in module["netnames"].values() for bits in net["bits"]} == set(drivers)


def test_few_readers_keep_what_they_have():
    cells = {
        "source": {
            "type": "LUT4",
            "parameters": {},
            "port_directions": {"A": "input", "Z": "output"},
            "connections": {"A": [3], "Z": [4]},
        },
        "reader": {
            "type": "LUT4",
            "parameters": {},
            "port_directions": {"A": "input", "Z": "output"},
            "connections": {"A": [4], "Z": [5]},
        },
    }
    assert spread({"ports": {}, "cells": cells, "netnames": {}}) == 0 and len(cells) == 2
