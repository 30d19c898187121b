"""What tests share: builds that take a while are made once a session, whoever asks first."""

from functools import cache

import pytest

from lpu.arch import PRESETS, TileConfig, parse_floorplan

#: Small tiles that between them have every slice, both ways a vector can be split over VXM lanes, few and many
#: streams, and memories on both sides.
SMALL = {
    "tiny": PRESETS["tiny"],
    "narrow": TileConfig(
        "narrow",
        lanes=4,
        vxm_lanes=1,
        contexts=4,
        floorplan=parse_floorplan("mem:32 vxm sxm host mxm mem:16"),
        streams=8,
        accumulators=4,
        activations=4,
        vxm_registers=4,
        vxm_accumulators=2,
        permute_maps=2,
        reduce_accumulators=2,
        index_registers=4,
        masks=4,
        queue_depth=128,
        loop_depth=2,
        token_fifo=4,
        vector_fifo=2,
    ),
}


@cache
def simulation(name: str):
    """The fast simulator of one of SMALL, as it was left: power it on."""
    from tb.fastsim import tile_simulation

    return tile_simulation(SMALL[name])


@cache
def cocotb_build(name: str):
    """The folder of one of SMALL built for cocotb."""
    from tb.cocotb_runner import build_bench
    from tb.designs import tile_verilog

    return build_bench(f"tile-{name}", tile_verilog(SMALL[name]))


@pytest.fixture
def fast():
    """``fast("tiny")``: a fast simulation, powered on."""

    def make(name):
        found = simulation(name)
        found.power_on()
        return found

    return make
