"""Places: lanes of heads, packed matrices, constants in the float format, and what has no room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.numerics import from_float64
from lpu.arch import PRESETS, FloatFormat
from lpu.compiler.place import Axis, Contexts, FitError, Heads, Memory, Space, float_words, plain

FORMATS = [FloatFormat(8, 17), FloatFormat(8, 23), FloatFormat(5, 10), FloatFormat(4, 3), FloatFormat(8, 7)]


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f"{f.exponent}-{f.mantissa}")
def test_float_words_round_as_the_golden_model_does(fmt):
    """Ties, carries into the next exponent, overflow, underflow, zeros and signs."""
    random = np.random.default_rng(0)
    step = 2.0**-fmt.mantissa
    near = np.array([1, 1 + step / 2, 1 + step * 1.5, 2 - step / 2, 2 - step / 4, 1 + step / 2 + 1e-12])
    exponents = np.arange(-fmt.bias - 2, fmt.bias + 3)
    values = (near[:, None] * 2.0**exponents).reshape(-1)
    values = np.concatenate([values, random.standard_normal(500) * 2.0 ** random.integers(-9, 9, 500), [0.0]])
    values = np.concatenate([values, -values])
    np.testing.assert_array_equal(float_words(fmt, values), from_float64(fmt, values))


def test_float_words_by_hand():
    words = float_words(FloatFormat(8, 7), [1.0, -2.0, 1 + 2**-8, 1 + 3 * 2**-8, 2 - 2**-9, 1e39, 0.0, -0.0])
    assert [f"{w:08x}" for w in words] == [
        "3f800000",
        "c0000000",
        "3f800000",
        "3f820000",
        "40000000",
        "7f800000",
        "00000000",
        "80000000",
    ]


@st.composite
def heads(draw):
    lanes = draw(st.sampled_from([4, 8, 16]))
    kv_heads = draw(st.integers(1, 5))
    return Heads(lanes, kv_heads * draw(st.integers(1, 3)), kv_heads, 2 * draw(st.integers(1, lanes // 2)))


@given(heads(), st.booleans())
def test_every_channel_of_a_head_has_a_lane_of_its_own(made, interleaved):
    for axis, count in (
        (made.queries(interleaved), made.heads),
        (made.keys(interleaved), made.kv_heads),
    ):
        assert len(set(axis.at.tolist())) == len(axis.at) == count * made.head_dim
        assert axis.at.min() >= 0 and axis.at.max() < axis.vectors * made.lanes
        channels = axis.at.reshape(count, made.head_dim)
        # A head lies in one vector; a pair half a vector apart, so that one rotation swaps it.
        assert (channels // made.lanes == channels[:, :1] // made.lanes).all()
        half = made.head_dim // 2
        first, second = (
            (channels[:, 0::2], channels[:, 1::2])
            if interleaved
            else (channels[:, :half], channels[:, half:])
        )
        np.testing.assert_array_equal(second - first, made.lanes // 2)


@given(heads(), st.booleans())
def test_queries_lie_in_the_lanes_of_their_key(made, interleaved):
    queries = made.queries(interleaved).at.reshape(made.heads, -1) % made.lanes
    keys = made.keys(interleaved).at.reshape(made.kv_heads, -1) % made.lanes
    for head in range(made.heads):
        np.testing.assert_array_equal(queries[head], keys[head // made.group])
        np.testing.assert_array_equal(np.sort(queries[head]), np.sort(made.lanes_of(made.slot(head))))


@given(heads())
def test_angles_of_a_lane(made):
    angle, sign = made.angles(500.0)
    for head in range(made.kv_heads):
        at = made.keys(False).at.reshape(made.kv_heads, -1)[head] % made.lanes
        want = 500.0 ** (-2 * np.arange(made.head_dim // 2) / made.head_dim)
        np.testing.assert_array_equal(angle[at], np.tile(want, 2))
        np.testing.assert_array_equal(sign[at], np.repeat([-1, 1], made.head_dim // 2))


@pytest.mark.parametrize("outer", ["columns", "rows"])
def test_a_matrix_in_its_contexts(outer):
    """x @ W recomputed from the image, context by context, in the order that passes take them."""
    random = np.random.default_rng(1)
    lanes, weight = 8, random.integers(-128, 128, (21, 13)).astype(np.int8)
    rows, columns = Axis(random.permutation(24)[:13], 3), Axis(random.permutation(32)[:21], 4)
    contexts = Contexts(lanes, 64)
    contexts.room("before", 2)
    first = contexts.matrix("w", weight, rows, columns, outer=outer)
    image = np.frombuffer(contexts.image(), np.int8).reshape(-1, lanes, lanes).astype(np.int64)
    assert (first, contexts.used, len(image)) == (2, 14, 14) and not image[:2].any()
    x = random.integers(-128, 128, 13)
    spread = rows.spread(lanes, x)
    out = np.zeros((4, lanes), np.int64)
    for k in range(3):
        for n in range(4):
            out[n] += spread[k] @ image[first + (n * 3 + k if outer == "columns" else k * 4 + n)]
    np.testing.assert_array_equal(out.reshape(-1)[columns.at], weight @ x)
    assert np.count_nonzero(out) <= 21


def test_an_axis_spreads_with_padding():
    axis = plain(4, 6)
    assert axis.vectors == 2
    assert axis.spread(4, np.arange(6), fill=-1).tolist() == [[0, 1, 2, 3], [4, 5, -1, -1]]


def test_the_same_constant_is_kept_once():
    memory = Memory("mem0", 4, 16)
    words = np.arange(8, dtype=np.uint32).reshape(2, 4)
    assert [memory.constant("a", words), memory.room("r", 3), memory.constant("a", words)] == [0, 2, 0]
    assert memory.constant("b", words) == 5 and memory.used == 7
    image = np.frombuffer(memory.image(), "<u4").reshape(-1, 4)
    np.testing.assert_array_equal(image[[0, 1, 5, 6]], np.tile(words, (2, 1)))
    assert not image[2:5].any() and len(image) == 7


def test_masks_are_shared_and_the_first_is_all_lanes():
    space = Space.of(PRESETS["tiny"])
    assert space.mask(np.arange(4)) == 0
    assert [space.mask(np.array([0, 2])), space.reserve_mask(), space.mask(np.array([2, 0]))] == [1, 2, 1]
    assert space.masks == [15, 5, 0]


def test_what_has_no_room_is_named_with_the_amount():
    space = Space.of(PRESETS["tiny"])
    space.check("nothing")
    space.contexts.room("w", 40)
    space.east.room("c", 65)
    for _ in range(8):
        space.reserve_mask()
    with pytest.raises(FitError) as caught:
        space.check("a model")
    assert str(caught.value) == (
        "a model does not fit tiny: it needs 40 MXM contexts where there are 32: 8 too many; 65 mem1 words where there are "
        "64: 1 too many; 9 lane masks where there are 8: 1 too many. Use a larger configuration or a smaller model"
    )
