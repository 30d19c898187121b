"""Pattern matching: generic nodes of a float graph to the fused operations that the machine has, still in float.

Gains of norms are folded into the columns of the projections that read them. A graph that does not match is refused
with a GraphError naming node and operation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from lpu.compiler.graph import (
    Add,
    Attention,
    Embedding,
    Graph,
    GraphError,
    Linear,
    Multiply,
    Node,
    RmsNorm,
    Rope,
    Silu,
)
from lpu.compiler.quantised import Rotary

Weight = NDArray[np.float64]


@dataclass(frozen=True)
class Fused:
    """A fused operation; ``out`` names the node that made its value in the float graph."""

    out: str


@dataclass(frozen=True)
class FusedGather(Fused):
    """Embedding."""

    table: Weight


@dataclass(frozen=True)
class FusedNorm(Fused):
    """RMS norm without gain."""

    source: str
    eps: float


@dataclass(frozen=True)
class FusedProject(Fused):
    """Query, key or value of a norm's output."""

    source: str
    weight: Weight
    rotary: Rotary | None


@dataclass(frozen=True)
class FusedAttend(Fused):
    """Attention."""

    query: str
    key: str
    value: str
    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class FusedGate(Fused):
    """silu(gate) * up of a norm's output."""

    source: str
    gate: Weight
    up: Weight


@dataclass(frozen=True)
class FusedResidual(Fused):
    """Projection of an attention's or a gate's result plus ``addend``."""

    source: str
    weight: Weight
    addend: str


@dataclass(frozen=True)
class FusedLogits(Fused):
    """Projection of the last norm's output."""

    source: str
    weight: Weight


class _Matcher:
    """One pass over the nodes; each is either fused into a later one or makes an operation."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made: dict[str, Node] = {}
        self.users: dict[str, list[Node]] = defaultdict(list)
        #: Norms by name: their gain, to be folded.
        self.gains: dict[str, Weight] = {}
        #: Float vectors: what norms and additions may read.
        self.vectors: set[str] = set()
        self.ops: list[Fused] = []
        for node in graph.nodes:
            if node.out in self.made or node.out == "token":
                self.refuse(node, "its name is taken")
            self.made[node.out] = node
            for name in node.inputs:
                if name != "token" and name not in self.made:
                    self.refuse(node, f"its input {name} does not exist before it")
                self.users[name].append(node)

    def refuse(self, node: Node, why: str) -> NoReturn:
        raise GraphError(f"{self.graph.source}: node {node.out} ({type(node).__name__}): {why}")

    def only_user(self, node: Node) -> Node:
        users = self.users[node.out]
        if len(users) != 1:
            self.refuse(node, f"{len(users)} operations read it, exactly one can")
        return users[0]

    def normed(self, node: Node) -> tuple[str, Weight]:
        """(norm, weight with its gain) of a Linear that reads a norm."""
        if not isinstance(node, Linear):
            self.refuse(node, "only a Linear of an RmsNorm can stand here")
        name = node.inputs[0]
        if name not in self.gains:
            self.refuse(node, f"its input {name} is not an RmsNorm")
        return name, self.fold(node, self.gains[name])

    def fold(self, node: Linear, gain: Weight) -> Weight:
        if node.weight.ndim != 2 or node.weight.shape[1] != len(gain):
            self.refuse(node, f"weight {list(node.weight.shape)} does not fit {len(gain)} channels")
        return node.weight.astype(np.float64) * gain

    def run(self) -> tuple[Fused, ...]:
        for node in self.graph.nodes:
            match node:
                case Embedding():
                    self.embedding(node)
                case RmsNorm():
                    self.norm(node)
                case Linear():
                    self.linear(node)
                case Rope():
                    self.rope(node)
                case Attention():
                    self.attention(node)
                case Silu():
                    if not isinstance(self.only_user(node), Multiply):
                        self.refuse(node, "only a Multiply can read it")
                case Multiply():
                    self.gate(node)
                case Add():
                    self.residual(node)
                case _:
                    self.refuse(node, "no such operation")
        if not self.ops or not isinstance(self.ops[-1], FusedLogits):
            raise GraphError(
                f"{self.graph.source}: output {self.graph.output} is not a Linear of an RmsNorm, the last node"
            )
        return tuple(self.ops)

    def embedding(self, node: Embedding) -> None:
        if self.ops:
            self.refuse(node, "a graph has one Embedding, its first node")
        if node.inputs != ("token",):
            self.refuse(node, f"its input is {node.inputs[0]}, not the token")
        if node.table.shape[0] != self.graph.vocabulary:
            self.refuse(node, f"{node.table.shape[0]} rows for a vocabulary of {self.graph.vocabulary}")
        self.vectors.add(node.out)
        self.ops.append(FusedGather(node.out, node.table.astype(np.float64)))

    def norm(self, node: RmsNorm) -> None:
        source = node.inputs[0]
        if source not in self.vectors:
            self.refuse(node, f"its input {source} is neither an Embedding nor an Add")
        for user in self.users[node.out]:
            if not isinstance(user, Linear):
                self.refuse(user, f"only a Linear can read the RmsNorm {node.out}")
        self.gains[node.out] = node.gain.astype(np.float64)
        self.ops.append(FusedNorm(node.out, source, float(node.eps)))

    def linear(self, node: Linear) -> None:
        source = self.made.get(node.inputs[0])
        if isinstance(source, RmsNorm):
            if node.out == self.graph.output:
                if self.users[node.out]:
                    self.refuse(node, f"{self.users[node.out][0].out} reads the output")
                name, weight = self.normed(node)
                if len(weight) != self.graph.vocabulary:
                    self.refuse(node, f"{len(weight)} rows for a vocabulary of {self.graph.vocabulary}")
                self.ops.append(FusedLogits(node.out, name, weight))
                return
            user = self.only_user(node)
            if isinstance(user, Attention):
                self.ops.append(FusedProject(node.out, *self.normed(node), None))
            elif not isinstance(user, Rope | Silu | Multiply):
                self.refuse(node, f"the {type(user).__name__} {user.out} cannot read a Linear of an RmsNorm")
        elif isinstance(source, Attention | Multiply):
            if not isinstance(self.only_user(node), Add):
                self.refuse(node, "only an Add can read it")
        else:
            what = type(source).__name__ if source else "token"
            self.refuse(
                node, f"its input {node.inputs[0]} is a {what}, not an RmsNorm, Attention or Multiply"
            )

    def rope(self, node: Rope) -> None:
        name, weight = self.normed(self.made[node.inputs[0]])
        if node.head_dim % 2:
            self.refuse(node, f"head_dim={node.head_dim} is odd")
        if len(weight) != node.heads * node.head_dim:
            self.refuse(node, f"{len(weight)} channels are not {node.heads} heads of {node.head_dim}")
        if not isinstance(self.only_user(node), Attention):
            self.refuse(node, "only an Attention can read it")
        rotary = Rotary(node.heads, node.head_dim, float(node.base), node.interleaved)
        self.ops.append(FusedProject(node.out, name, weight, rotary))

    def attention(self, node: Attention) -> None:
        sizes = (node.heads, node.kv_heads, node.kv_heads)
        projects = {op.out: op for op in self.ops if isinstance(op, FusedProject)}
        if node.heads % node.kv_heads:
            self.refuse(node, f"{node.heads} heads are not a multiple of {node.kv_heads} key heads")
        if len(set(node.inputs)) != 3:
            self.refuse(node, "query, key and value must be three values")
        for name, heads in zip(node.inputs, sizes, strict=True):
            if name not in projects:
                self.refuse(node, f"its input {name} is not a projection of an RmsNorm")
            if len(projects[name].weight) != heads * node.head_dim:
                self.refuse(node, f"{name} does not have {heads} heads of {node.head_dim} channels")
        query, key, value = node.inputs
        rotaries = [projects[name].rotary for name in node.inputs]
        if rotaries[2] is not None:
            self.refuse(node, f"its value {node.inputs[2]} has a Rope")
        for rotary, heads in zip(rotaries[:2], sizes[:2], strict=True):
            if rotary is not None and (rotary.heads, rotary.head_dim) != (heads, node.head_dim):
                self.refuse(node, "its Rope has other heads than it")
        if (rotaries[0] is None) != (rotaries[1] is None):
            self.refuse(node, "only one of query and key has a Rope")
        self.ops.append(FusedAttend(node.out, query, key, value, node.heads, node.kv_heads, node.head_dim))

    def gate(self, node: Multiply) -> None:
        silu = [name for name in node.inputs if isinstance(self.made.get(name), Silu)]
        if len(node.inputs) != 2 or len(silu) != 1:
            self.refuse(node, "one of its two inputs must be a Silu")
        other = node.inputs[1 - node.inputs.index(silu[0])]
        source, gate = self.normed(self.made[self.made[silu[0]].inputs[0]])
        up_source, up = self.normed(self.made[other])
        if source != up_source or gate.shape != up.shape:
            self.refuse(node, "its two Linears differ in input or size")
        self.ops.append(FusedGate(node.out, source, gate, up))

    def residual(self, node: Add) -> None:
        sources = [name for name in node.inputs if isinstance(self.made.get(name), Linear)]
        if len(node.inputs) != 2 or len(sources) != 1:
            self.refuse(node, "one of its two inputs must be a Linear")
        linear = self.made[sources[0]]
        addend = node.inputs[1 - node.inputs.index(sources[0])]
        if addend not in self.vectors:
            self.refuse(node, f"its input {addend} is neither an Embedding nor an Add")
        assert isinstance(linear, Linear)
        self.vectors.add(node.out)
        weight = linear.weight.astype(np.float64)
        self.ops.append(FusedResidual(node.out, linear.inputs[0], weight, addend))


def fuse(graph: Graph) -> tuple[Fused, ...]:
    """The fused operations in order: first the gather, last the logits. Raises GraphError."""
    return _Matcher(graph).run()


def calibrated(ops: tuple[Fused, ...]) -> tuple[str, ...]:
    """Values of the float graph that static scales are calibrated on."""
    kinds = FusedProject | FusedAttend | FusedGate
    return tuple(op.out for op in ops if isinstance(op, kinds))
