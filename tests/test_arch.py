"""Configurations: presets, derived sizes, JSON, and refusals that say what to change."""

import dataclasses
import json

import pytest

from lpu.arch import (
    PRESETS,
    ConfigError,
    FloatFormat,
    SliceKind,
    TileConfig,
    clog2,
    load_config,
    parse_floorplan,
)

TINY = PRESETS["tiny"]


def test_presets_are_the_published_ones():
    sizes = {n: (c.lanes, c.vxm_lanes, c.contexts) for n, c in PRESETS.items()}
    assert sizes == {
        "tiny": (4, 2, 32),
        "ecp5-25f": (8, 4, 1024),
        "ecp5-85f": (16, 8, 1024),
        "sim16": (16, 16, 2048),
        "sim64": (64, 64, 256),
    }


def test_derived_sizes():
    assert TINY.beats == 2
    assert TINY.words == 2
    assert TINY.slice_names == ("host0", "mem0", "sxm0", "mxm0", "vxm0", "mem1")
    assert TINY.position("mxm0") == 3
    assert TINY.hops("mem1", "mem0") == 4
    assert TINY.spec("mem1").kind is SliceKind.MEM
    assert TINY.reachable("mem0", "tap") == (("e", 0), ("e", 1), ("w", 0), ("w", 1))
    assert [clog2(n) for n in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("name", PRESETS)
def test_json_and_back(name):
    config = PRESETS[name]
    assert TileConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_fingerprint_changes_with_every_parameter_but_the_name():
    assert dataclasses.replace(TINY, name="other").fingerprint == TINY.fingerprint
    changes = {
        "lanes": 8,
        "vxm_lanes": 4,
        "contexts": 64,
        "floorplan": parse_floorplan("host mem:64 sxm mxm vxm mem:32"),
        "float_format": FloatFormat(8, 23),
        "streams": 12,
        "accumulators": 8,
        "activations": 8,
        "vxm_registers": 4,
        "vxm_accumulators": 4,
        "permute_maps": 2,
        "reduce_accumulators": 4,
        "index_registers": 4,
        "masks": 4,
        "queue_depth": 128,
        "loop_depth": 2,
        "token_fifo": 8,
        "vector_fifo": 4,
        "link_width": 9,
    }
    assert set(changes) == {f.name for f in dataclasses.fields(TINY)} - {"name"}
    prints = {dataclasses.replace(TINY, **{k: v}).fingerprint for k, v in changes.items()}
    assert len(prints | {TINY.fingerprint}) == len(changes) + 1


def test_restricted_streams():
    plan = list(TINY.floorplan)
    plan[1] = dataclasses.replace(plan[1], inject=("e1",), tap=())
    config = dataclasses.replace(TINY, floorplan=tuple(plan))
    assert config.reachable("mem0", "inject") == (("e", 1),)
    assert config.reachable("mem0", "tap") == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lanes": 3}, "lanes=3: use a power of two from 2 to 64"),
        ({"lanes": 128}, "from 2 to 64"),
        ({"vxm_lanes": 8}, "vxm_lanes=8: use a power of two from 1 to 4"),
        ({"contexts": 0}, "contexts=0"),
        ({"streams": 6}, "a multiple of 4 from 4 to 32"),
        ({"loop_depth": 5}, "use 0 to 4"),
        ({"queue_depth": 100}, "queue_depth=100: use a power of two"),
        ({"floorplan": parse_floorplan("mem:16 mxm")}, "exactly one host"),
        ({"floorplan": parse_floorplan("host")}, "use 2 to 32"),
        ({"floorplan": parse_floorplan("host mem:20")}, "depth of mem0=20"),
        ({"floorplan": parse_floorplan("host mem")}, "depth of mem0=0"),
        ({"floorplan": parse_floorplan("host:4 mem:16")}, "host0 has a depth of 4: only mem slices have one"),
        (
            {"floorplan": (*TINY.floorplan[:-1], dataclasses.replace(TINY.floorplan[-1], tap=("e2",)))},
            "tap of mem1",
        ),
    ],
)
def test_impossible_configurations(change, words):
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as caught:
        dataclasses.replace(TINY, **change)
    assert words in str(caught.value)


def test_impossible_floats_and_floorplans():
    with pytest.raises(ConfigError, match="use 4 to 8"):
        FloatFormat(3, 10)
    with pytest.raises(ConfigError, match="use 3 to 23"):
        FloatFormat(8, 24)
    with pytest.raises(ConfigError, match="unknown slice 'mam'"):
        parse_floorplan("host mam:4")
    with pytest.raises(ConfigError, match="no number of words"):
        parse_floorplan("host mem:x")
    with pytest.raises(ConfigError, match="no slice 'mem7' in tiny"):
        TINY.position("mem7")


def test_load_config(tmp_path):
    assert load_config("tiny") is TINY
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(TINY.to_dict() | {"floorplan": "host mem:16 mxm", "name": "mine"}))
    assert load_config(str(file)).slice_names == ("host0", "mem0", "mxm0")
    for text, words in (
        ("{", "is not JSON"),
        (json.dumps(TINY.to_dict() | {"lane": 3}), "unknown keys lane"),
        ('{"name": "x"}', "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_config(str(file))
    with pytest.raises(ConfigError, match=r"use tiny, ecp5-25f.* or a \.json file"):
        load_config("nope")
    with pytest.raises(ConfigError, match="cannot read configuration"):
        load_config(str(tmp_path / "none.json"))


def test_links_at_the_ends_of_the_row():
    linked = load_config("ecp5-85f-linked")
    assert linked.slice_names == ("c2c0", *PRESETS["ecp5-85f"].slice_names, "c2c1")
    assert linked.ports == ("c2c0", "c2c1")
    # What mem0 reads reaches both links, what they receive reaches mem0.
    for port in linked.ports:
        assert linked.routes("mem0", port) and linked.routes(port, "mem0")
    assert PRESETS["tiny"].linked(3).ports == ("c2c0", "c2c1", "c2c2")
    with pytest.raises(ConfigError, match="has links already: c2c0, c2c1"):
        linked.linked()
    with pytest.raises(ConfigError, match="with 5 links: use 1 to 4"):
        PRESETS["tiny"].linked(5)
    with pytest.raises(ConfigError, match="link_width=10: use one of 8, 9"):
        dataclasses.replace(TINY, link_width=10)


def test_streams_that_matter_where_they_arrive():
    """Driven before, and of use there or behind; where it is only driven once more, two results may meet."""
    config = TileConfig("x", 4, 2, 8, parse_floorplan("host<w0>e0 mem:16<w1>e0,w0 mem:16<e0>e0,w1"))
    assert config.arriving("host0", "tap") == {("w", 0)}
    assert config.arriving("mem0", "tap") == {("e", 0), ("w", 1)}
    assert config.arriving("mem1", "tap") == {("e", 0)}
    assert config.arriving("host0", "inject") == frozenset()
    assert config.arriving("mem0", "inject") == {("e", 0)}
