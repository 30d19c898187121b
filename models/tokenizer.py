"""Byte-level BPE of 512 tokens: 3 special ones, the 243 bytes that UTF-8 knows, and 266 pieces learnt from the stories."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 512
#: The bytes C0, C1 and F5 to FF stand in no UTF-8 text; ByteLevel writes them as these letters.
NEVER = "ÀÁõö÷øùúûüýþÿ"
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
#: Their numbers. No text needs <unk>, since each byte is a token.
UNKNOWN_ID, BEGIN_ID, END_ID = 0, 1, 2


def learn(texts: Iterable[str]) -> Tokenizer:
    """Pieces learnt from texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[UNKNOWN, BEGIN, END],
        initial_alphabet=sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(NEVER)),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> list[list[int]]:
    """Stories as tokens, each between <s> and </s>."""
    return [[BEGIN_ID, *e.ids, END_ID] for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
