"""``tokenizer.json``, by the tokenizers library; pieces of text token by token, for streaming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lpu.compiler.frontend.errors import ModelError


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level tokenizers write for each byte: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}


class JsonTokenizer:
    """A tokenizer of a Hugging Face folder.

    BOS and EOS are those of ``config.json`` or ``tokenizer_config.json`` beside it, else tokens by their usual names.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ModelError(f"{path.parent} has no {path.name}")
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            self._tokenizer = Tokenizer.from_str(text)
            description = json.loads(text)
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"{path} is no tokenizer: {error}") from None
        self._alphabet = _byte_alphabet()
        self._decoder = _types(description.get("decoder"))
        self._special = {t["id"] for t in description.get("added_tokens") or () if t.get("special")}
        folder = path.parent
        self.bos = self._find(
            folder, "bos", ("<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>", "<|endoftext|>")
        )
        self.eos = self._find(
            folder, "eos", ("</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>", "<|im_end|>")
        )

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return int(self._tokenizer.get_vocab_size())

    def _find(self, folder: Path, which: str, usual: tuple[str, ...]) -> int:
        """Token of a kind, from the files beside the tokenizer or by name."""
        for name in ("config.json", "generation_config.json"):
            value = _object(folder / name).get(f"{which}_token_id")
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, int):
                return value
        token = _object(folder / "tokenizer_config.json").get(f"{which}_token")
        token = token.get("content") if isinstance(token, dict) else token
        for candidate in (token, *usual):
            found = self._tokenizer.token_to_id(candidate) if isinstance(candidate, str) else None
            if found is not None:
                return int(found)
        raise ModelError(
            f"{folder}: no {which.upper()} token is named by config.json, tokenizer_config.json or its usual name"
        )

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, BOS first."""
        return [self.bos, *self._tokenizer.encode(text, add_special_tokens=False).ids]

    def decode_piece(self, previous: int, token: int) -> bytes:
        """Bytes that a token adds after ``previous``; special tokens add none."""
        piece = self._tokenizer.id_to_token(token)
        if piece is None or token in self._special or token in (self.bos, self.eos):
            return b""
        if "ByteLevel" in self._decoder:
            if all(c in self._alphabet for c in piece):
                return bytes(self._alphabet[c] for c in piece)
            return piece.encode()
        if (
            "ByteFallback" in self._decoder
            and len(piece) == 6
            and piece.startswith("<0x")
            and piece[5] == ">"
        ):
            return bytes([int(piece[3:5], 16)])
        if "Metaspace" in self._decoder or "ByteFallback" in self._decoder:
            piece = piece.replace("▁", " ")
            return (piece.removeprefix(" ") if previous == self.bos else piece).encode()
        # Any other decoder: what the pair of tokens has more than the first alone.
        if previous in self._special or previous == self.bos:
            return str(self._tokenizer.decode([token])).encode()
        before = str(self._tokenizer.decode([previous]))
        return str(self._tokenizer.decode([previous, token])).removeprefix(before).encode()


def _object(path: Path) -> dict[str, Any]:
    """A JSON object that may be missing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _types(decoder: Any) -> set[str]:
    """Types of a decoder and, in a sequence, of its parts."""
    if not isinstance(decoder, dict):
        return set()
    return {decoder.get("type", "")}.union(*(_types(part) for part in decoder.get("decoders", ())))
