"""Which importer a path is for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lpu.compiler.frontend.errors import ModelError
from lpu.compiler.graph import Graph


class Tokenizer(Protocol):
    """Text to tokens and back."""

    bos: int
    eos: int

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        ...

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, BOS first."""
        ...

    def decode_piece(self, previous: int, token: int) -> bytes:
        """What a token adds to the text after ``previous``; bytes, as a character may need several tokens."""
        ...


def load_model(path: str | Path) -> Graph:
    """The graph of a Hugging Face folder or a llama2.c ``.bin``. Raises ModelError, and OSError for no such file."""
    path = Path(path)
    if path.is_dir():
        from lpu.compiler.frontend.huggingface import load_folder

        return load_folder(path)
    from lpu.compiler.frontend.llama2c import load_checkpoint

    return load_checkpoint(path)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a model, or in a file of its own. Raises ModelError, and OSError for no such file.

    A folder has ``tokenizer.json``; beside a llama2.c checkpoint one ``tok*.bin`` is looked for.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".json":
        from lpu.compiler.frontend.huggingface_tokenizer import JsonTokenizer

        return JsonTokenizer(path / "tokenizer.json" if path.is_dir() else path)
    from lpu.compiler.frontend.llama2c import BinTokenizer

    return BinTokenizer(path if path.name.startswith("tok") else _beside(path))


def _beside(model: Path) -> Path:
    """The ``tok*.bin`` in a checkpoint's folder."""
    found = sorted(model.parent.glob("tok*.bin"))
    if not found:
        raise ModelError(f"no tokenizer tok*.bin lies beside {model}: name one with --tokenizer FILE")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ModelError(
            f"{len(found)} tokenizers lie beside {model} ({names}): name one with --tokenizer FILE"
        )
    return found[0]
