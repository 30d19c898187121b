"""``lpu run``: text, figures, and bad input in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.models_tools import random_llama, trained_model, write_checkpoint, write_tokenizer
from tests.test_cli import refused, run

PIECES = [(b" ", 0.0), *((bytes([c]), -1.0) for c in range(97, 123))]


@pytest.fixture
def model(tmp_path):
    sizes, tensors = random_llama(
        np.random.default_rng(1), vocabulary=286, positions=12, interleaved=True, tied=False
    )
    write_tokenizer(tmp_path / "tok.bin", PIECES)
    return write_checkpoint(tmp_path / "m.bin", sizes, tensors)


def test_reference_target(capsys, model, tmp_path):
    out = tmp_path / "out.json"
    arguments = ("run", model, "--prompt", "abc", "--tokens", 5, "--target", "reference", "--json")
    code, text, _ = run(capsys, *arguments, out)
    assert code == 0
    figures = json.loads(out.read_text())
    assert text.startswith(figures["text"])
    assert figures["text"].startswith("abc")
    assert figures["prompt_tokens"] == [1, 259, 260, 261, 262]
    assert len(figures["tokens"]) == 5
    assert figures["cycles"] == figures["predicted_cycles"] == figures["mxm_busy"] == []
    assert figures["prefill_cycles"] is figures["predicted_prefill_cycles"] is None
    assert (figures["target"], figures["config"], figures["chips"]) == ("reference", "tiny", 1)
    code, text, _ = run(capsys, *arguments, "-")
    assert json.loads(text) == figures


def test_no_prompt_and_the_end_of_the_context(capsys, model):
    code, text, _ = run(capsys, "run", model, "--target", "reference", "--tokens", 99)
    assert code == 0
    assert "stopped after 12 of 99 tokens: all 12 positions are used" in text


def test_sampling_is_repeatable(capsys, model):
    def sampled(seed):
        sampling = ("--temperature", 1, "--top-p", 0.9, "--seed", seed)
        _, text, _ = run(
            capsys, "run", model, "--target", "reference", "--tokens", 8, *sampling, "--json", "-"
        )
        return json.loads(text)["tokens"]

    assert sampled(3) == sampled(3)
    assert len({tuple(sampled(s)) for s in range(4)}) > 1


def test_bad_input(capsys, model, tmp_path):
    def words(*arguments):
        return refused(capsys, "run", *arguments, "--target", "reference")

    assert "'none.bin' does not exist" in words("none.bin")
    assert "the context 12: " in words(model, "--prompt", "a" * 12)
    assert "temperature -1" in words(model, "--temperature", -1)
    assert "top-p 7" in words(model, "--top-p", 7)
    assert "0 is not in the range x>=1" in words(model, "--tokens", 0)
    write_tokenizer(tmp_path / "other", [*PIECES, (b"\xc3\xa9", 0.0)])
    (tmp_path / "other").rename(tmp_path / "tok-other")
    message = words(model, "--tokenizer", tmp_path / "tok-other", "--prompt", "é")
    assert "token 286 of the prompt is outside 0..285" in message
    (tmp_path / "tok.bin").unlink()
    (tmp_path / "tok-other").unlink()
    assert "name one with --tokenizer FILE" in words(model)
    model.write_bytes(model.read_bytes()[:-1])
    assert "it is truncated" in words(model)


def test_stories260k(capsys):
    model = trained_model("stories260K")
    code, text, _ = run(
        capsys, "run", model, "--prompt", "Once upon", "--tokens", 30, "--target", "reference"
    )
    assert code == 0
    assert text.startswith("Once upon a time, there was a little girl named Lily. She loved to play")


OWN = Path(__file__).parent.parent / "models" / "stories192k"


def test_several_chips_tell_the_same_story(capsys):
    arguments = (
        "run",
        OWN,
        "--config",
        "ecp5-85f",
        "--prompt",
        "Once upon a time",
        "--tokens",
        6,
        "--json",
        "-",
    )
    figures = [json.loads(run(capsys, *arguments, "--chips", n)[1]) for n in (1, 2)]
    assert figures[0]["tokens"] == figures[1]["tokens"]
    assert [f["chips"] for f in figures] == [1, 2]
    assert all(f["cycles"] == f["predicted_cycles"] for f in figures)


def test_several_texts_at_once(capsys, tmp_path):
    out = tmp_path / "two.json"
    prompts = ("--prompt", "Once upon a time", "--prompt", "One day")
    code, text, _ = run(
        capsys, "run", OWN, "--config", "ecp5-85f", *prompts, "--chips", 2, "--tokens", 5, "--json", out
    )
    figures = json.loads(out.read_text())
    assert code == 0 and "10 tokens of 2 texts on 2 chips" in text
    assert [len(t) for t in figures["tokens"]] == [5, 5]
    assert figures["text"][0].startswith("Once upon a time") and figures["text"][1].startswith("One day")
    assert "several texts at once need as many --chips" in refused(capsys, "run", OWN, *prompts)
    assert "no topology 'star'" in refused(capsys, "run", OWN, "--chips", 2, "--topology", "star")


def test_compile_for_several_chips(capsys, tmp_path):
    out = tmp_path / "two.lpus"
    code, text, _ = run(capsys, "compile", OWN, "--config", "ecp5-85f", "--chips", 2, "-o", out)
    assert code == 0 and out.exists()
    assert "chip 1: 14 operations, from layer 1" in text and "schedules and links proven" in text
    assert "cut layers: " in text
    code, text, _ = run(capsys, "report", out, "--cycles", "--chip", 1, "-o", tmp_path / "page.html")
    assert code == 0 and "decode at position 127 of chip 1: " in text and (tmp_path / "page.html").exists()
    assert "has chips 0 to 1" in refused(capsys, "report", out, "--cycles", "--chip", 2)
    assert "holds programs of several chips" in refused(capsys, "sim", out)
    words = refused(capsys, "compile", OWN, "--chips", 2, "-o", out, "--chunk", 2)
    assert "--report, --chunk and --position are for one chip" in words
