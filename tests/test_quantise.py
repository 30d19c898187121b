"""Quantisation: what matches, what is refused, scales that come out right, accuracy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.accuracy import compare, main
from golden.calibrate import CalibrationError, quantised_model, record, text_sequences
from golden.emulate import Emulation
from golden.numerics import to_float64
from golden.reference import Reference, sample_text
from lpu.arch import FloatFormat
from lpu.compiler.attention_scales import channel_pairs
from lpu.compiler.frontend import load_model, load_tokenizer
from lpu.compiler.fuse import fuse
from lpu.compiler.graph import Add, Attention, GraphError, Linear, Multiply, RmsNorm, Rope, Silu
from lpu.compiler.quantise import quantise
from lpu.compiler.quantised import Attend, Gate, Gather, Logits, Norm, Project, Residual
from lpu.compiler.scales import best_scales, round_trip, to_int8
from tests.models_tools import random_graph, random_quantised, trained_model, write_tokenizer

FORMAT = FloatFormat(8, 17)
LAYER = (Norm, Project, Project, Project, Attend, Residual, Norm, Gate, Residual)


def kinds(quantised):
    return tuple(type(op) for op in quantised.ops)


def test_operations_and_their_layers():
    quantised = random_quantised(np.random.default_rng(1))
    assert sorted(k.__name__ for k in kinds(quantised)) == sorted(
        k.__name__ for k in (Gather, *LAYER, *LAYER, Norm, Logits)
    )
    assert isinstance(quantised.ops[0], Gather)
    assert isinstance(quantised.ops[-1], Logits)
    assert quantised.layers == ("embedding", *["layer 0"] * 9, *["layer 1"] * 9, "output", "output")
    made = set()
    for op in quantised.ops:
        sources = [getattr(op, n) for n in ("source", "addend", "query", "key", "value") if hasattr(op, n)]
        assert set(sources) <= made
        made.add(op.out)
    assert len(made) == len(quantised.ops)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    heads=st.sampled_from([(1, 1), (4, 2), (6, 3), (4, 1)]),
    head_dim=st.sampled_from([2, 4, 8]),
    dim=st.integers(4, 40),
    hidden=st.integers(3, 40),
    layers=st.integers(1, 3),
    tied=st.booleans(),
    interleaved=st.booleans(),
)
def test_any_sizes(seed, heads, **sizes):
    quantised = random_quantised(np.random.default_rng(seed), heads=heads[0], kv_heads=heads[1], **sizes)
    for op in quantised.ops:
        for name in ("matrix", "gate", "up"):
            matrix = getattr(op, name, None)
            if matrix is not None:
                assert matrix.weight.dtype == np.int8
                assert matrix.weight.min() >= -127
                assert matrix.scale.shape == matrix.weight.shape[:1]
                assert np.isfinite(matrix.scale).all()
                assert (matrix.scale > 0).all()


def exact_ranges(graph, sequence):
    """Quantised on the very sequence that is measured: rounding errors alone remain."""
    return quantise(graph, record(graph, [sequence]))


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
def test_folded_scales_give_the_floats_back(interleaved, heads):
    """A scale folded to the wrong place changes logits by far more than rounding does."""
    rng = np.random.default_rng(2)
    graph = random_graph(
        rng,
        dim=32,
        heads=heads[0],
        kv_heads=heads[1],
        head_dim=8,
        hidden=48,
        interleaved=interleaved,
        tied=False,
    )
    # Channels of very different size, wherever a scale may be one a channel.
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Linear) and node.out != graph.output and not node.out.endswith("_output"):
            # Sharp attention would make much of every rounding.
            mean, spread = (0.5, 0.3) if "projection" in node.out else (1.0, 1.0)
            size = mean * np.exp(rng.normal(size=len(node.weight)) * spread)
            node = replace(node, weight=(node.weight * size[:, None]).astype(np.float32))
        nodes.append(node)
    graph = replace(graph, nodes=tuple(nodes))
    tokens = rng.integers(0, graph.vocabulary, 24)
    wanted = Reference(graph).extend(tokens)
    got = to_float64(FORMAT, Emulation(exact_ranges(graph, tokens), FORMAT).extend(tokens))
    error = np.sqrt(((got - wanted) ** 2).mean() / (wanted**2).mean())
    assert error < 0.08


def without(graph, kind, **changes):
    """The graph with the first node of a kind changed."""
    nodes = list(graph.nodes)
    n = next(i for i, node in enumerate(nodes) if isinstance(node, kind))
    nodes[n] = replace(nodes[n], **changes)
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (
            RmsNorm,
            {"inputs": ("layer9.output",)},
            "node layer0.attention_norm (RmsNorm): its input layer9.output",
        ),
        (RmsNorm, {"out": "embedding"}, "node embedding (RmsNorm): its name is taken"),
        (
            Linear,
            {"inputs": ("embedding",)},
            "node layer0.query_projection (Linear): its input embedding is a Embedding",
        ),
        (Linear, {"weight": np.zeros((16, 5), np.float32)}, "weight [16, 5] does not fit 16 channels"),
        (Rope, {"heads": 3}, "node layer0.query (Rope): 16 channels are not 3 heads of 4"),
        (Rope, {"inputs": ("layer0.attention_norm",)}, "(Rope): only a Linear can read the RmsNorm"),
        (Attention, {"kv_heads": 3}, "node layer0.attention (Attention): 4 heads are not a multiple of 3"),
        (Attention, {"kv_heads": 4}, "(Attention): layer0.key does not have 4 heads of 4 channels"),
        (
            Attention,
            {"inputs": ("layer0.query", "layer0.key", "layer0.key")},
            "(Attention): query, key and value",
        ),
        (Silu, {"inputs": ("layer0.up",)}, "2 operations read it, exactly one can"),
        (Multiply, {"inputs": ("layer0.up", "layer0.up")}, "node layer0.hidden (Multiply)"),
        (
            Add,
            {"inputs": ("embedding", "embedding")},
            "node layer0.middle (Add): one of its two inputs must be a Linear",
        ),
    ],
)
def test_a_graph_that_does_not_match(kind, changes, words):
    graph = without(random_graph(np.random.default_rng(3)), kind, **changes)
    with pytest.raises(GraphError) as caught:
        fuse(graph)
    message = str(caught.value)
    assert "\n" not in message
    # Which of the nodes around a wrong edge is named depends on the order; that one is.
    assert words in message or ("node layer0." in message and len(changes) == 1 and "inputs" in changes)


def test_other_outputs_and_records():
    graph = random_graph(np.random.default_rng(4))
    with pytest.raises(GraphError, match="hidden reads the output"):
        fuse(replace(graph, output="layer0.up"))
    with pytest.raises(GraphError, match="was not recorded in calibration"):
        quantise(graph, {})


def test_best_scales():
    values = np.array([[127.0, -63.5, 0.0], [10.0, 1.0, 0.0]])
    np.testing.assert_allclose(best_scales(values[:1], axis=0), [1.0, 0.5, 1.0])
    assert to_int8(np.array([300.0, -300.0, 0.5, 1.5]), 1.0).tolist() == [127, -127, 0, 2]
    # One outlier among many is worth clipping.
    many = np.concatenate((np.random.default_rng(5).normal(size=20000), [9.0]))[:, None]
    scale = best_scales(many, axis=0)
    assert scale[0] < 0.9 * 9 / 127
    assert ((many - round_trip(many, scale)) ** 2).sum() < ((many - round_trip(many, 9 / 127)) ** 2).sum()


def test_pairs():
    assert channel_pairs(2, 4, True).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert channel_pairs(2, 4, False).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_both_channels_of_a_pair_have_one_scale():
    """Rotation mixes them: a query or key whose pairs had two scales would turn an ellipse."""
    rng = np.random.default_rng(6)
    graph = random_graph(rng, interleaved=False)
    recorded = record(graph, rng.integers(0, graph.vocabulary, (2, 24)))
    quantised = quantise(graph, recorded)
    weights = {n.out: n.weight for n in graph.nodes if isinstance(n, Linear)}
    gains = {n.out: n.gain for n in graph.nodes if isinstance(n, RmsNorm)}
    for op in quantised.ops:
        if isinstance(op, Project) and op.rotary is not None:
            folded = weights[op.out + "_projection"] * gains[op.source]
            # Scale of the result: a weight over what its int8 is worth after folding.
            result = np.abs(folded).max(1) / (np.abs(op.matrix.weight).max(1) * op.matrix.scale)
            for p, q in channel_pairs(op.rotary.heads, op.rotary.head_dim, False):
                assert result[p] == pytest.approx(result[q], rel=0.02)


def test_text_to_calibrate_on(tmp_path):
    rng = np.random.default_rng(7)
    graph = random_graph(rng, vocabulary=262, positions=8)
    tokenizer = load_tokenizer(write_tokenizer(tmp_path / "tok.bin", [(b" ", 0.0), (b"a", 0.0), (b"b", 0.0)]))
    (tmp_path / "text").write_text("abab" * 5)
    sequences = text_sequences(graph, tokenizer, tmp_path / "text")
    assert [len(s) for s in sequences] == [8, 8, 8]
    assert all(s[0] == 1 for s in sequences)
    assert quantised_model(graph, sequences).vocabulary == 262
    (tmp_path / "text").write_text("")
    with pytest.raises(CalibrationError, match="no text to speak of"):
        text_sequences(graph, tokenizer, tmp_path / "text")
    (tmp_path / "text").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CalibrationError, match="is not UTF-8 text"):
        text_sequences(graph, tokenizer, tmp_path / "text")
    (tmp_path / "text").write_text("abab")
    with pytest.raises(CalibrationError, match=r"outside 0\.\.259"):
        text_sequences(replace(graph, vocabulary=260), tokenizer, tmp_path / "text")


def test_accuracy_refuses_in_one_line(capsys, tmp_path):
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("golden.accuracy: ")


def test_stories260k_loses_little():
    """A thousand tokens of its own text: at most 3 % of perplexity, greedy choices mostly the same."""
    graph = load_model(trained_model("stories260K"))
    found = compare(graph, quantised_model(graph), sample_text(graph, 1, 256, 4, 3), FORMAT)
    assert found.tokens == 4 * 255
    assert found.divergence < 0.02
    assert found.ratio < 1.03
    assert found.same > 0.9
