"""Importers: what they read, and one line for what they refuse."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from golden.reference import Reference
from lpu.compiler.frontend import ModelError, load_model
from lpu.compiler.graph import Rope
from tests.models_tools import (
    file_name,
    graph_of,
    random_llama,
    trained_model,
    write_checkpoint,
    write_folder,
)


def same(a, b):
    """Whether two graphs have equal nodes, tensors included."""
    assert [type(n) for n in a.nodes] == [type(n) for n in b.nodes]
    for x, y in zip(a.nodes, b.nodes, strict=True):
        for name, value in vars(x).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(y, name), err_msg=f"{x.out}.{name}")
            else:
                assert value == getattr(y, name), (x.out, name)
    assert (a.output, a.vocabulary, a.positions) == (b.output, b.vocabulary, b.positions)
    return True


def refused(path):
    """The one line with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    heads=st.sampled_from([(1, 1), (4, 2), (6, 3), (4, 1), (3, 3)]),
    head_dim=st.sampled_from([2, 4, 8]),
    dim=st.integers(4, 24),
    hidden=st.integers(3, 30),
    layers=st.integers(1, 3),
    tied=st.booleans(),
    shards=st.sampled_from([1, 3]),
    base=st.sampled_from([10000.0, 500000.0]),
    eps=st.sampled_from([1e-5, 1e-6]),
)
def test_any_sizes_from_a_folder(tmp_path_factory, seed, heads, shards, **sizes):
    heads, kv_heads = heads
    sizes, tensors = random_llama(np.random.default_rng(seed), heads=heads, kv_heads=kv_heads, **sizes)
    folder = write_folder(tmp_path_factory.mktemp("hf"), sizes, tensors, shards=shards)
    assert same(load_model(folder), graph_of(sizes, tensors))


@pytest.mark.parametrize(("dtype", "bits"), [("F16", 11), ("BF16", 8)])
def test_half_precision(tmp_path, dtype, bits):
    sizes, tensors = random_llama(np.random.default_rng(1))
    graph = load_model(write_folder(tmp_path, sizes, tensors, dtype=dtype))
    table = graph.nodes[0].table
    assert table.dtype == np.float32
    np.testing.assert_allclose(table, tensors["embedding"], rtol=2.0**-bits * 2, atol=1e-4)
    assert not np.array_equal(table, tensors["embedding"])
    # 1.5 is in both types.
    tensors["norm"] = np.full(sizes.dim, -1.5, np.float32)
    graph = load_model(write_folder(tmp_path, sizes, tensors, dtype=dtype))
    assert (graph.nodes[-2].gain == -1.5).all()


def test_defaults_of_a_config(tmp_path):
    sizes, tensors = random_llama(np.random.default_rng(2), heads=4, kv_heads=4)
    folder = write_folder(
        tmp_path, sizes, tensors, head_dim=None, num_key_value_heads=None, rope_theta=None, hidden_act=None
    )
    assert same(load_model(folder), graph_of(sizes, tensors))
    folder = write_folder(
        tmp_path,
        sizes,
        tensors,
        rope_theta=None,
        rope_parameters={"rope_type": "default", "rope_theta": 777.0},
    )
    assert {n.base for n in load_model(folder).nodes if isinstance(n, Rope)} == {777.0}


@pytest.mark.parametrize("tied", [True, False])
def test_checkpoint_of_llama2c(tmp_path, tied):
    sizes, tensors = random_llama(np.random.default_rng(3), tied=tied, interleaved=True, layers=3)
    graph = load_model(write_checkpoint(tmp_path / "m.bin", sizes, tensors))
    assert same(graph, graph_of(sizes, tensors))
    assert graph.weights() == sum(t.size for t in tensors.values())


def test_a_checkpoint_and_a_folder_compute_the_same(tmp_path):
    """llama2.c turns neighbours, Hugging Face halves: the exporter permutes the rows of query and key."""
    sizes, tensors = random_llama(np.random.default_rng(4), interleaved=True)
    a = load_model(write_checkpoint(tmp_path / "m.bin", sizes, tensors))
    permuted = dict(tensors)
    for name, tensor in tensors.items():
        if name.endswith(("query", "key")):
            heads = len(tensor) // sizes.head_dim
            by_pair = tensor.reshape(heads, sizes.head_dim // 2, 2, -1).swapaxes(1, 2)
            permuted[name] = np.ascontiguousarray(by_pair.reshape(tensor.shape))
    b = load_model(write_folder(tmp_path / "hf", replace(sizes, interleaved=False), permuted))
    tokens = [1, 5, 9, 30, 2, 7, 7, 0]
    np.testing.assert_allclose(Reference(a).extend(tokens), Reference(b).extend(tokens), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "architectures is ['GPT2LMHeadModel']"),
        ({"attention_bias": True}, "attention_bias is set"),
        ({"mlp_bias": True}, "mlp_bias is set"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "rope_scaling of type 'llama3'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_scaling of type 'yarn'"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling of type 'linear'"),
        ({"head_dim": 3}, "head_dim=3 is odd"),
        ({"num_key_value_heads": 3}, "4 heads are not a multiple of 3 key/value heads"),
        ({"num_attention_heads": 5, "head_dim": None}, "hidden_size=16 is not a multiple of 5 heads"),
        ({"vocab_size": None}, "lacks vocab_size"),
        ({"vocab_size": "many"}, "vocab_size is 'many', not an integer"),
        ({"hidden_size": 32}, "model.embed_tokens.weight has shape [40, 16], expected [40, 32]"),
        ({"intermediate_size": 0}, "hidden=0 is outside 1.."),
        ({"rms_norm_eps": -1.0}, "eps=-1.0 of the norms"),
        ({"rope_theta": 0}, "rotary base 0.0"),
        ({"num_hidden_layers": 3}, "tensor model.layers.2.input_layernorm.weight is missing"),
    ],
)
def test_a_config_that_is_refused(tmp_path, changes, words):
    sizes, tensors = random_llama(np.random.default_rng(5))
    assert words in refused(write_folder(tmp_path, sizes, tensors, **changes))


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "nan"), (-np.inf, "-inf")])
def test_a_tensor_that_is_not_finite(tmp_path, bad, word):
    sizes, tensors = random_llama(np.random.default_rng(6))
    tensors["1.down"][3, 5] = bad
    words = f"tensor model.layers.1.mlp.down_proj.weight holds {word} at [3, 5]"
    assert words in refused(write_folder(tmp_path, sizes, tensors))
    assert f"tensor 1.down holds {word} at [3, 5]" in refused(
        write_checkpoint(tmp_path / "m.bin", sizes, tensors)
    )


def test_a_tensor_of_an_operation_that_is_not_there(tmp_path):
    """A bias or a norm of the queries would be left out without a word."""
    sizes, tensors = random_llama(np.random.default_rng(6))
    folder = write_folder(tmp_path, sizes, tensors)
    weights = load_file(folder / "model.safetensors")
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)}
    save_file(weights | extra, folder / "model.safetensors")
    load_model(folder)
    extra |= {f"model.layers.{n}.self_attn.q_proj.bias": np.ones(4, np.float32) for n in range(2)}
    save_file(weights | extra, folder / "model.safetensors")
    assert (
        "tensor model.layers.0.self_attn.q_proj.bias and 1 more belongs to an operation that no Llama has"
        in refused(folder)
    )


def test_a_folder_that_is_not_whole(tmp_path):
    sizes, tensors = random_llama(np.random.default_rng(7))
    assert "has no config.json" in refused(tmp_path)
    folder = write_folder(tmp_path / "one", sizes, tensors)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "truncated or damaged" in refused(folder)
    weights.unlink()
    assert "neither model.safetensors nor model.safetensors.index.json" in refused(folder)
    (folder / "config.json").write_text("{")
    assert "config.json is not JSON" in refused(folder)
    (folder / "config.json").write_text("[]")
    assert "holds no JSON object" in refused(folder)
    folder = write_folder(tmp_path / "two", sizes, tensors, shards=2)
    index = folder / "model.safetensors.index.json"
    files = json.loads(index.read_text())
    fewer = {name: file for name, file in files["weight_map"].items() if name != file_name("0.up")}
    index.write_text(json.dumps({"weight_map": fewer}))
    assert "is missing from model.safetensors.index.json" in refused(folder)
    index.write_text(json.dumps(files))
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "the index names this file, but there is none" in refused(folder)
    index.write_text(json.dumps({"weight_map": {file_name("embedding"): "../../etc/x"}}))
    assert "there is none" in refused(folder)
    index.write_text("{}")
    assert "has no weight_map" in refused(folder)


def test_a_type_that_is_not_read(tmp_path):
    sizes, tensors = random_llama(np.random.default_rng(8))
    folder = write_folder(tmp_path, sizes, tensors)
    raw = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = raw[8 : 8 + length].replace(b'"F32"', b'"I32"')
    (folder / "model.safetensors").write_bytes(raw[:8] + header + raw[8 + length :])
    assert "is of type I32; F32, F16 and BF16 are read" in refused(folder)


def test_a_checkpoint_that_is_refused(tmp_path):
    sizes, tensors = random_llama(np.random.default_rng(9))
    path = write_checkpoint(tmp_path / "m.bin", sizes, tensors)
    whole = path.read_bytes()

    def with_header(**changes):
        names = ("dim", "hidden", "layers", "heads", "kv_heads", "vocabulary", "positions")
        header = dict(zip(names, struct.unpack_from("<7i", whole), strict=True)) | changes
        path.write_bytes(struct.pack("<7i", *header.values()) + whole[28:])
        return refused(path)

    path.write_bytes(whole[:-3])
    assert "it is truncated" in refused(path)
    path.write_bytes(whole + bytes(4))
    assert "it is longer" in refused(path)
    path.write_bytes(whole[:20])
    assert "20 bytes are no llama2.c checkpoint" in refused(path)
    assert "it is truncated" in with_header(hidden=4000)
    assert "dim=16, which 5 heads do not divide" in with_header(heads=5)
    assert "4 heads are not a multiple of 3" in with_header(kv_heads=3)
    assert "layers=-1 is outside" in with_header(layers=-1)
    assert "head_dim=1 is odd" in with_header(heads=16, kv_heads=16)
    assert "export of version 1" in with_header(dim=0x616B3432, hidden=1)
    assert "heads do not divide" in with_header(heads=0)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.bin")


def test_stories260k():
    graph = load_model(trained_model("stories260K") / "stories260K.bin")
    assert (graph.vocabulary, graph.positions, graph.weights()) == (512, 512, 260032)
