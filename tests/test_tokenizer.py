"""Tokenizers, and text that comes token by token."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lpu.compiler.frontend import ModelError, load_tokenizer
from lpu.runtime.text import TextStream
from tests.models_tools import trained_model, write_tokenizer

#: Pieces after the bytes; the token of the first is 259.
PIECES = [
    (b" ", -1.0),
    (b"a", -2.0),
    (b"b", -3.0),
    (b"ab", -5.0),
    (b"ba", -4.0),
    (b" ab", -9.0),
    ("é".encode(), -1.0),
]
SPACE, A, B, AB, BA, SPACE_AB, E_ACUTE = range(259, 266)


@pytest.fixture
def small(tmp_path):
    return load_tokenizer(write_tokenizer(tmp_path / "tok.bin", PIECES))


def text_of(tokenizer, tokens):
    stream = TextStream(tokenizer.decode_piece, tokens[0])
    for token in tokens[1:]:
        stream.feed(token)
    stream.finish()
    return stream.text


def test_merges_take_the_best_score(small):
    assert small.encode("") == [1]
    assert small.encode("a") == [1, SPACE, A]
    # "ba" scores more than "ab", though it stands later.
    assert small.encode("aba") == [1, SPACE, A, BA]
    assert small.encode("ab") == [1, SPACE_AB]
    # The first of equal pairs.
    assert small.encode("baba") == [1, SPACE, BA, BA]


def test_bytes_where_there_is_no_piece(small):
    assert small.encode("é") == [1, SPACE, E_ACUTE]
    assert small.encode("ü") == [1, SPACE, 3 + 0xC3, 3 + 0xBC]
    assert small.decode_piece(A, 3 + 0xC3) == b"\xc3"


def test_a_space_goes_after_bos(small):
    assert small.decode_piece(1, SPACE_AB) == b"ab"
    assert small.decode_piece(A, SPACE_AB) == b" ab"
    assert small.decode_piece(A, 1) == b""


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_comes_back(tmp_path_factory, text):
    tokenizer = load_tokenizer(write_tokenizer(tmp_path_factory.mktemp("t") / "tok.bin", PIECES))
    assert text_of(tokenizer, tokenizer.encode(text)) == text


def test_incomplete_characters_are_held_back(small):
    stream = TextStream(small.decode_piece, 1)
    assert [stream.feed(3 + b) for b in "€".encode()] == ["", "", "€"]
    assert stream.feed(3 + 0xC3) == ""
    assert stream.feed(A) == "\ufffda"
    assert stream.feed(3 + 0xC3) == ""
    assert stream.finish() == "\ufffd"
    assert stream.text == "€\ufffda\ufffd"


def refused(path):
    with pytest.raises(ModelError) as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bad_files(tmp_path):
    path = write_tokenizer(tmp_path / "tok.bin", PIECES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "token 265 is cut off; the file is truncated" in refused(path)
    path.write_bytes(whole[:10])
    assert "token 0 is cut off" in refused(path)
    path.write_bytes(b"")
    assert "0 bytes are no llama2.c tokenizer" in refused(path)
    path.write_bytes(struct.pack("<ifi", 4, 0.0, 99) + bytes(99))
    assert "token 0 has 99 bytes, the header allows 0..4" in refused(path)
    path.write_bytes(struct.pack("<ifi", 4, 0.0, 4) + bytes(4))
    assert "1 tokens, fewer than the 259" in refused(path)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "is no tokenizer" in refused(tmp_path / "tokenizer.json")
    (tmp_path / "empty").mkdir()
    assert "has no tokenizer.json" in refused(tmp_path / "empty")


def test_beside_a_checkpoint(tmp_path):
    model = tmp_path / "model.bin"
    assert "name one with --tokenizer FILE" in refused(model)
    write_tokenizer(tmp_path / "tok40.bin", PIECES)
    assert load_tokenizer(model).vocabulary == 259 + len(PIECES)
    write_tokenizer(tmp_path / "tok41.bin", PIECES)
    assert "2 tokenizers lie beside" in refused(model)


TEXT = ["Once upon a time there was a little dog.", "The dog said: où est l'été? — déjà vu, 日本"] * 3


def byte_level(folder):
    """A tokenizer of bytes in disguise, as Llama 3 has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def sentence_piece(folder):
    """A tokenizer with spaces as U+2581 and bytes for the rest, as Llama 2 has it."""
    pieces = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{b:02X}>": 3 + b for b in range(256)}
    for piece in ("▁", "a", "b", "▁a", "▁b", "ab"):
        pieces[piece] = len(pieces)
    tokenizer = Tokenizer(
        models.BPE(
            pieces, [("▁", "a"), ("▁", "b"), ("a", "b")], unk_token="<unk>", byte_fallback=True, fuse_unk=True
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def word_piece(folder):
    """A decoder that joins pieces by rules of its own."""
    tokenizer = Tokenizer(models.WordPiece({"<s>": 0, "</s>": 1, "do": 2, "##g": 3, "a": 4, "[UNK]": 5}))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (byte_level, [*TEXT, "新しい", "x"]),
        (sentence_piece, ["a b ab", "été a", "日本 b", "a  b"]),
        (word_piece, ["a dog a dog"]),
    ],
)
def test_tokenizer_json(tmp_path, make, texts):
    make(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for text in texts:
        tokens = tokenizer.encode(text)
        assert tokens[0] == tokenizer.bos
        assert text_of(tokenizer, tokens) == text
    assert tokenizer.decode_piece(tokenizer.bos, tokenizer.eos) == b""


def test_bos_and_eos(tmp_path):
    byte_level(tmp_path)
    assert (load_tokenizer(tmp_path).bos, load_tokenizer(tmp_path).eos) == (1, 2)
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": {"content": "a"}, "eos_token": "b"})
    )
    by_name = load_tokenizer(tmp_path)
    assert by_name.decode_piece(0, by_name.bos) == b""
    assert (by_name.bos, by_name.eos) != (1, 2)
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 7, "eos_token_id": [9, 10]}))
    assert (load_tokenizer(tmp_path).bos, load_tokenizer(tmp_path).eos) == (7, 9)


def test_no_bos(tmp_path):
    Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1})).save(str(tmp_path / "tokenizer.json"))
    assert "no BOS token is named" in refused(tmp_path)


def test_stories260k():
    tokenizer = load_tokenizer(trained_model("stories260K"))
    tokens = tokenizer.encode("Once upon a time, Zoë said “no”.")
    assert tokens[:3] == [1, 403, 407]
    assert text_of(tokenizer, tokens) == "Once upon a time, Zoë said “no”."
