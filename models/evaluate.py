"""Prints the figures of docs/model.md: ``python -m models.evaluate loss | novelty | tell``. NumPy only.

The forward pass is written from the checkpoint's format, not from the training script, and so checks what was saved.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models import tokenizer
from models.stories import HELD_OUT_SEED, TEXT_SEED, stories

FOLDER = Path(__file__).parent / "stories192k"
Array = NDArray[np.float32]


@dataclass
class Checkpoint:
    """A checkpoint folder: its configuration, its float32 weights, and how a matrix product is done.

    ``product(name, x)`` multiplies x [..., inputs] by the weight of that name [outputs, inputs].
    """

    config: dict[str, Any]
    weights: dict[str, Array]
    product: Callable[[str, Array], Array]

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        weights = load_file(str(folder / "model.safetensors"))
        config = json.loads((folder / "config.json").read_text())
        return cls(config, weights, lambda name, x: x @ weights[name].T)


def norm(x: Array, weight: Array, epsilon: float) -> Array:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon)) * weight


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def rotate(x: Array, theta: float, first: int) -> Array:
    """Rotary positions, from the first on, for x [T, heads, head], in halves."""
    length, _, head = x.shape
    rates = theta ** (-np.arange(head // 2) / (head // 2))
    angles = (np.arange(first, first + length)[:, None] * rates)[:, None]
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    low, high = x[..., : head // 2], x[..., head // 2 :]
    return np.concatenate((low * cosine - high * sine, high * cosine + low * sine), axis=-1)


Cache = dict[int, tuple[Array, Array]]


def logits(model: Checkpoint, tokens: Iterable[int], cache: Cache | None = None) -> Array:
    """Tokens [T] to logits [T, vocabulary]; ``cache`` holds the keys and values of tokens before them and takes theirs."""
    c, w, product = model.config, model.weights, model.product
    heads, groups, head = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    x = w["model.embed_tokens.weight"][list(tokens)]
    length = len(x)
    past = len(cache[0][0]) if cache else 0
    hidden = np.triu(np.full((length, past + length), -np.inf, np.float32), 1 + past)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        y = norm(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q, k, v = (
            product(f"{p}self_attn.{n}_proj.weight", y).reshape(length, count, head)
            for n, count in (("q", heads), ("k", groups), ("v", groups))
        )
        q, k = rotate(q, c["rope_theta"], past), rotate(k, c["rope_theta"], past)
        if cache is not None:
            k, v = (np.concatenate((cache[i][n], u)) if past else u for n, u in enumerate((k, v)))
            cache[i] = k, v
        k, v = (np.repeat(u, heads // groups, axis=1) for u in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) / np.float32(head**0.5) + hidden
        y = np.einsum("hij,jhd->ihd", softmax(scores), v).reshape(length, heads * head)
        x = x + product(p + "self_attn.o_proj.weight", y)
        y = norm(x, w[p + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        gate, up = product(p + "mlp.gate_proj.weight", y), product(p + "mlp.up_proj.weight", y)
        x = x + product(p + "mlp.down_proj.weight", gate / (1 + np.exp(-gate)) * up)
    return product("model.embed_tokens.weight", norm(x, w["model.norm.weight"], c["rms_norm_eps"]))


def loss(model: Checkpoint, texts: list[list[int]]) -> float:
    """Mean loss a token, in nats."""
    total, count = 0.0, 0
    for text in texts:
        z = logits(model, text[:-1]).astype(np.float64)
        z -= z.max(axis=-1, keepdims=True)
        right = z[np.arange(len(z)), text[1:]]
        total += float((np.log(np.exp(z).sum(axis=-1)) - right).sum())
        count += len(z)
    return total / count


def held_out(folder: Path, count: int, context: int) -> list[list[int]]:
    """The first ``count`` held-out stories as tokens, but for those which do not fit the context."""
    texts = tokenizer.encode(tokenizer.load(folder), stories(HELD_OUT_SEED, count))
    return [t for t in texts if len(t) <= context]


def quantised(model: Checkpoint, sample: list[list[int]]) -> Checkpoint:
    """The same model on int8: a scale for each output channel of a weight; activations with a scale for each vector
    behind a norm and one scale for all vectors elsewhere, the largest magnitude seen in ``sample``.
    """
    largest: dict[str, float] = {}
    static = ("o_proj.weight", "down_proj.weight")

    def watch(name: str, x: Array) -> Array:
        largest[name] = max(largest.get(name, 0.0), float(np.abs(x).max()))
        return model.product(name, x)

    for text in sample:
        logits(Checkpoint(model.config, model.weights, watch), text[:-1])
    scales = {n: np.abs(w).max(axis=-1, keepdims=True) / 127 for n, w in model.weights.items() if w.ndim == 2}
    rounded = {n: np.round(model.weights[n] / s) for n, s in scales.items()}

    def product(name: str, x: Array) -> Array:
        reach = largest[name] if name.endswith(static) else np.abs(x).max(axis=-1, keepdims=True)
        scale = np.maximum(reach, 1e-9) / np.float32(127)
        y = np.clip(np.round(x / scale), -127, 127) @ rounded[name].T
        return (y * scale * scales[name][:, 0]).astype(np.float32)

    embedding = "model.embed_tokens.weight"
    weights = dict(model.weights) | {embedding: (rounded[embedding] * scales[embedding]).astype(np.float32)}
    return Checkpoint(model.config, weights, product)


def tell(model: Checkpoint, prompt: list[int], temperature: float, seed: int) -> list[int]:
    """The prompt and what follows it, up to and with </s>; temperature 0 takes the likeliest token."""
    rng = np.random.default_rng(seed)
    tokens, new = list(prompt), list(prompt)
    cache: Cache = {}
    while len(tokens) < model.config["max_position_embeddings"] and tokens[-1] != tokenizer.END_ID:
        z = logits(model, new, cache)[-1].astype(np.float64)
        if temperature == 0:
            new = [int(z.argmax())]
        else:
            p = np.exp((z - z.max()) / temperature)
            new = [int(rng.choice(len(p), p=p / p.sum()))]
        tokens += new
    return tokens


def grams(text: str, length: int = 8) -> set[str]:
    """Its runs of so many words."""
    words = text.split()
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}


def novelty(learnt: Iterable[str], unseen: Iterable[str]) -> tuple[float, float]:
    """Shares of unseen stories, and of their different runs of 8 words, which are in no learnt story: (stories, runs)."""
    known_texts: set[str] = set()
    known: set[str] = set()
    for text in learnt:
        known_texts.add(text)
        known |= grams(text)
    texts = list(unseen)
    runs = set().union(*(grams(t) for t in texts))
    new = sum(t not in known_texts for t in texts)
    return new / len(texts), len(runs - known) / len(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("loss", "novelty", "tell"))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--prompt", default="Once upon a time")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--int8", action="store_true", help="with int8 weights and activations")
    parser.add_argument("--count", type=int, default=1, help="stories to tell, from one seed after the other")
    arguments = parser.parse_args()
    if arguments.what == "novelty":
        record = json.loads((arguments.folder / "training.json").read_text())
        whole, runs = novelty(stories(TEXT_SEED, record["told"]), stories(HELD_OUT_SEED, 1000))
        print(f"new stories {whole:.1%}, new runs of eight words {runs:.1%}")
        return
    model = Checkpoint.load(arguments.folder)
    context = model.config["max_position_embeddings"]
    if arguments.int8:
        sample = tokenizer.encode(tokenizer.load(arguments.folder), stories(TEXT_SEED, 50))
        model = quantised(model, [t for t in sample if len(t) <= context])
    if arguments.what == "loss":
        value = loss(model, held_out(arguments.folder, 1000, context))
        print(f"held-out loss {value:.4f}, perplexity {np.exp(value):.3f} a token")
        return
    pieces = tokenizer.load(arguments.folder)
    for i in range(arguments.count):
        prompt = [tokenizer.BEGIN_ID, *pieces.encode(arguments.prompt, add_special_tokens=False).ids]
        told = tell(model, prompt, arguments.temperature, arguments.seed + i)
        end = "" if told[-1] == tokenizer.END_ID else " ..."
        print(f"{pieces.decode(told)}{end}  ({len(told)} tokens)\n")


if __name__ == "__main__":
    main()
