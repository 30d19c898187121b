"""llama2.c: checkpoints of its legacy export, and its tokenizers.

A checkpoint is seven little-endian int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; a negative
vocab_size says that the classifier is a tensor of its own) and float32 tensors, each kind of all layers together.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from lpu.compiler.frontend.errors import ModelError
from lpu.compiler.frontend.llama import Llama, checked, llama_graph
from lpu.compiler.graph import Array, Graph

_HEADER = struct.Struct("<7i")
#: First word of the newer exports, "ak42".
_MAGIC = 0x616B3432


def load_checkpoint(path: Path) -> Graph:
    """The graph of a ``.bin`` checkpoint. Raises ModelError."""
    source = str(path)
    data = path.read_bytes()
    if len(data) < _HEADER.size:
        raise ModelError(
            f"{source}: {len(data)} bytes are no llama2.c checkpoint, whose header alone has {_HEADER.size}"
        )
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = _HEADER.unpack_from(data)
    if dim == _MAGIC:
        raise ModelError(
            f"{source}: llama2.c export of version {hidden}; only the legacy export (version 0) is read"
        )
    if heads < 1 or dim % heads:
        raise ModelError(f"{source}: header has dim={dim}, which {heads} heads do not divide")
    sizes = Llama(
        source=source,
        dim=dim,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim // heads,
        vocabulary=abs(vocabulary),
        positions=positions,
        eps=1e-5,
        base=10000.0,
        interleaved=True,
        tied=vocabulary > 0,
    )
    tensors = _tensors(sizes, data)

    def fetch(name: str, shape: tuple[int, ...]) -> Array:
        layer, _, kind = name.rpartition(".")
        array = tensors[kind][int(layer)] if layer else tensors[name][0]
        return checked(source, name, array, shape)

    return llama_graph(sizes, fetch)


def _tensors(s: Llama, data: bytes) -> dict[str, np.ndarray]:
    """Every kind of tensor as [layers or 1, ...], in the order of the file."""
    kv = s.kv_heads * s.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (1, s.vocabulary, s.dim),
        "attention_norm": (s.layers, s.dim),
        "query": (s.layers, s.dim, s.dim),
        "key": (s.layers, kv, s.dim),
        "value": (s.layers, kv, s.dim),
        "output": (s.layers, s.dim, s.dim),
        "feed_forward_norm": (s.layers, s.dim),
        "gate": (s.layers, s.hidden, s.dim),
        "down": (s.layers, s.dim, s.hidden),
        "up": (s.layers, s.hidden, s.dim),
        "norm": (1, s.dim),
        # Tables of cosines and sines that the graph computes itself.
        "cosines": (s.positions, s.head_dim // 2),
        "sines": (s.positions, s.head_dim // 2),
    }
    if not s.tied:
        shapes["classifier"] = (1, s.vocabulary, s.dim)
    counts = {name: int(np.prod(shape, dtype=object)) for name, shape in shapes.items()}
    needed = _HEADER.size + 4 * sum(counts.values())
    if len(data) != needed:
        verdict = "it is truncated" if len(data) < needed else "it is longer"
        raise ModelError(
            f"{s.source}: the header's sizes need {needed} bytes, the file has {len(data)}: {verdict}"
        )
    tensors, at = {}, _HEADER.size
    for name, shape in shapes.items():
        tensors[name] = np.frombuffer(data, "<f4", counts[name], at).reshape(shape)
        at += 4 * counts[name]
    return tensors


class BinTokenizer:
    """A llama2.c tokenizer: byte pair merging by score, with fallback to bytes.

    The file is int32 max_token_length, then for each token float32 score, int32 length, bytes.
    """

    #: Tokens that start and end a text.
    bos, eos = 1, 2
    #: Token of byte 0; the others follow.
    _BYTES = 3

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.pieces: list[bytes] = []
        self.scores: list[float] = []
        if len(data) < 4:
            raise ModelError(f"{path}: {len(data)} bytes are no llama2.c tokenizer")
        (longest,) = struct.unpack_from("<i", data)
        at = 4
        while at < len(data):
            where = f"{path}: token {len(self.pieces)}"
            if at + 8 > len(data):
                raise ModelError(f"{where} is cut off; the file is truncated")
            score, length = struct.unpack_from("<fi", data, at)
            at += 8
            if not 0 <= length <= longest:
                raise ModelError(
                    f"{where} has {length} bytes, the header allows 0..{longest}: no llama2.c tokenizer"
                )
            if at + length > len(data):
                raise ModelError(f"{where} is cut off; the file is truncated")
            self.pieces.append(data[at : at + length])
            self.scores.append(score)
            at += length
        if len(self.pieces) < self._BYTES + 256:
            raise ModelError(
                f"{path}: {len(self.pieces)} tokens, fewer than the {self._BYTES + 256} that bytes need"
            )
        self._token: dict[bytes, int] = {}
        for token, piece in enumerate(self.pieces):
            self._token.setdefault(piece, token)

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, BOS first. A text that is not empty is read with a space before it."""
        tokens: list[int] = []
        for character in " " + text if text else "":
            raw = character.encode("utf-8", "surrogateescape")
            whole = self._token.get(raw)
            tokens += [self._BYTES + b for b in raw] if whole is None else [whole]
        while True:
            # The best pair, the first among equals.
            best, at = None, -1
            for i in range(len(tokens) - 1):
                merged = self._token.get(self.pieces[tokens[i]] + self.pieces[tokens[i + 1]])
                if merged is not None and (best is None or self.scores[merged] > self.scores[best]):
                    best, at = merged, i
            if best is None:
                return [self.bos, *tokens]
            tokens[at : at + 2] = [best]

    def decode_piece(self, previous: int, token: int) -> bytes:
        """Bytes of a token: ``<0xNN>`` is that byte; after BOS a leading space goes."""
        piece = self.pieces[token]
        if previous == self.bos and piece.startswith(b" "):
            piece = piece[1:]
        if len(piece) == 6 and piece.startswith(b"<0x") and piece.endswith(b">"):
            return bytes([int(piece[3:5], 16)])
        if token in (self.bos, self.eos):
            return b""
        return piece
