"""The emulation of quantised graphs: worked by hand, one way against another, close to the float graph."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.emulate import Emulation, Stepped, integer_sum
from golden.numerics import from_float64, to_float64
from lpu.arch import FloatFormat
from lpu.compiler.quantised import (
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Project,
    Quantised,
    Residual,
    Rotary,
)
from tests.models_tools import random_quantised

FORMAT = FloatFormat(8, 17)


def matrix(*rows, scale=1.0):
    return Matrix(np.array(rows, np.int8), np.full(len(rows), scale))


def values(emulation, op, ids=(0,), **inputs):
    """One operation of one position, on given values."""
    return emulation._evaluate(op, np.array(ids), inputs)


def emulation(*ops):
    return Emulation(Quantised(ops, ("",) * len(ops), 4, 64, "test"), FORMAT)


def floats(*rows):
    return from_float64(FORMAT, np.array(rows))


def test_gather_norm_logits_by_hand():
    table = np.array([[127, -64, 0, 1], [0, 0, 0, 0]], np.int8)
    gather = Gather("x", table, np.array([1.0, 0.5, 1.0, 2.0]))
    run = emulation(
        gather, Norm("n", "x", 0.0), Logits("y", "n", matrix([1, 0, 0, 0], [0, 1, 1, 1], scale=0.25))
    )
    x = values(run, gather)
    assert to_float64(FORMAT, x).tolist() == [[127.0, -32.0, 0.0, 2.0]]
    vector, step = values(run, Norm("n", "x", 0.0), x=x)
    # The largest magnitude is 127 already, so that the step is that of the root of the mean square.
    assert vector.tolist() == [[127, -32, 0, 2]]
    root = math.sqrt((127**2 + 32**2 + 2**2) / 4)
    np.testing.assert_allclose(to_float64(FORMAT, step), [[1 / root]], rtol=1e-4)
    logits = to_float64(FORMAT, run.step(0))
    np.testing.assert_allclose(logits, [127 / 4 / root, -30 / 4 / root], rtol=1e-4)


def test_a_vector_of_zeros_is_harmless():
    quantised = random_quantised(np.random.default_rng(0))
    norm = next(op for op in quantised.ops if isinstance(op, Norm))
    vector, step = values(Emulation(quantised, FORMAT), norm, **{norm.source: floats([0.0] * 16)})
    assert not vector.any()
    assert np.isfinite(to_float64(FORMAT, step)).all()


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotation_by_hand(interleaved):
    """Position 21 is 16 + 5: a vector (100, 0) of the pair turns by 21 radians, of the second pair by 0.21."""
    op = Project("q", "n", matrix(*np.eye(4, dtype=int)), Rotary(1, 4, 10000.0, interleaved))
    run = emulation(op)
    run.position = 21
    first, second = ((0, 1), (2, 3)) if interleaved else ((0, 2), (1, 3))
    for (p, q), angle in ((first, 21.0), (second, 0.21)):
        for channel, wanted in (
            (p, (math.cos(angle), math.sin(angle))),
            (q, (-math.sin(angle), math.cos(angle))),
        ):
            vector = np.zeros((1, 4), np.int8)
            vector[0, channel] = 100
            got = values(run, op, n=Stepped(vector, floats([0.5])))[0]
            np.testing.assert_allclose([got[p], got[q]], 50 * np.array(wanted), atol=0.51)
            assert np.count_nonzero(got) <= 2


def test_attention_by_hand():
    """Scores 0 and 64 units of 1/64: weights are as 1 to 2, the larger 127."""
    op = Attend("a", "q", "k", "v", 1, 1, 2, 1 / 64, np.array([1.0, 2.0]))
    run = emulation(op)
    first = values(run, op, q=np.int8([[8, 0]]), k=np.int8([[0, 5]]), v=np.int8([[90, -30]]))
    assert first.tolist() == [[90, -60]]
    # 2**-1 of 127/128 in units of 1/128 is 63.5, and 64 are even.
    second = values(run, op, q=np.int8([[8, 0]]), k=np.int8([[8, 5]]), v=np.int8([[0, 30]]))
    weights = np.array([64, 127])
    wanted = weights @ np.array([[90, -60], [0, 60]]) / weights.sum()
    np.testing.assert_allclose(second[0], wanted, atol=0.51)


def test_gate_and_residual_by_hand():
    gate = Gate("h", "n", matrix([1, 0], [0, 1], scale=1 / 16), matrix([0, 1], [1, 0], scale=2.0))
    got = values(emulation(gate), gate, n=Stepped(np.int8([[32, -16]]), floats([0.5])))
    # gate = (1, -0.5), up = (-16, 32)
    wanted = [1 / (1 + math.exp(-1)) * -16, -0.5 / (1 + math.exp(0.5)) * 32]
    assert got.tolist() == [[round(w) for w in wanted]]
    residual = Residual("r", "h", matrix([1, 1], scale=0.5), "x")
    found = values(emulation(residual), residual, h=np.int8([[3, 4]]), x=floats([10.0]))
    assert to_float64(FORMAT, found).tolist() == [[13.5]]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    heads=st.sampled_from([(1, 1), (4, 2), (6, 3), (4, 1)]),
    head_dim=st.sampled_from([2, 4, 8]),
    dim=st.integers(4, 40),
    hidden=st.integers(3, 40),
    tied=st.booleans(),
    interleaved=st.booleans(),
    fmt=st.sampled_from([FORMAT, FloatFormat(8, 23), FloatFormat(6, 9)]),
    split=st.integers(0, 18),
)
def test_steps_and_sequences_give_the_same_words(seed, heads, fmt, split, **sizes):
    rng = np.random.default_rng(seed)
    quantised = random_quantised(rng, heads=heads[0], kv_heads=heads[1], **sizes)
    tokens = [int(t) for t in rng.integers(0, quantised.vocabulary, 18)]
    whole = Emulation(quantised, fmt).extend(tokens)
    state = Emulation(quantised, fmt)
    parts = [state.extend(tokens[:split])] if split else []
    parts += [state.step(token)[None] for token in tokens[split:]]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_going_back_to_a_position():
    quantised = random_quantised(np.random.default_rng(2))
    state = Emulation(quantised, FORMAT)
    whole = state.extend([1, 2, 3, 4])
    np.testing.assert_array_equal(state.step(3, 2), whole[2])
    np.testing.assert_array_equal(state.step(4), whole[3])
    assert state.position == 4
    with pytest.raises(ValueError, match="position 5 was not reached"):
        state.step(1, 5)
    with pytest.raises(ValueError, match="a token is outside"):
        state.step(40)
    with pytest.raises(ValueError, match="positions, the graph has 32"):
        state.extend([0] * 30)


def test_greedy_takes_the_lowest_index_of_the_largest():
    gather = Gather("x", np.full((4, 2), 100, np.int8), np.array([1.0, 1.0]))
    run = emulation(gather, Norm("n", "x", 1e-5), Logits("y", "n", matrix([0, 1], [2, 2], [2, 2], [1, 1])))
    assert run.greedy([0, 3], 3) == [1, 1, 1]


def test_integer_sums_are_exact_and_bounded():
    assert (
        integer_sum(np.full((1, 2000), 127, np.int8), np.full((2000, 1), -127, np.int8)).item()
        == -2000 * 127**2
    )
    with pytest.raises(OverflowError):
        integer_sum(np.full((1, 140000), 127, np.int8), np.full((140000, 1), 127, np.int8))
