"""The float reference: a case worked by hand, an independent naive implementation, one way against another."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.reference import Reference, log_probabilities, sample_text
from lpu.compiler.frontend import load_model, load_tokenizer
from lpu.compiler.graph import Add, Attention, Embedding, Graph, Linear, Multiply, RmsNorm, Rope, Silu
from lpu.runtime.text import TextStream
from tests.models_tools import graph_of, random_graph, random_llama, trained_model


def array(*rows):
    return np.array(rows, np.float32)


def test_by_hand():
    """Two channels, one head. Token 0 is (3, 4): its mean square is 12.5."""
    graph = Graph(
        (
            Embedding("x", ("token",), array([3, 4], [0, 2])),
            RmsNorm("n", ("x",), array(1, 2), 0.0),
            Linear("q0", ("n",), array([1, 0], [0, 1])),
            Rope("q", ("q0",), 1, 2, 10000.0, True),
            Attention("a", ("q", "q", "n"), 1, 1, 2),
            Silu("s", ("x",)),
            Multiply("m", ("s", "x")),
            Add("sum", ("m", "a")),
        ),
        "sum",
        2,
        4,
    )
    state = Reference(graph)
    root = math.sqrt(12.5)
    first = np.array([3 / root, 8 / root])

    def squashed(v):
        return v * v / (1 + math.exp(-v))

    # The first position turns by nothing and attends to itself alone.
    np.testing.assert_allclose(state.step(0), [squashed(3) + first[0], squashed(4) + first[1]], rtol=1e-6)
    # Token 1: (0, 2) has a mean square of 2; normed (0, 2 sqrt 2), turned by one radian.
    second = np.array([0, 2 * math.sqrt(2)])
    turned = second[1] * np.array([-math.sin(1), math.cos(1)])
    scores = np.array([turned @ first, turned @ turned]) / math.sqrt(2)
    weights = np.exp(scores) / np.exp(scores).sum()
    attended = weights[0] * first + weights[1] * second
    np.testing.assert_allclose(state.step(1), [attended[0], squashed(2) + attended[1]], rtol=1e-6)


def naive(sizes, tensors, tokens):
    """Logits after the last token, in loops over Python numbers and complex rotations: shares no code with the reference."""
    keys, values = [[] for _ in range(sizes.layers)], [[] for _ in range(sizes.layers)]

    def matvec(w, x):
        return [sum(float(a) * b for a, b in zip(row, x, strict=True)) for row in w]

    def norm(x, gain):
        scale = 1 / math.sqrt(sum(v * v for v in x) / len(x) + sizes.eps)
        return [v * scale * float(g) for v, g in zip(x, gain, strict=True)]

    def turn(head, position):
        half, out = sizes.head_dim // 2, list(head)
        for i in range(half):
            a, b = (2 * i, 2 * i + 1) if sizes.interleaved else (i, i + half)
            angle = position / sizes.base ** (2 * i / sizes.head_dim)
            z = complex(head[a], head[b]) * complex(math.cos(angle), math.sin(angle))
            out[a], out[b] = z.real, z.imag
        return out

    def heads(x):
        return [x[i : i + sizes.head_dim] for i in range(0, len(x), sizes.head_dim)]

    for position, token in enumerate(tokens):
        x = [float(v) for v in tensors["embedding"][token]]
        for l in range(sizes.layers):
            t = {name.split(".")[1]: w for name, w in tensors.items() if name.startswith(f"{l}.")}
            n = norm(x, t["attention_norm"])
            q = [turn(h, position) for h in heads(matvec(t["query"], n))]
            keys[l].append([turn(h, position) for h in heads(matvec(t["key"], n))])
            values[l].append(heads(matvec(t["value"], n)))
            attended = []
            for h, head in enumerate(q):
                g = h * sizes.kv_heads // sizes.heads
                scores = [
                    sum(a * b for a, b in zip(head, k[g], strict=True)) / math.sqrt(sizes.head_dim)
                    for k in keys[l]
                ]
                odds = [math.exp(s - max(scores)) for s in scores]
                for c in range(sizes.head_dim):
                    attended.append(
                        sum(o * v[g][c] for o, v in zip(odds, values[l], strict=True)) / sum(odds)
                    )
            x = [a + b for a, b in zip(x, matvec(t["output"], attended), strict=True)]
            n = norm(x, t["feed_forward_norm"])
            hidden = [
                g / (1 + math.exp(-g)) * u
                for g, u in zip(matvec(t["gate"], n), matvec(t["up"], n), strict=True)
            ]
            x = [a + b for a, b in zip(x, matvec(t["down"], hidden), strict=True)]
    return matvec(tensors.get("classifier", tensors["embedding"]), norm(x, tensors["norm"]))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    heads=st.sampled_from([(1, 1), (4, 2), (6, 3), (4, 1)]),
    head_dim=st.sampled_from([2, 4, 6]),
    tied=st.booleans(),
    interleaved=st.booleans(),
    base=st.sampled_from([100.0, 10000.0]),
    length=st.integers(1, 7),
)
def test_against_a_naive_implementation(seed, heads, length, **sizes):
    rng = np.random.default_rng(seed)
    sizes, tensors = random_llama(rng, heads=heads[0], kv_heads=heads[1], dim=10, hidden=9, **sizes)
    tokens = [int(t) for t in rng.integers(0, sizes.vocabulary, length)]
    wanted = naive(sizes, tensors, tokens)
    state = Reference(graph_of(sizes, tensors))
    np.testing.assert_allclose(state.extend(tokens)[-1], wanted, rtol=1e-3, atol=1e-4)


def test_steps_sequences_and_batches_agree():
    rng = np.random.default_rng(1)
    graph = random_graph(rng, positions=12)
    tokens = rng.integers(0, graph.vocabulary, (3, 12))
    batch = Reference(graph).extend(tokens)
    for row, logits in zip(tokens, batch, strict=True):
        whole = Reference(graph).extend(row)
        state = Reference(graph)
        stepped = [state.step(int(t)) for t in row[:5]] + list(state.extend(row[5:]))
        np.testing.assert_allclose(whole, logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stepped, logits, rtol=1e-4, atol=1e-5)


def test_records_and_replaces_values():
    graph = random_graph(np.random.default_rng(2))
    into = {}
    plain = Reference(graph).extend([1, 2, 3], ["layer1.hidden", "logits"], into)
    assert into["layer1.hidden"].shape == (3, 24)
    np.testing.assert_array_equal(into["logits"], plain)
    changed = Reference(graph, {"layer1.hidden": lambda v: v * 0}).extend([1, 2, 3])
    assert not np.allclose(changed, plain)


def test_the_positions_end():
    state = Reference(random_graph(np.random.default_rng(3), positions=4))
    state.extend([1, 2, 3, 4])
    with pytest.raises(ValueError, match="5 positions, the graph has 4"):
        state.step(1)


def test_probabilities_and_samples():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])) + 7
    np.testing.assert_allclose(np.exp(log_probabilities(logits, [1, 2])), [0.25, 0.8])
    graph = random_graph(np.random.default_rng(4), vocabulary=5, positions=16)
    a, b = sample_text(graph, 1, 99, 200, 7), sample_text(graph, 1, 99, 200, 7)
    np.testing.assert_array_equal(a, b)
    assert a.shape == (200, 16)
    assert (a[:, 0] == 1).all()
    assert not np.array_equal(a, sample_text(graph, 1, 99, 200, 8))
    # The first token of many samples has the distribution of the logits.
    first = np.bincount(sample_text(graph, 1, 2, 20000, 9)[:, 1], minlength=5) / 20000
    wanted = np.exp(log_probabilities(np.tile(Reference(graph).step(1), (5, 1)), np.arange(5)))
    np.testing.assert_allclose(first, wanted, atol=0.02)


def test_stories260k():
    """The text of the models' README."""
    folder = trained_model("stories260K")
    graph, tokenizer = load_model(folder), load_tokenizer(folder)
    prompt = tokenizer.encode("Once upon")
    stream = TextStream(tokenizer.decode_piece, prompt[0])
    for token in prompt[1:] + Reference(graph).greedy(prompt, 60):
        stream.feed(token)
    assert stream.text.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
        "big, red ball. She wanted to play with it, but it was too high."
    )
