"""The model: its text is deterministic, varied and of a piece, its tokenizer loses nothing, its checkpoint is as declared."""

import itertools
import json
import random
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from models import tokenizer
from models.evaluate import FOLDER, Checkpoint, grams, held_out, loss, novelty, quantised, tell
from models.grammar import Character, expand
from models.plots import PLOTS, helping, things
from models.stories import HELD_OUT_SEED, LONGEST, SHORTEST, TEXT_SEED, stories, story
from models.words import BOYS, GIRLS, HE_ANIMALS, SHE_ANIMALS, TOYS

NAMES = {*GIRLS, *BOYS, *HE_ANIMALS, *SHE_ANIMALS}
RECORD = json.loads((FOLDER / "training.json").read_text())


def tokens_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", text)


def test_a_story_follows_from_its_seed_and_number():
    again = list(stories(5, 20))
    assert list(stories(5, 20)) == again
    assert story(5, 13) == again[13]
    assert list(stories(6, 20)) != again


def test_stories_are_varied():
    told = list(stories(7, 300))
    assert len(set(told)) == len(told)
    assert len({" ".join(t.split()[:12]) for t in told}) > 250
    once = sum(t.startswith("Once upon a time") for t in told)
    assert 150 < once < 240, once


@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_a_plot_is_told_in_clean_english(plot):
    for i in range(20):
        text = story(8, i, plot)
        assert SHORTEST <= len(text.split()) <= LONGEST
        assert not re.search(r"[\[\]{}|]|  |\bi\b| [,.!?]", text), text
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text), text
        assert text.count('"') % 2 == 0, text
        assert re.search(r'[.!?]"?$', text), text
        assert not re.search(r"[.!?] [a-z]|\. \"[a-z]", text), text


def test_the_lost_thing_is_the_one_that_is_found():
    for i in range(100):
        text = story(9, i, things.lost)
        called = r'"(?:[Oo]h no, w|W|w)here is my (\w+)|you seen my (\w+)|"My (\w+) is gone|(?:lost|find) my (\w+)!'
        asked = re.search(called, text)
        assert asked, text
        (lost,) = filter(None, asked.groups())
        before, after = text[: asked.start()], text[asked.end() :]
        assert lost in TOYS, text
        assert lost in tokens_of(before) and lost in tokens_of(after), text
        assert not (TOYS.keys() - {lost, "top"}) & set(tokens_of(text)), text


def test_a_mother_is_found_by_her_own_child():
    pairs = {"lamb": "sheep", "chick": "hen", "calf": "cow", "duckling": "duck", "puppy": "dog"}
    for i in range(50):
        text = story(9, i, helping.little_one)
        baby = next(b for b in pairs if re.search(rf"\b{b}\b", text))
        assert f"seen a {pairs[baby]}?" in text, text


def test_nobody_changes_name():
    """A story names two characters at most, and a pet; and its hero again and again."""
    for text in stories(10, 300):
        named = [w for w in tokens_of(text) if w in NAMES]
        assert len(set(named)) <= 3, text
        assert named.count(named[0]) >= 3, text


def test_pronouns_agree_where_one_speaks_alone():
    """In the plot with one hero and no second speaker, the other pronoun does not occur."""
    she = {n for n in (*GIRLS, *SHE_ANIMALS)}
    for i in range(100):
        text = story(11, i, things.broken)
        hero = next(w for w in tokens_of(text) if w in NAMES)
        adult = re.search(r"\b(Mom|Dad|Grandma|Grandpa)\b", text).group(1)
        sexes = {hero in she, adult in ("Mom", "Grandma")}
        if len(sexes) == 1:
            wrong = {"he", "him", "his"} if True in sexes else {"she", "her"}
            assert not wrong & {w.lower() for w in tokens_of(text)}, text


def test_templates():
    slots = {"hero": Character("Mia", "girl", True)}
    told = expand('"{hero} has [a|a] apple," i said. then {hero.he} saw a owl.', slots, random.Random(0))
    assert told == '"Mia has an apple," I said. Then she saw an owl.'
    seen = {expand("[a[b|c]|d]", {}, random.Random(i)) for i in range(50)}
    assert seen == {"Ab", "Ac", "D"}


def test_novelty_counts():
    assert novelty(["a b c"], ["a b c", "d " * 9]) == (0.5, 1.0)
    assert grams("one two three", 2) == {"one two", "two three"}
    text = "a b c d e f g h i"
    assert novelty([text], [text]) == (0.0, 0.0)


def test_held_out_stories_are_new():
    learnt = set(stories(TEXT_SEED, 1500))
    assert not learnt & set(stories(HELD_OUT_SEED, 300))


@pytest.mark.parametrize(
    "text",
    ["Once upon a time", "", " two  spaces\n\tand a tab ", "Grüße, 日本語, 🙂!", '"quoted," <s> </s>?'],
)
def test_the_tokenizer_loses_nothing(text):
    pieces = tokenizer.load(FOLDER)
    ids = pieces.encode(text, add_special_tokens=False).ids
    assert tokenizer.UNKNOWN_ID not in ids
    assert pieces.decode(ids, skip_special_tokens=False) == text


def test_the_tokenizer_knows_every_character():
    pieces = tokenizer.load(FOLDER)
    for start in range(0, 0x110000, 0x1000):
        text = "".join(
            map(chr, itertools.filterfalse(lambda c: 0xD800 <= c < 0xE000, range(start, start + 0x1000, 97)))
        )
        assert (
            pieces.decode(pieces.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)
            == text
        )


def test_special_tokens():
    pieces = tokenizer.load(FOLDER)
    assert pieces.get_vocab_size() == 512
    assert [pieces.id_to_token(i) for i in range(3)] == ["<unk>", "<s>", "</s>"]


def test_the_checkpoint_is_as_declared():
    config = json.loads((FOLDER / "config.json").read_text())
    assert (config["architectures"], config["model_type"]) == (["LlamaForCausalLM"], "llama")
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    weights = load_file(str(FOLDER / "model.safetensors"))
    layer = {
        "input_layernorm": (64,),
        "self_attn.q_proj": (64, 64),
        "self_attn.k_proj": (16, 64),
        "self_attn.v_proj": (16, 64),
        "self_attn.o_proj": (64, 64),
        "post_attention_layernorm": (64,),
        "mlp.gate_proj": (224, 64),
        "mlp.up_proj": (224, 64),
        "mlp.down_proj": (64, 224),
    }
    shapes = {f"model.layers.{i}.{n}.weight": s for i in range(3) for n, s in layer.items()}
    shapes |= {"model.embed_tokens.weight": (512, 64), "model.norm.weight": (64,)}
    assert {n: w.shape for n, w in weights.items()} == shapes
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights.values())
    assert sum(w.size for w in weights.values()) == 192960
    assert (FOLDER / "model.safetensors").stat().st_size < 2**20


def test_the_held_out_loss_is_the_recorded_one():
    model = Checkpoint.load(FOLDER)
    texts = held_out(FOLDER, 70, 256)[:50]
    exact = loss(model, texts)
    assert exact == pytest.approx(RECORD["held_out_loss_first_50"], abs=2e-3)
    assert loss(quantised(model, texts[:10]), texts) == pytest.approx(exact, abs=0.05)


def test_the_likeliest_story_ends():
    model = Checkpoint.load(FOLDER)
    pieces = tokenizer.load(FOLDER)
    prompt = [tokenizer.BEGIN_ID, *pieces.encode("Once upon a time", add_special_tokens=False).ids]
    told = tell(model, prompt, 0.0, 0)
    assert 100 < len(told) < 256
    assert told[-1] == tokenizer.END_ID
