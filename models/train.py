"""Trains the model: ``python -m models.train --seed 0 --steps N --out models/stories192k``.

The same seed and steps give the same checkpoint on the same PyTorch and the same kind of device. Only this file needs
PyTorch. The shipped checkpoint took ``--device cuda``; a processor takes the same steps, at some 3 a second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from models import tokenizer
from models.stories import HELD_OUT_SEED, TEXT_SEED, stories

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 224,
    "vocab_size": tokenizer.VOCABULARY,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": tokenizer.BEGIN_ID,
    "eos_token_id": tokenizer.END_ID,
    "torch_dtype": "float32",
}
IGNORED = -100  # a label without loss
LEAST_RATE = 0.02  # of the highest, at the end of the cosine


class Norm(nn.Module):
    """RMSNorm."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + CONFIG["rms_norm_eps"])
        return x * scale * self.weight


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions in Hugging Face's order: halves, not pairs."""

    def __init__(self) -> None:
        super().__init__()
        hidden, head = CONFIG["hidden_size"], CONFIG["head_dim"]
        self.heads, self.groups, self.head = (
            CONFIG["num_attention_heads"],
            CONFIG["num_key_value_heads"],
            head,
        )
        self.q_proj = linear(hidden, self.heads * head)
        self.k_proj = linear(hidden, self.groups * head)
        self.v_proj = linear(hidden, self.groups * head)
        self.o_proj = linear(self.heads * head, hidden)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (
            project(x).view(batch, length, -1, self.head).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (u * cosine + _turn(u) * sine for u in (q, k))
        k, v = (u.repeat_interleave(self.heads // self.groups, dim=1) for u in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))


def _turn(x: Tensor) -> Tensor:
    low, high = x.chunk(2, dim=-1)
    return torch.cat((-high, low), dim=-1)


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
        self.gate_proj, self.up_proj = linear(hidden, inner), linear(hidden, inner)
        self.down_proj = linear(inner, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = Norm(CONFIG["hidden_size"])
        self.self_attn = Attention()
        self.post_attention_layernorm = Norm(CONFIG["hidden_size"])
        self.mlp = Mlp()

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    """Tokens [B, T] to logits [B, T, vocabulary]; ``state_dict`` has Hugging Face's names but for the prefix "model."."""

    cosine: Tensor
    sine: Tensor

    def __init__(self) -> None:
        super().__init__()
        hidden, layers = CONFIG["hidden_size"], CONFIG["num_hidden_layers"]
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], hidden)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm = Norm(hidden)
        half = CONFIG["head_dim"] // 2
        rates = CONFIG["rope_theta"] ** (-torch.arange(half) / half)
        angles = torch.arange(CONFIG["max_position_embeddings"])[:, None] * rates.repeat(2)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                spread = 0.05 if "embed" in name else weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=spread / math.sqrt(2 * layers) if last else spread)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed_tokens(tokens)
        length = tokens.shape[1]
        for layer in self.layers:
            x = layer(x, self.cosine[:length], self.sine[:length])
        return F.linear(self.norm(x), self.embed_tokens.weight)


def batches(texts: list[list[int]], size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of stories of about the same length, each from position 0; padding has no loss."""
    rng = random.Random(seed)
    while True:
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]) // 8, rng.random()))
        starts = list(range(0, len(order) - size + 1, size))
        rng.shuffle(starts)
        for start in starts:
            yield batch([texts[i] for i in order[start : start + size]])


def batch(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Inputs and labels [B, T]."""
    longest = max(map(len, rows)) - 1
    inputs = torch.full((len(rows), longest), tokenizer.END_ID)
    labels = torch.full((len(rows), longest), IGNORED)
    for i, row in enumerate(rows):
        inputs[i, : len(row) - 1] = torch.tensor(row[:-1])
        labels[i, : len(row) - 1] = torch.tensor(row[1:])
    return inputs, labels


def loss_of(model: Model, inputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    device = model.cosine.device
    logits, labels = model(inputs.to(device)), labels.to(device)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction=reduction)


@torch.no_grad()
def held_out_loss(model: Model, texts: list[list[int]]) -> float:
    """Mean loss a token, in nats."""
    total = sum(
        loss_of(model, *batch(texts[i : i + 32]), reduction="sum").item() for i in range(0, len(texts), 32)
    )
    return total / sum(len(t) - 1 for t in texts)


def rate(step: int, steps: int, highest: float, warm_up: int) -> float:
    """Linear warm-up, then a cosine."""
    if step < warm_up:
        return highest * (step + 1) / warm_up
    fall = 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
    return highest * (LEAST_RATE + (1 - LEAST_RATE) * fall)


def texts(count: int, held_out: int, out: Path) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens of the stories to learn and of the held-out ones, which fit the context; writes the tokenizer."""
    told = list(track(stories(TEXT_SEED, count), "telling", total=count))
    pieces = tokenizer.learn(told[:20000])
    pieces.save(str(out / "tokenizer.json"))
    fits = CONFIG["max_position_embeddings"]
    learnt, unseen = (
        [t for t in tokenizer.encode(pieces, s) if len(t) <= fits]
        for s in (told, stories(HELD_OUT_SEED, held_out))
    )
    return learnt, unseen


def save(model: Model, out: Path) -> None:
    tensors = {f"model.{n}": w.detach().cpu().clone().contiguous() for n, w in model.state_dict().items()}
    save_file(tensors, str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # products that repeat, on CUDA
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.manual_seed(arguments.seed)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    learnt, unseen = texts(arguments.stories, arguments.held_out, out)
    model = Model().to(arguments.device)
    decayed = [w for w in model.parameters() if w.ndim == 2]
    others = [w for w in model.parameters() if w.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": arguments.decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-9, fused=arguments.device == "cuda")
    curve: list[dict[str, float]] = []
    recent: list[Tensor] = []  # on the device: reading each would wait for it
    data = batches(learnt, arguments.batch, arguments.seed)
    stop = arguments.stop or arguments.steps
    for step in track(range(stop), "training"):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, arguments.steps, arguments.rate, arguments.warm_up)
        loss = loss_of(model, *next(data))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        recent.append(loss.detach())
        last = step + 1 == stop
        if (step + 1) % arguments.every == 0 or last:
            loss_now = held_out_loss(model, unseen if last else unseen[:200])
            curve.append(
                {
                    "step": step + 1,
                    "train": round(torch.stack(recent).mean().item(), 4),
                    "held_out": round(loss_now, 4),
                }
            )
            recent.clear()
            print(json.dumps(curve[-1]), flush=True)
            save(model, out)
    record = {
        "seed": arguments.seed,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "steps": stop,
        "schedule": arguments.steps,
        "batch": arguments.batch,
        "rate": arguments.rate,
        "told": arguments.stories,
        "stories": len(learnt),
        "tokens": sum(map(len, learnt)),
        "held_out_stories": len(unseen),
        "held_out_tokens": sum(map(len, unseen)) - len(unseen),
        "held_out_loss": curve[-1]["held_out"],
        "held_out_loss_first_50": round(held_out_loss(model, unseen[:50]), 4),
        "curve": curve,
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=16000)
    parser.add_argument("--stop", type=int, help="end after so many steps of the schedule of --steps")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "stories192k")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    parser.add_argument("--stories", type=int, default=120000, help="stories to learn")
    parser.add_argument("--held-out", type=int, default=1000, help="stories to test with")
    parser.add_argument("--batch", type=int, default=96, help="stories a step")
    parser.add_argument("--rate", type=float, default=6e-3, help="highest learning rate")
    parser.add_argument("--warm-up", type=int, default=200, help="steps of warm-up")
    parser.add_argument("--decay", type=float, default=0.1, help="weight decay")
    parser.add_argument("--every", type=int, default=500, help="steps between entries of the curve")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
