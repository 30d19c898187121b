"""Invented quantised graphs and tiles, and a run of a compiled one that is compared with the emulation word by word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.emulate import Emulation
from golden.numerics import order_key
from lpu.arch import TileConfig, parse_floorplan
from lpu.compiler.quantised import (
    Attend,
    Gate,
    Gather,
    Logits,
    Matrix,
    Norm,
    Op,
    Project,
    Quantised,
    Residual,
    Rotary,
)
from lpu.program import Program
from lpu.runtime.cycles import evaluate
from lpu.runtime.machine import Machine


def tile_config(
    lanes: int, vxm_lanes: int, floorplan: str = "host mem:1024 sxm mxm vxm mem:1024", **sizes: int
) -> TileConfig:
    """A tile with room for a small network."""
    room = {"contexts": 1024, "queue_depth": 1024, "activations": 64, "vxm_registers": 32, "masks": 16}
    return TileConfig(
        f"{lanes} lanes", lanes, vxm_lanes, floorplan=parse_floorplan(floorplan), **(room | sizes)
    )


@dataclass(frozen=True)
class Shape:
    """Sizes of an invented network."""

    dim: int = 12
    hidden: int = 20
    heads: int = 2
    kv_heads: int = 1
    head_dim: int = 4
    vocabulary: int = 30
    positions: int = 20
    layers: int = 1
    interleaved: bool = False
    rotary: bool = True
    tied: bool = False
    base: float = 10000.0


def random_quantised(shape: Shape, seed: int = 0) -> Quantised:
    """A network of random weights whose int8 values use most of their range, and sometimes more."""
    random = np.random.default_rng(seed)

    def weights(outputs: int, inputs: int) -> np.ndarray:
        return random.integers(-127, 128, (outputs, inputs)).astype(np.int8)

    def matrix(weight: np.ndarray, spread: float) -> Matrix:
        """Scales that leave the results of normal inputs with about this standard deviation."""
        # Weights have one of 73; a normalised input is worth about 1 a channel.
        worth = spread / (73 * np.sqrt(weight.shape[1]))
        return Matrix(weight, worth * random.uniform(0.5, 1.5, len(weight)))

    def rotary(heads: int, weight: Matrix) -> tuple[Matrix, Rotary | None]:
        if not shape.rotary:
            return weight, None
        scale = weight.scale.reshape(heads, shape.head_dim).copy()
        half = shape.head_dim // 2
        if shape.interleaved:
            scale[:, 1::2] = scale[:, 0::2]
        else:
            scale[:, half:] = scale[:, :half]
        turned = Rotary(heads, shape.head_dim, shape.base, shape.interleaved)
        return Matrix(weight.weight, scale.reshape(-1)), turned

    dim, inner = shape.dim, shape.heads * shape.head_dim
    table = weights(shape.vocabulary, dim)
    ops: list[Op] = [Gather("x", table, random.uniform(0.5, 1.5, dim) / 73)]
    labels, value = ["embedding"], "x"
    for n in range(shape.layers):
        made = {}
        for name, heads in (("q", shape.heads), ("k", shape.kv_heads), ("v", shape.kv_heads)):
            plain = matrix(weights(heads * shape.head_dim, dim), 60)
            made[name] = (plain, None) if name == "v" else rotary(heads, plain)
        layer: list[Op] = [
            Norm(f"{n}.a", value, 1e-5),
            *(Project(f"{n}.{name}", f"{n}.a", *made[name]) for name in "qkv"),
            Attend(
                f"{n}.attend",
                *(f"{n}.{name}" for name in "qkv"),
                shape.heads,
                shape.kv_heads,
                shape.head_dim,
                float(random.uniform(0.5, 2)) / (60 * 60 * np.sqrt(shape.head_dim)),
                random.uniform(0.8, 1.6, inner),
            ),
            Residual(f"{n}.b", f"{n}.attend", matrix(weights(dim, inner), 1 / 60), value),
            Norm(f"{n}.c", f"{n}.b", 1e-6),
            Gate(
                f"{n}.gate",
                f"{n}.c",
                matrix(weights(shape.hidden, dim), 1.5),
                matrix(weights(shape.hidden, dim), 60),
            ),
            Residual(f"{n}.d", f"{n}.gate", matrix(weights(dim, shape.hidden), 1 / 60), f"{n}.b"),
        ]
        ops += layer
        labels += [f"layer {n}"] * len(layer)
        value = f"{n}.d"
    output = table if shape.tied else weights(shape.vocabulary, dim)
    ops += [Norm("norm", value, 1e-5), Logits("logits", "norm", matrix(output, 3))]
    labels += ["output"] * 2
    return Quantised(tuple(ops), tuple(labels), shape.vocabulary, shape.positions, f"{shape} seed {seed}")


def tokens_of(graph: Quantised, count: int, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(0, graph.vocabulary, count).tolist()


class Session:
    """A compiled network on a machine, in step with its emulation; every difference is an assertion with the position.

    ``position`` may be set back.
    """

    def __init__(self, graph: Quantised, program: Program, machine: Machine):
        self.program, self.machine = program, machine
        self.emulation = Emulation(graph, program.config.float_format)
        self.position = 0
        #: Tokens that a prefill takes; 0 for none.
        self.chunk = program.symbols["model"]["chunk"]
        machine.load(program)

    def state(self, token: int, tokens: int = 1) -> None:
        """Token, position, and number of tokens to generate into their registers."""
        self.machine.push_tokens([token, self.position, tokens])
        self.run("state")

    def run(self, entry: str) -> None:
        """An entry, legal and of the length predicted."""
        where = f"{entry} at position {self.position}: {self.program.symbols['model']['source']}"
        result = self.machine.run(entry)
        assert result.violation is None, f"{result.violation.describe(self.program.config)} in {where}"
        assert result.cycles == evaluate(self.program.cycles[entry], position=self.position), where

    def logits(self) -> np.ndarray:
        """The words of the last position."""
        place = self.program.symbols["model"]["logits"]
        words = self.machine.read_memory(place["slice"], place["word"], place["count"])
        return words.reshape(-1)[: self.emulation.quantised.vocabulary]

    def step(self, token: int) -> int:
        """Decode one token; returns the next one."""
        self.state(token)
        expected = self.emulation.step(token, self.position)
        self.run("decode")
        wrong = np.flatnonzero(self.logits() != expected)
        assert not len(wrong), (
            f"position {self.position}: {len(wrong)} logits differ, the first {wrong[0]} is "
            f"{self.logits()[wrong[0]]:08x}, not {expected[wrong[0]]:08x}: {self.program.symbols['model']['source']}"
        )
        (following,) = self.machine.pop_tokens()
        assert following == np.argmax(order_key(expected))
        self.position += 1
        return following

    def prefill(self, tokens: list[int]) -> None:
        """One chunk of tokens whose logits nobody wants."""
        self.state(0)
        self.machine.push_tokens(tokens)
        self.run("prefill")
        self.emulation.extend(tokens, self.position)
        self.position += len(tokens)
