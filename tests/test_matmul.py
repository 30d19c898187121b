"""The matrix product kernel: exact results in exactly the predicted cycles, and the bars it has to clear."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golden.tile import Tile
from lpu.arch import PRESETS, SliceKind, SliceSpec, TileConfig, parse_floorplan
from lpu.compiler import MatmulError, check_program, compile_matmul, ideal_cycles, read_result
from lpu.compiler.matmul_schedule import row_order
from lpu.timing import DRAIN_RESULT, READ_RESULT, pass_visible

TINY = PRESETS["tiny"]
#: An array in the middle of three memories, east of the first ones, few entries of everything.
ODD = TileConfig(
    "odd",
    4,
    4,
    32,
    parse_floorplan("mem:16 mem:32 host mxm sxm vxm mem:32"),
    accumulators=4,
    activations=4,
    queue_depth=64,
)


def operands(m, k, n, seed=0):
    random = np.random.default_rng(seed)
    a = random.integers(-128, 128, (m, k), dtype=np.int8)
    return a, random.integers(-128, 128, (k, n), dtype=np.int8)


def product(config, m, k, n, *, streamed=False, seed=0, tile=None):
    """Cycles of a product that is exact, as predicted, and legal; on the golden tile, or the one given."""
    a, b = operands(m, k, n, seed)
    program = compile_matmul(config, a, b, streamed=streamed)
    assert check_program(program) == []
    tile = tile or Tile(config)
    tile.load(program)
    result = tile.run()
    assert result.violation is None
    assert result.cycles == program.cycles["main"]
    assert result.passes == ideal_cycles(config, m, k, n)
    np.testing.assert_array_equal(read_result(tile, program), a.astype(np.int32) @ b.astype(np.int32))
    return result.cycles


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@pytest.mark.parametrize(
    "size", [(1, 1, 1), (3, 5, 7), (1, 4, 9), (9, 4, 1), (2, 17, 9), (5, 33, 12), (7, 16, 20)]
)
@pytest.mark.parametrize("config", [*PRESETS.values(), ODD], ids=lambda c: c.name)
def test_sizes(config, size, streamed):
    product(config, *size, streamed=streamed)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 12),
    k=st.integers(1, 40),
    n=st.integers(1, 40),
    name=st.sampled_from(["tiny", "ecp5-25f", "odd"]),
    streamed=st.booleans(),
    seed=st.integers(0, 99),
)
@example(m=1, k=21, n=33, name="odd", streamed=True, seed=0)  # weight rows from two memories would meet
def test_any_size_is_exact_or_refused(m, k, n, name, streamed, seed):
    config = ODD if name == "odd" else PRESETS[name]
    try:
        product(config, m, k, n, streamed=streamed, seed=seed)
    except MatmulError as error:
        assert "\n" not in str(error)
        assert re.search(r"missing|too many|whole rows", str(error)), error


@pytest.mark.parametrize(
    ("name", "size", "bar"),
    [
        ("ecp5-25f", (1, 64, 64), 100),
        ("ecp5-25f", (64, 64, 64), 4300),
        ("ecp5-85f", (1, 512, 512), 1090),
        ("ecp5-85f", (32, 64, 64), 512 / 0.9),
    ],
)
def test_bars(name, size, bar):
    assert product(PRESETS[name], *size) <= bar


@pytest.mark.parametrize(
    ("name", "size", "bar"),
    [
        # Each weight row takes a cycle of the one array's load port: 64 blocks of 8 rows, 16 blocks of 16.
        ("ecp5-25f", (1, 64, 64), 64 * 8 + 40),
        ("ecp5-25f", (64, 64, 64), 4096 / 0.93),
        ("ecp5-85f", (32, 64, 64), 512 / 0.84),
    ],
)
def test_streamed_bars(name, size, bar):
    assert product(PRESETS[name], *size, streamed=True) <= bar


@pytest.fixture(scope="module")
def rtl():
    """The Verilated tile of a preset, built once."""
    machines = {}

    def of(name):
        from tb.fastsim import fast_machine

        if name not in machines:
            machines[name] = fast_machine(PRESETS[name])
        return machines[name]

    return of


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@pytest.mark.parametrize(
    "size", [(1, 1, 1), (3, 5, 7), (1, 4, 9), (9, 4, 1), (2, 17, 9), (5, 33, 12), (7, 16, 20)]
)
def test_sizes_on_rtl(size, streamed, rtl):
    product(TINY, *size, streamed=streamed, tile=rtl("tiny"))


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ecp5-25f", (1, 64, 64)),
        ("ecp5-25f", (64, 64, 64)),
        ("ecp5-25f", (3, 50, 30)),
        ("ecp5-85f", (32, 64, 64)),
        ("ecp5-85f", (7, 100, 60)),
    ],
)
def test_bars_on_rtl(name, size, streamed, rtl):
    product(PRESETS[name], *size, streamed=streamed, tile=rtl(name))


@pytest.mark.slow
def test_the_largest_bar_on_rtl(rtl):
    assert product(PRESETS["ecp5-85f"], 1, 512, 512, tile=rtl("ecp5-85f")) <= 1090


@pytest.mark.parametrize("size", [(4, 128, 512), (1, 256, 256), (1, 512, 128), (20, 512, 128), (100, 16, 64)])
def test_a_queue_of_64_words_holds_big_ones(size):
    config = PRESETS["ecp5-25f"]
    assert config.queue_depth == 64
    ideal = ideal_cycles(config, *size)
    assert product(config, *size) <= ideal + 45 + 4 * size[0]


def test_cycles_by_hand():
    """1x4x4 on tiny: READB, one hop by sxm0 to mxm0, LA, PASS, DRAIN, two hops back, WRITE."""
    a, b = operands(1, 4, 4)
    program = compile_matmul(TINY, a, b)
    hops = 2
    sample_la = READ_RESULT + hops
    drain = (sample_la - 1) + 2 + pass_visible(TINY)
    sample_write = drain + DRAIN_RESULT + hops
    # The write shows one cycle after its sample and is done at the end of that one.
    assert program.cycles["main"] == sample_write + 2
    words = program.queues["mxm0.passes"]
    assert [w.op for w in words] == ["NOP", "PASS", "HALT"]


def test_results_in_several_memories():
    a, b = operands(20, 8, 20)
    program = compile_matmul(TINY, a, b)
    assert {s["slice"] for s in program.symbols["results"]} == {"mem0", "mem1"}
    product(TINY, 20, 8, 20)
    assert {s["slice"] for s in compile_matmul(ODD, *operands(24, 8, 8)).symbols["results"]} > {"mem1"}
    product(ODD, 24, 8, 8)


def test_extremes_do_not_overflow():
    a = np.full((2, 60), -128, np.int8)
    b = np.full((60, 4), -128, np.int8)
    program = compile_matmul(TINY, a, b)
    tile = Tile(TINY)
    tile.load(program)
    tile.run()
    assert (read_result(tile, program) == 60 * 128 * 128).all()


@pytest.mark.parametrize("inner", ["k", "n"])
@pytest.mark.parametrize(("blocks", "columns"), [(1, 1), (3, 5), (16, 3), (17, 2), (40, 20), (33, 33)])
def test_row_order(blocks, columns, inner):
    row = row_order(TINY, blocks, columns, inner=inner)
    assert sorted(row.order) == [(k, n) for k in range(blocks) for n in range(columns)]
    assert sum(r.length for r in row.runs) == len(row.order)
    cleared = set()
    for run in row.runs:
        for n in [run.n] if run.along_k else range(run.n, run.n + run.length):
            assert run.clear == (n not in cleared)
            cleared.add(n)
    loaded = {p for p, _ in row.loads}
    assert {row.order[p][0] for p in loaded} == set(range(blocks))


@pytest.mark.parametrize(
    ("config", "size", "streamed", "words"),
    [
        (
            TINY,
            (1, 40, 40),
            False,
            "needs 100 contexts, tiny has 32: 68 missing; use more contexts, or streamed weights",
        ),
        (TINY, (1, 200, 4), True, "needs 50 contexts, tiny has 32: 18 missing"),
        (
            TINY,
            (20, 24, 20),
            False,
            r"needs 130 MEM words \(activations 30, weights 0, results 100\), tiny has 128: 2 missing",
        ),
        (PRESETS["ecp5-85f"], (1, 512, 512), True, "3112 missing; use deeper or more mem slices"),
        (
            dataclasses.replace(TINY, floorplan=parse_floorplan("host mem:16 vxm")),
            (1, 1, 1),
            False,
            "has no mxm slice",
        ),
        (
            dataclasses.replace(TINY, floorplan=parse_floorplan("host mxm")),
            (1, 1, 1),
            False,
            "has no mem slice",
        ),
        (
            dataclasses.replace(
                TINY,
                floorplan=(*TINY.floorplan[:3], SliceSpec(SliceKind.MXM, tap=("w0",)), *TINY.floorplan[4:5]),
            ),
            (1, 1, 1),
            False,
            "no word stream left from mem0 to mxm0 for activations",
        ),
    ],
)
def test_refusals(config, size, streamed, words):
    with pytest.raises(MatmulError, match=words) as caught:
        compile_matmul(config, *operands(*size), streamed=streamed)
    assert "\n" not in str(caught.value)


def test_refusals_of_operands():
    a, b = operands(2, 3, 4)
    with pytest.raises(MatmulError, match="cannot multiply"):
        compile_matmul(TINY, a, b[:2])
    with pytest.raises(MatmulError, match="use int8"):
        compile_matmul(TINY, a.astype(np.int16), b)
