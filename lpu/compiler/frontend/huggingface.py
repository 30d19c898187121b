"""Hugging Face folders: ``config.json`` and safetensors, in one file or in shards."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from lpu.compiler.frontend.errors import ModelError
from lpu.compiler.frontend.llama import Llama, checked, llama_graph
from lpu.compiler.graph import Array, Graph

#: Own names of tensors outside layers, and of those in layer i, which begin with ``model.layers.i.``.
_NAMES = {
    "embedding": "model.embed_tokens.weight",
    "norm": "model.norm.weight",
    "classifier": "lm_head.weight",
    "attention_norm": "input_layernorm.weight",
    "query": "self_attn.q_proj.weight",
    "key": "self_attn.k_proj.weight",
    "value": "self_attn.v_proj.weight",
    "output": "self_attn.o_proj.weight",
    "feed_forward_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}
_REQUIRED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object")
    return found


def load_folder(folder: Path) -> Graph:
    """The graph of a folder. Raises ModelError."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json: name a Hugging Face folder or a llama2.c .bin")
    sizes = read_sizes(path)
    tensors = _Tensors(folder)

    def fetch(name: str, shape: tuple[int, ...]) -> Array:
        layer, _, kind = name.rpartition(".")
        full = f"model.layers.{layer}.{_NAMES[kind]}" if layer else _NAMES[kind]
        return checked(str(folder), full, tensors.read(full), shape)

    graph = llama_graph(sizes, fetch)
    if left := tensors.unread(ignoring=(("lm_head.weight",) if sizes.tied else ())):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise ModelError(
            f"{folder}: tensor {left[0]}{more} belongs to an operation that no Llama has; it is not supported"
        )
    return graph


def read_sizes(path: Path) -> Llama:
    """Sizes in a ``config.json``. Raises ModelError for anything a Llama of generic operations cannot have."""
    config = read_json(path)
    architectures = config.get("architectures")
    if architectures != ["LlamaForCausalLM"]:
        raise ModelError(f"{path}: architectures is {architectures}; only ['LlamaForCausalLM'] is read")
    for name in ("attention_bias", "mlp_bias"):
        if config.get(name):
            raise ModelError(f"{path}: {name} is set; a Linear here has no bias")
    if config.get("hidden_act", "silu") != "silu":
        raise ModelError(f"{path}: hidden_act is {config['hidden_act']!r}; only 'silu' is read")
    missing = [name for name in _REQUIRED if name not in config]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}")
    heads, dim = _integer(path, config, "num_attention_heads"), _integer(path, config, "hidden_size")
    if config.get("head_dim") is None and (heads < 1 or dim % heads):
        raise ModelError(
            f"{path}: hidden_size={dim} is not a multiple of {heads} heads, and head_dim is not given"
        )
    return Llama(
        source=str(path.parent),
        dim=dim,
        hidden=_integer(path, config, "intermediate_size"),
        layers=_integer(path, config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_integer(path, config, "num_key_value_heads", heads),
        head_dim=_integer(path, config, "head_dim", dim // max(heads, 1)),
        vocabulary=_integer(path, config, "vocab_size"),
        positions=_integer(path, config, "max_position_embeddings"),
        eps=_number(path, config, "rms_norm_eps", 1e-6),
        base=_rope_base(path, config),
        interleaved=False,
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _rope_base(path: Path, config: dict[str, Any]) -> float:
    """rope_theta, at the top (transformers 4) or within rope_parameters (5). Raises ModelError for any scaling."""
    parameters = config.get("rope_parameters")
    for scaling in (config.get("rope_scaling"), parameters):
        if scaling is None:
            continue
        if not isinstance(scaling, dict):
            raise ModelError(f"{path}: rope_scaling {scaling!r} is not an object")
        kind = scaling.get("rope_type", scaling.get("type"))
        if kind != "default":
            raise ModelError(f"{path}: rope_scaling of type {kind!r}; only the unscaled Rope is read")
    if isinstance(parameters, dict) and "rope_theta" in parameters:
        return _number(path, parameters, "rope_theta", 10000.0)
    return _number(path, config, "rope_theta", 10000.0)


def _integer(path: Path, config: dict[str, Any], name: str, default: int | None = None) -> int:
    value = config.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise ModelError(f"{path}: {name} is {value!r}, not an integer")
    return value


def _number(path: Path, config: dict[str, Any], name: str, default: float) -> float:
    value = config.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ModelError(f"{path}: {name} is {value!r}, not a number")
    return float(value)


class _Tensors:
    """Tensors of a folder by name; each file is read when the first of its tensors is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, np.ndarray]] = {}
        self._asked: dict[str, set[str]] = {}
        index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
        #: Tensor -> file; None: all in one.
        self._files: dict[str, str] | None = None
        if index.is_file():
            files = read_json(index).get("weight_map")
            if not isinstance(files, dict) or not all(isinstance(f, str) for f in files.values()):
                raise ModelError(f"{index} has no weight_map of tensors to files")
            self._files = files
        elif not single.is_file():
            raise ModelError(f"{folder} has neither model.safetensors nor model.safetensors.index.json")

    def read(self, name: str) -> np.ndarray:
        """A tensor as float32."""
        if self._files is not None and name not in self._files:
            raise ModelError(f"{self.folder}: tensor {name} is missing from model.safetensors.index.json")
        file = "model.safetensors" if self._files is None else self._files[name]
        if file not in self._read:
            self._read[file] = self._file(file)
        if name not in self._read[file]:
            raise ModelError(f"{self.folder / file}: tensor {name} is missing")
        self._asked.setdefault(file, set()).add(name)
        return self._read[file][name]

    def unread(self, ignoring: Collection[str]) -> list[str]:
        """Tensors that nobody has asked for; tables that only repeat what the configuration says do not count."""
        asked = {name for names in self._asked.values() for name in names}
        found = [name for tensors in self._read.values() for name in tensors]
        return sorted(
            n for n in found if n not in asked and n not in ignoring and not n.endswith(".inv_freq")
        )

    def _file(self, name: str) -> dict[str, np.ndarray]:
        path = self.folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelError(f"{path}: the index names this file, but there is none")
        try:
            entries = deserialize(path.read_bytes())
        except SafetensorError as error:
            raise ModelError(f"{path} is no whole safetensors file (truncated or damaged): {error}") from None
        return {tensor: _float32(path, tensor, entry) for tensor, entry in entries}


def _float32(path: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    """Raw bytes of a safetensors entry as float32."""
    data, shape = bytes(entry["data"]), entry["shape"]
    match entry["dtype"]:
        case "F32":
            values = np.frombuffer(data, "<f4")
        case "F16":
            values = np.frombuffer(data, "<f2").astype(np.float32)
        case "BF16":
            # The upper half of a float32.
            values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        case other:
            raise ModelError(f"{path}: tensor {name} is of type {other}; F32, F16 and BF16 are read")
    return values.reshape(shape)
