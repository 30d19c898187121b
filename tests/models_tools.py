"""Random tiny models, as graphs, quantised graphs and files."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from golden.calibrate import record
from lpu.compiler.frontend.huggingface import _NAMES
from lpu.compiler.frontend.llama import Llama, checked, llama_graph
from lpu.compiler.quantise import quantise

#: Kinds of tensors of a layer in the order of a llama2.c file.
LAYER_KINDS = (
    "attention_norm",
    "query",
    "key",
    "value",
    "output",
    "feed_forward_norm",
    "gate",
    "down",
    "up",
)


def trained_model(name):
    """A model of the folder that LPU_MODELS names; skips the test without it."""
    folder = os.environ.get("LPU_MODELS")
    if not folder:
        pytest.skip("LPU_MODELS names no folder of trained models")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"{path} does not exist (LPU_MODELS)")
    return path


def random_llama(
    rng,
    *,
    dim=16,
    heads=4,
    kv_heads=2,
    head_dim=None,
    hidden=24,
    layers=2,
    vocabulary=40,
    positions=32,
    tied=True,
    interleaved=False,
    base=10000.0,
    eps=1e-5,
):
    """(sizes, tensors by own name): weights of a size that keeps activations near one."""
    d = head_dim or dim // heads
    sizes = Llama(
        "random", dim, hidden, layers, heads, kv_heads, d, vocabulary, positions, eps, base, interleaved, tied
    )
    q, kv = heads * d, kv_heads * d
    shapes = {"embedding": (vocabulary, dim), "norm": (dim,)}
    if not tied:
        shapes["classifier"] = (vocabulary, dim)
    for i in range(layers):
        layer = (
            (dim,),
            (q, dim),
            (kv, dim),
            (kv, dim),
            (dim, q),
            (dim,),
            (hidden, dim),
            (dim, hidden),
            (hidden, dim),
        )
        shapes |= {f"{i}.{kind}": shape for kind, shape in zip(LAYER_KINDS, layer, strict=True)}
    tensors = {}
    for name, shape in shapes.items():
        values = rng.normal(size=shape)
        if len(shape) == 1:
            values = 1 + 0.2 * values
        elif name != "embedding":
            values *= 1.5 / np.sqrt(shape[1])
        tensors[name] = values.astype(np.float32)
    return sizes, tensors


def graph_of(sizes, tensors):
    """The graph of a description."""
    return llama_graph(sizes, lambda name, shape: checked(sizes.source, name, tensors[name], shape))


def random_graph(rng, **sizes):
    """A float graph; ``sizes`` as :func:`random_llama` takes them."""
    return graph_of(*random_llama(rng, **sizes))


def random_quantised(rng, **sizes):
    """A quantised graph, calibrated on random tokens; ``sizes`` as :func:`random_llama` takes them."""
    graph = random_graph(rng, **sizes)
    sequences = rng.integers(0, graph.vocabulary, (3, min(graph.positions, 24)))
    return quantise(graph, record(graph, sequences))


def config_of(sizes):
    """``config.json`` of a Hugging Face folder."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": sizes.dim,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.positions,
        "rms_norm_eps": sizes.eps,
        "rope_theta": sizes.base,
        "tie_word_embeddings": sizes.tied,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def file_name(name):
    """A tensor's name in a Hugging Face file."""
    layer, _, kind = name.rpartition(".")
    return f"model.layers.{layer}.{_NAMES[kind]}" if layer else _NAMES[kind]


def encoded(array, dtype):
    """Bytes of a tensor."""
    match dtype:
        case "F32":
            return array.astype("<f4").tobytes()
        case "F16":
            return array.astype("<f2").tobytes()
        case "BF16":
            return (array.view(np.uint32) >> 16).astype("<u2").tobytes()
    raise ValueError(dtype)


def write_safetensors(path, tensors, dtype):
    """A safetensors file, by its description rather than by the library that reads it."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = encoded(array, dtype)
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_folder(folder, sizes, tensors, *, dtype="F32", shards=1, **changes):
    """A Hugging Face folder; ``changes`` to its config, None removes an entry."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {name: value for name, value in (config_of(sizes) | changes).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    entries = {file_name(name): array for name, array in tensors.items()}
    if shards == 1:
        write_safetensors(folder / "model.safetensors", entries, dtype)
        return folder
    files = {name: f"model-{n % shards + 1:05}-of-{shards:05}.safetensors" for n, name in enumerate(entries)}
    for file in set(files.values()):
        write_safetensors(folder / file, {n: e for n, e in entries.items() if files[n] == file}, dtype)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return folder


def write_checkpoint(path, sizes, tensors):
    """A llama2.c checkpoint."""
    vocabulary = sizes.vocabulary if sizes.tied else -sizes.vocabulary
    header = (sizes.dim, sizes.hidden, sizes.layers, sizes.heads, sizes.kv_heads, vocabulary, sizes.positions)
    parts = [struct.pack("<7i", *header), tensors["embedding"].tobytes()]
    for kind in LAYER_KINDS:
        parts += [tensors[f"{i}.{kind}"].tobytes() for i in range(sizes.layers)]
    parts += [tensors["norm"].tobytes(), bytes(4 * sizes.positions * sizes.head_dim)]
    if not sizes.tied:
        parts.append(tensors["classifier"].tobytes())
    path.write_bytes(b"".join(parts))
    return path


def write_tokenizer(path, pieces=()):
    """A llama2.c tokenizer: the control tokens, bytes, then ``pieces`` of (bytes, score)."""
    tokens = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0)]
    tokens += [(f"<0x{b:02X}>".encode(), 0.0) for b in range(256)]
    tokens += pieces
    longest = max(len(p) for p, _ in tokens)
    data = struct.pack("<i", longest)
    for piece, score in tokens:
        data += struct.pack("<fi", score, len(piece)) + piece
    path.write_bytes(data)
    return path
