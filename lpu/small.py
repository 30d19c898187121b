"""Tiles for FPGAs that do not hold a preset, or not at speed. Standard library only.

Each is a configuration and nothing more: the same slices, fewer or smaller. What a program may do with them the floorplan says;
the compiler of models needs an SXM, the kernels of ``lpu bench matmul`` a MEM.
"""

from __future__ import annotations

from lpu.arch import TileConfig
from lpu.floorplan import parse_floorplan

SMALL: dict[str, TileConfig] = {
    c.name: c
    for c in (
        # Compiled models as on `ecp5-85f`, with half its vector lanes and no more of anything than they use, so that an 85F has
        # room beside it (docs/decisions/0012-array-in-the-west.md).
        TileConfig(
            "whole16",
            16,
            4,
            1024,
            parse_floorplan(
                "mxm<w0>e0 mem:512<e0,w0>e0,w0 sxm<e0,w0>e0 vxm<e0,w1>e0,w0 mem:512<e0>w1 host<e0>"
            ),
            activations=16,
            vxm_accumulators=2,
            permute_maps=2,
            masks=2,
            queue_depth=512,
            loop_depth=2,
            vector_fifo=0,
        ),
        # Products, and what one vector lane makes of them (scales, activation functions, quantisation).
        TileConfig(
            "vector8",
            8,
            1,
            512,
            parse_floorplan("host<w0>e0 mem:1024<w0>e0 mxm<e0,w0>e0,w0 vxm<e0>w0"),
            streams=4,
            queue_depth=512,
            vector_fifo=4,
        ),
        # Products; for FPGAs of some 20,000 LUTs.
        TileConfig(
            "matrix8",
            8,
            1,
            512,
            parse_floorplan("host<w0>e0 mem:512<w0>e0 mxm<e0>w0"),
            streams=4,
            queue_depth=512,
            vector_fifo=4,
        ),
        # The least that computes: the array, which the host feeds, and nothing that an iCE40 would build of flip-flops.
        TileConfig(
            "matrix2",
            2,
            1,
            1024,
            parse_floorplan("host<w0>e0 mxm<e0>w0"),
            streams=4,
            accumulators=2,
            activations=2,
            index_registers=2,
            masks=2,
            queue_depth=256,
            loop_depth=0,
            token_fifo=1,
            vector_fifo=1,
        ),
        # The same with four lanes.
        TileConfig(
            "matrix4",
            4,
            1,
            256,
            parse_floorplan("host<w0>e0 mxm<e0>w0"),
            streams=4,
            accumulators=2,
            activations=2,
            index_registers=2,
            masks=2,
            queue_depth=256,
            loop_depth=1,
            token_fifo=2,
            vector_fifo=2,
        ),
    )
}
