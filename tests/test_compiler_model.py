"""Compiled networks of odd sizes on invented tiles: every bit as in the emulation, every cycle as predicted."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.emulate import Emulation
from golden.tile import Tile
from lpu.arch import PRESETS, FloatFormat
from lpu.compiler.builder import QueueOverflow
from lpu.compiler.check import check_program
from lpu.compiler.graph import GraphError
from lpu.compiler.model import compile_model
from lpu.compiler.place import FitError
from lpu.runtime.cycles import evaluate
from lpu.small import SMALL
from lpu.timing import LOOP_CYCLES
from tests.conftest import simulation
from tests.quantised_tools import Session, Shape, random_quantised, tile_config, tokens_of

#: Streams as on the larger ECP5 configuration: few taps, few drivers.
ECP5 = (
    "host<w0,w1>e0 mem:1024<e0,w0,w1>e0,e1,w0 sxm<e0,w0,w1>e0,e1,w0 mxm<e0,w0,w1>e1,w1 vxm<e0,e1,w0>e0,w1 "
    "mem:1024<e0,e1>w0"
)
ONE_MASK_A_SLOT = Shape(dim=20, heads=4, kv_heads=4, head_dim=2, positions=17)


def session(config, shape, *, chunk=1, seed=0):
    graph = random_quantised(shape, seed)
    return Session(graph, compile_model(graph, config, chunk=chunk), Tile(config))


def run(config, shape, *, chunk=1, seed=0):
    """All positions, by prefill where it fits two times out of three; returns the session."""
    made = session(config, shape, chunk=chunk, seed=seed)
    tokens, size = tokens_of(made.emulation.quantised, shape.positions), made.chunk
    turn = 0
    while (at := made.position) < shape.positions:
        turn += 1
        if size and not at % size and at + size <= shape.positions and turn % (size + 3) < 2:
            made.prefill(tokens[at : at + size])
        else:
            made.step(tokens[at])
    return made


@pytest.mark.parametrize(
    ("config", "shape", "chunk"),
    [
        (tile_config(4, 4), Shape(positions=10), 1),
        (tile_config(4, 2), Shape(dim=9, hidden=13, heads=3, head_dim=2, positions=11, interleaved=True), 2),
        (tile_config(4, 1, ECP5), Shape(dim=7, hidden=5, heads=2, kv_heads=2, positions=9, tied=True), 4),
        (tile_config(8, 4), replace(ONE_MASK_A_SLOT, interleaved=True, base=500.0), 4),
        (tile_config(8, 8, ECP5), Shape(dim=30, heads=3, kv_heads=3, head_dim=6, positions=18, layers=2), 2),
        (tile_config(8, 2, "mem:16 host mem:512 sxm c2c mxm vxm mem:512"), replace(ONE_MASK_A_SLOT), 8),
        (tile_config(8, 4), Shape(rotary=False, positions=17, head_dim=8), 2),
        (tile_config(8, 8, float_format=FloatFormat(6, 14)), Shape(heads=4, kv_heads=2, positions=17), 4),
        (
            tile_config(16, 8),
            Shape(40, 100, 6, 3, 6, vocabulary=300, positions=40, tied=True, interleaved=True),
            8,
        ),
        (PRESETS["ecp5-85f"], Shape(48, 100, 6, 2, 8, vocabulary=70, positions=33), 2),
        (replace(SMALL["whole16"], masks=8), Shape(48, 100, 6, 2, 8, vocabulary=70, positions=33), 1),
        (tile_config(4, 2, "sxm mem:1024 mxm vxm host mem:1024", vector_fifo=0), Shape(positions=10), 2),
    ],
    ids=lambda x: x.name if hasattr(x, "name") else f"{x.dim}-{x.head_dim}" if hasattr(x, "dim") else None,
)
def test_every_logit_of_every_position(config, shape, chunk):
    made = run(config, shape, chunk=chunk)
    assert made.position > 2 * config.lanes
    assert made.chunk == (chunk if chunk > 1 else 0)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_network_is_exact_or_refused(data):
    def draw(*values):
        return data.draw(st.sampled_from(values))

    lanes = draw(4, 8)
    config = tile_config(
        lanes,
        draw(*(n for n in (1, 2, 4, 8) if n <= lanes)),
        draw(ECP5, "host mem:1024 sxm mxm vxm mem:1024", "host mem:64 sxm mxm vxm mem:512"),
        accumulators=draw(8, 16, 64),
        activations=draw(16, 64),
        vxm_registers=draw(16, 32),
        reduce_accumulators=draw(8, 16, 64),
        masks=draw(8, 16),
    )
    kv_heads = draw(1, 2, 3)
    shape = Shape(
        dim=data.draw(st.integers(1, 30)),
        hidden=data.draw(st.integers(1, 50)),
        heads=kv_heads * draw(1, 2, 3),
        kv_heads=kv_heads,
        head_dim=draw(*range(2, lanes + 1, 2)),
        vocabulary=data.draw(st.integers(2, 60)),
        positions=draw(lanes, lanes + 1, 2 * lanes + 1),
        interleaved=draw(False, True),
        tied=draw(False, True),
        base=draw(500.0, 10000.0),
    )
    try:
        run(config, shape, chunk=draw(None, 1, 2, 4), seed=draw(0, 1, 2))
    except (GraphError, QueueOverflow) as error:
        assert "\n" not in str(error) and re.search(r"needs?|needed|takes|buffers", str(error))


def test_going_back_does_not_see_what_came_later():
    made = session(tile_config(4, 4), Shape(positions=12))
    for token in tokens_of(made.emulation.quantised, 10):
        made.step(token)
    for position in (7, 4, 3, 0):
        made.position = position
        for token in tokens_of(made.emulation.quantised, 3, seed=position):
            made.step(token)


def test_the_embedding_by_a_one_hot_pass():
    """A table that would fill the memory lies in contexts."""
    shape = Shape(vocabulary=300, positions=9)
    made = run(tile_config(4, 4, "host mem:256 sxm mxm vxm mem:256"), shape)
    assert "embedding" in [name for _, _, name in made.program.symbols["contexts"]]
    roomy = session(tile_config(4, 4), replace(shape, vocabulary=20))
    assert "embedding" not in [name for _, _, name in roomy.program.symbols["contexts"]]


@pytest.mark.parametrize("machine", ["golden", "rtl"])
def test_a_run_generates_many_tokens(machine):
    """From within the first block, where loops run no times, to the third."""
    config, shape = PRESETS["tiny"], Shape(4, 4, 1, 1, 4, vocabulary=7, positions=12)
    graph = random_quantised(shape, 3)
    program = compile_model(graph, config, chunk=1)
    made = Session(graph, program, Tile(config) if machine == "golden" else rtl())
    made.state(2, tokens=10)
    result = made.machine.run("decode")
    assert result.violation is None
    assert made.machine.pop_tokens() == Emulation(graph, config.float_format).greedy([2], 10)
    once = [evaluate(program.cycles["decode"], position=p) - LOOP_CYCLES for p in range(10)]
    assert result.cycles == sum(once) + LOOP_CYCLES and len(set(once)) == 3


def rtl():
    from lpu.runtime import RtlMachine

    found = simulation("tiny")
    found.power_on()
    return RtlMachine(found, PRESETS["tiny"])


@pytest.mark.parametrize(
    ("shape", "chunk"),
    [
        (Shape(4, 4, 1, 1, 4, vocabulary=7, positions=12), 1),
        (Shape(3, 4, 2, 1, 2, vocabulary=6, positions=9, interleaved=True, tied=True), 2),
    ],
    ids=["plain", "two query heads, prefill"],
)
def test_on_rtl(shape, chunk):
    """Logits, tokens and cycles, which the golden tile has too."""
    graph = random_quantised(shape, 1)
    program = compile_model(graph, PRESETS["tiny"], chunk=chunk)
    tokens = tokens_of(graph, shape.positions)
    for machine in (Tile(PRESETS["tiny"]), rtl()):
        made = Session(graph, program, machine)
        if chunk > 1:
            made.prefill(tokens[:chunk])
        for token in tokens[made.position :]:
            made.step(token)


@pytest.mark.parametrize("position", [0, 3, 4, 8, 11])
def test_the_check_agrees_at_every_number_of_iterations(position):
    graph = random_quantised(Shape(positions=12), 0)
    program = compile_model(graph, tile_config(4, 2), chunk=2, check=False)
    assert not check_program(program, "decode", registers={2: position, 7: 1}, loaded=[29])
    if not position % 2:
        assert not check_program(program, "prefill", registers={2: position}, tokens=[1, 2])


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (
            tile_config(4, 4),
            Shape(head_dim=6),
            "attention '0.attend' with head_dim 6: 4 lanes takes even ones up to its 4 lanes",
        ),
        (tile_config(4, 4), Shape(head_dim=3, rotary=False), "attention '0.attend' with head_dim 3"),
        (
            tile_config(4, 4),
            Shape(heads=3, kv_heads=2),
            "attention '0.attend': 3 heads are no multiple of 2 key heads",
        ),
        (
            tile_config(4, 4, float_format=FloatFormat(8, 7)),
            Shape(),
            "mantissa of 7 bits, softmax needs 14",
        ),
        (
            tile_config(4, 4, contexts=64),
            Shape(dim=40),
            r"does not fit 4 lanes: it needs \d+ MXM contexts where there are 64: \d+ too many",
        ),
        (
            tile_config(4, 4, "host mem:16 sxm mxm vxm mem:32"),
            Shape(),
            r"needs \d+ mem0 words where there are 16: \d+ too many; \d+ mem1 words",
        ),
        (tile_config(8, 8, masks=2), ONE_MASK_A_SLOT, r"7 lane masks where there are 2: 5 too many"),
        (tile_config(4, 4, activations=4), Shape(dim=20), "has 4 activation entries, 8 are needed"),
        (tile_config(4, 4, vxm_registers=8), Shape(), "needs 7 vxm_registers"),
        (tile_config(4, 4, queue_depth=64), Shape(), r"queue .* needs \d+ words, 4 lanes has room for 64"),
        (
            tile_config(4, 4, accumulators=4, activations=8),
            Shape(dim=12, hidden=60),
            "layer 0: 15 blocks between gate and down projection, 4 lanes buffers",
        ),
        (tile_config(4, 4, "host mem:64 sxm mxm vxm"), Shape(), "and a mem east of it"),
        (tile_config(4, 4, "host mem:64 sxm vxm mxm mem:64"), Shape(), "the mxm west of the vxm"),
        (tile_config(4, 4, "host mem:64 sxm mxm mem:64"), Shape(), "has no vxm slice"),
        (
            tile_config(4, 4, "host mem:512 sxm mxm vxm<e0,w0,w1>w1 mem:512<e0>w0"),
            Shape(),
            "has no stream from vxm0 to mem1, which embedding / rotary needs",
        ),
        (tile_config(4, 1, streams=4), Shape(dim=20), "its values meet each other; use more streams"),
    ],
)
def test_refusals(config, shape, words):
    """One line that names the operation and the limit, and for memories by how much."""
    with pytest.raises((GraphError, QueueOverflow), match=words) as caught:
        compile_model(random_quantised(shape), config)
    assert "\n" not in str(caught.value)


def test_refusal_of_a_chunk():
    with pytest.raises(GraphError, match="prefill of 8 positions: 4 lanes takes divisors of its 4 lanes"):
        compile_model(random_quantised(Shape()), tile_config(4, 4), chunk=8)


def test_the_largest_chunk_that_fits():
    graph = random_quantised(Shape(heads=1), 0)
    assert compile_model(graph, tile_config(8, 8)).symbols["model"]["chunk"] == 8
    # All lanes, two slots, the padding of the logits, and one mask for each position of a chunk.
    assert compile_model(graph, tile_config(8, 8, masks=8)).symbols["model"]["chunk"] == 4
    with pytest.raises(FitError, match=r"\d+ lane masks where there are 8: \d+ too many"):
        compile_model(graph, tile_config(8, 8, masks=8), chunk=8)


def test_one_query_normalised_twice_is_refused():
    graph = random_quantised(Shape())
    twice = replace(graph.ops[1], out="again")
    wrong = replace(graph, ops=(*graph.ops[:2], twice, *graph.ops[2:]), layers=("", *graph.layers))
    attend = next(op for op in graph.ops if op.out == "0.attend")
    key = next(op for op in graph.ops if op.out == attend.key)
    ops = tuple(replace(key, source="again") if op is key else op for op in wrong.ops)
    with pytest.raises(GraphError, match="'x' is normalised twice"):
        compile_model(replace(wrong, ops=ops), tile_config(4, 4))


def test_padding_stays_zero():
    """Logits past the vocabulary are zero, and the arg-max never names one, not even where all logits are negative."""
    graph = random_quantised(Shape(vocabulary=5, positions=9), 0)
    logits = graph.ops[-1]
    weight = -np.abs(logits.matrix.weight)
    graph = replace(
        graph, ops=(*graph.ops[:-1], replace(logits, matrix=replace(logits.matrix, weight=weight)))
    )
    config = tile_config(4, 4)
    made = Session(graph, compile_model(graph, config, chunk=1), Tile(config))
    for token in tokens_of(graph, 9):
        assert made.step(token) < 5
        place = made.program.symbols["model"]["logits"]
        words = made.machine.read_memory(place["slice"], place["word"], place["count"]).reshape(-1)
        assert not words[5:].any()
