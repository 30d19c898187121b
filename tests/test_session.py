"""Sessions of a compiled model on a machine that is a table; sampling; formulas of cycles; generation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.numerics import from_float64, to_float64
from golden.reference import Reference
from golden.session import ReferenceSession
from lpu.arch import PRESETS, FloatFormat
from lpu.program import Program, ProgramError
from lpu.runtime.cycles import evaluate
from lpu.runtime.generate import Generation
from lpu.runtime.machine import Result, Violation, ViolationKind
from lpu.runtime.sampling import Sampler, SamplingError
from lpu.runtime.session import Session, SessionError, float_values
from lpu.timing import LOOP_CYCLES
from tests.models_tools import random_graph

TINY = PRESETS["tiny"]
VOCABULARY, POSITIONS, CHUNK = 6, 12, 4


class FakeMachine:
    """Keeps what it processed at each position; the next token is the current one plus three, modulo the vocabulary."""

    config = TINY

    def __init__(self):
        self.tokens, self.out, self.log = [], [], []
        self.seen = {}
        self.violation = None
        self.extra = 0

    def load(self, program):
        self.program = program

    def push_tokens(self, tokens):
        self.tokens += tokens

    def pop_tokens(self):
        out, self.out = self.out, []
        return out

    def run(self, entry="main", max_cycles=0):
        self.log.append(entry)
        if entry == "state":
            self.token, self.position, self.count = self.tokens[:3]
            del self.tokens[:3]
            return Result(3, None, 0)
        at = self.position
        if entry == "prefill":
            assert at % CHUNK == 0
            for n in range(CHUNK):
                self.seen[at + n] = self.tokens.pop(0)
            self.position += CHUNK
            return Result(100 + 2 * at + self.extra, self.violation, 40)
        cycles = LOOP_CYCLES
        for at in range(self.position, self.position + self.count):
            assert at < POSITIONS
            self.seen[at] = self.token
            self.token = (self.token + 3) % VOCABULARY
            self.out.append(self.token)
            cycles += 50 + 8 * (at // 4) - LOOP_CYCLES
        self.position += self.count
        self.logits = np.full(8, 0.0)
        self.logits[self.token] = 5.0
        return Result(cycles + self.extra, self.violation, 20 * self.count)

    def read_memory(self, name, start, count):
        assert (name, start, count) == ("mem0", 7, 2)
        return from_float64(TINY.float_format, self.logits).reshape(2, 4)


def program(prefill=True):
    model = {
        "vocabulary": VOCABULARY,
        "positions": POSITIONS,
        "chunk": CHUNK if prefill else 0,
        "logits": {"slice": "mem0", "word": 7, "count": 2},
    }
    entries = {"state": 0, "decode": 4} | ({"prefill": 8} if prefill else {})
    cycles = {"state": 3, "decode": "50 + 8 * (position // 4)", "prefill": "100 + 2 * position"}
    return Program(TINY, entries=entries, symbols={"model": model}, cycles=cycles)


def test_a_prompt_in_chunks():
    machine = FakeMachine()
    session = Session(machine, program())
    cost = session.start([1, 2, 3, 4, 5, 0])
    # Five tokens before the last: a whole chunk and one padded with zeros.
    assert machine.log == ["state", "prefill", "prefill", "state"]
    assert machine.seen == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 0, 6: 0, 7: 0}
    assert (cost.cycles, cost.predicted) == (100 + 108, 100 + 108)
    steps = [session.step() for _ in range(3)]
    assert [s.token for s in steps] == [3, 0, 3]
    assert {p: machine.seen[p] for p in (5, 6, 7)} == {5: 0, 6: 3, 7: 0}
    assert [s.cycles for s in steps] == [58, 58, 58]
    assert [s.predicted for s in steps] == [58, 58, 58]
    assert steps[0].passes == 20
    # The state goes from step to step within the machine.
    assert machine.log[4:] == ["decode"] * 3
    machine.extra = 1
    assert session.step().cycles == 67


def test_a_prompt_without_prefill():
    machine = FakeMachine()
    session = Session(machine, program(prefill=False))
    cost = session.start([1, 4, 2, 0])
    # 4 follows 1 by itself.
    assert machine.log == ["state", "decode", "decode", "state", "decode", "state"]
    assert machine.seen == {0: 1, 1: 4, 2: 2}
    assert cost.cycles == cost.predicted == 150
    assert session.step().token == 3
    session.start([5])
    assert session.step().token == 2
    assert machine.seen[0] == 5


def test_sampling_sets_the_state():
    machine = FakeMachine()
    session = Session(machine, program())

    class Second(Sampler):
        def choose(self, logits):
            assert len(logits) == VOCABULARY
            return int(np.argsort(-logits, kind="stable")[1])

    session.start([2])
    assert session.step(Second(1.0)).token == 0
    assert (machine.token, machine.position) == (0, 1)
    assert session.step(Second(1.0)).token == 0
    assert machine.seen == {0: 2, 1: 0}


def test_a_burst():
    machine = FakeMachine()
    session = Session(machine, program())
    session.start([1, 2])
    burst = session.burst(3)
    assert burst.tokens == (5, 2, 5)
    assert machine.seen == {0: 1, 1: 2, 2: 5, 3: 2}
    assert burst.cycles == burst.predicted == 3 * 50 - 2 * LOOP_CYCLES
    assert burst.passes == 60
    # What follows goes on from there.
    assert session.step().token == 2
    assert machine.seen[4] == 5
    room = min(TINY.token_fifo, POSITIONS - 5)
    assert f"1 to {room} are possible at position 5" in refused(session.burst, room + 1)


def refused(call, *arguments):
    with pytest.raises(SessionError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_refused():
    machine = FakeMachine()
    session = Session(machine, program())
    assert "13 tokens, the context 12: 1 too many" in refused(session.start, [1] * 13)
    assert "token 6 of the prompt is outside 0..5" in refused(session.start, [1, 6])
    assert "no token" in refused(session.start, [])
    assert "no language model" in refused(Session, machine, Program(TINY))
    session.start([1])
    machine.violation = Violation(41, 3, ViolationKind.NO_OPERAND)
    message = refused(session.step)
    assert "decode at position 0 violated its schedule: NO_OPERAND at" in message
    assert "in cycle 41" in message
    machine.violation = None
    machine.out = [1]
    assert "pushed [1, 1]" in refused(session.step)


@pytest.mark.parametrize("length", [1, 3, 12])
def test_generation_ends_with_the_positions(length):
    for engine in (
        Session(FakeMachine(), program()),
        ReferenceSession(random_graph(np.random.default_rng(1), positions=12)),
    ):
        run = Generation(engine, [1] * length, 99, Sampler())
        assert len(list(run.steps())) == 12 - length + 1
        assert run.stopped == "all 12 positions are used"
        assert "all 12 positions" in refused(engine.step)


def test_generation_ends_where_asked_or_with_the_text():
    run = Generation(Session(FakeMachine(), program()), [1], 4, Sampler())
    assert [s.token for s in run.steps()] == [4, 1, 4, 1]
    assert run.stopped is None
    run = Generation(Session(FakeMachine(), program()), [2], 4, Sampler(), {2})
    assert [s.token for s in run.steps()] == [5, 2]
    assert run.stopped == "the text ended (token 2)"


def test_the_reference_session_follows_its_graph():
    graph = random_graph(np.random.default_rng(2))
    session = ReferenceSession(graph)
    session.start([1, 2, 3])
    wanted = Reference(graph).greedy([1, 2, 3], 5)
    assert [session.step().token for _ in range(5)] == wanted
    assert refused(session.start, [1, 99]).startswith("token 99 of the prompt")


@pytest.mark.parametrize("fmt", [FloatFormat(8, 17), FloatFormat(8, 23), FloatFormat(5, 7)])
def test_words_are_read_as_the_golden_model_does(fmt):
    words = np.random.default_rng(3).integers(0, 1 << 32, 5000, dtype=np.uint32)
    np.testing.assert_array_equal(float_values(fmt, words), to_float64(fmt, words))


def test_sampler():
    logits = np.log([0.1, 0.2, 0.4, 0.3])
    assert Sampler().choose(logits) == 2
    assert Sampler().choose([1.0, 3.0, 3.0]) == 1
    assert Sampler().choose([np.nan, 1.0]) == 1
    draws = [Sampler(1.0, seed=s).choose(logits) for s in range(50)]
    assert draws == [Sampler(1.0, seed=s).choose(logits) for s in range(50)]
    sampler = Sampler(1.0, seed=4)
    share = np.bincount([sampler.choose(logits) for _ in range(20000)], minlength=4) / 20000
    np.testing.assert_allclose(share, [0.1, 0.2, 0.4, 0.3], atol=0.015)
    sampler = Sampler(1.0, 0.6, seed=5)
    share = np.bincount([sampler.choose(logits) for _ in range(20000)], minlength=4) / 20000
    np.testing.assert_allclose(share, [0, 0, 4 / 7, 3 / 7], atol=0.015)
    assert {Sampler(1.0, 1e-9, s).choose(logits) for s in range(20)} == {2}
    assert Sampler(1e-6, seed=1).choose(logits) == 2
    assert Sampler(1.0).choose([-np.inf, -np.inf]) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((-1.0,), "temperature -1"),
        ((np.nan,), "temperature nan"),
        ((1.0, 0.0), "top-p 0"),
        ((1.0, 1.5), "top-p 1.5"),
        ((1.0, 1.0, -3), "seed -3"),
    ],
)
def test_settings_that_cannot_be_sampled_with(settings, words):
    with pytest.raises(SamplingError, match=words):
        Sampler(*settings)


@given(p=st.integers(0, 1000))
def test_formulas(p):
    assert evaluate(7) == 7
    assert evaluate("1 + 2 * position - -3", position=p) == 1 + 2 * p + 3
    assert evaluate("(position + 15 >> 4) * 20 + position // 3", position=p) == (p + 15 >> 4) * 20 + p // 3


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "1 +",
        "x",
        "position ** 2",
        "f(1)",
        "1.5",
        "True",
        "position // 0",
        "1 if 1 else 2",
        "__import__('os')",
        "1 >> -1",
        "a.b",
        "[1]",
    ],
)
def test_formulas_that_are_none(formula):
    with pytest.raises(ProgramError) as caught:
        evaluate(formula, position=3)
    assert "\n" not in str(caught.value)
    assert repr(formula) in str(caught.value)
