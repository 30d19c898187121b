"""Networks cut over several chips, on golden systems: every token as the emulation's, every cycle as predicted."""

import itertools
import json
import zipfile
from dataclasses import replace

import pytest

from golden.emulate import Emulation
from golden.system import System
from lpu.arch import PRESETS
from lpu.compiler.builder import ScheduleError
from lpu.compiler.chips import compile_system
from lpu.compiler.chips.cut import choose, costs, parts, seams
from lpu.compiler.chips.inside import halved
from lpu.compiler.chips.prove import prove_system
from lpu.compiler.graph import GraphError
from lpu.compiler.model import compile_model
from lpu.compiler.place import FitError
from lpu.compiler.quantised import Arrival, Gather, Logits
from lpu.program import ProgramError
from lpu.runtime.session import SessionError
from lpu.runtime.system import SystemSession
from lpu.system import SystemProgram
from lpu.topology import TopologyError, line, ring
from tests.quantised_tools import Shape, random_quantised, tile_config

EIGHT = tile_config(8, 4).linked()
DEEP = Shape(layers=4, positions=40)


def told(graph, config, chips, prompts, count, **options):
    """Tokens by sequence from a golden system, ``count`` rounds in runs of at most three; checks every cycle count."""
    program = compile_system(graph, config, chips, sequences=len(prompts), **options)
    session = SystemSession(System(config, program.topology), program)
    cycles, predicted = session.start(prompts)
    assert cycles == predicted
    tokens = [[] for _ in prompts]
    while len(tokens[0]) < count:
        done = session.rounds(min(3, count - len(tokens[0]), config.token_fifo // len(prompts)))
        assert done.cycles == done.predicted
        for mine, new in zip(tokens, done.tokens, strict=True):
            mine += new
    return tokens


def expected(graph, config, prompts, count):
    return [Emulation(graph, config.float_format).greedy(prompt, count) for prompt in prompts]


@pytest.mark.parametrize(
    ("config", "shape", "chips", "topology", "lengths"),
    [
        (EIGHT, DEEP, 2, None, [3]),
        (EIGHT, DEEP, 2, line, [1, 5]),
        (EIGHT, DEEP, 3, None, [4, 1, 2]),
        (EIGHT, DEEP, 3, line, [2, 4]),
        (EIGHT, DEEP, 9, None, [2]),
        (EIGHT, DEEP, 5, line, [1]),
        (
            EIGHT,
            replace(DEEP, dim=30, heads=3, kv_heads=3, head_dim=6, interleaved=True),
            4,
            None,
            [3, 3, 3, 3],
        ),
        (
            tile_config(4, 2).linked(),
            Shape(dim=9, hidden=13, layers=3, positions=26, rotary=False),
            3,
            None,
            [2, 1],
        ),
        (tile_config(16, 8).linked(), Shape(40, 100, 6, 3, 6, 300, 40, 2, tied=True), 2, None, [5]),
        (PRESETS["ecp5-85f"].linked(), Shape(48, 100, 6, 2, 8, 70, 33, 2), 2, None, [2, 9]),
    ],
    ids=lambda x: x.name if hasattr(x, "name") else str(x) if isinstance(x, int | list) else None,
)
def test_every_token_of_every_sequence(config, shape, chips, topology, lengths):
    graph = random_quantised(shape)
    prompts = [[(5 * s + 3 * n + 1) % shape.vocabulary for n in range(k)] for s, k in enumerate(lengths)]
    count = min(shape.positions - max(lengths), 2 * config.lanes + 3)
    options = {"topology": topology(chips)} if topology else {}
    assert told(graph, config, chips, prompts, count, **options) == expected(graph, config, prompts, count)


def test_any_cut_gives_the_same_tokens():
    graph = random_quantised(replace(DEEP, layers=2))
    wanted = expected(graph, EIGHT, [[1, 2]], 6)
    for cut in seams(graph):
        assert told(graph, EIGHT, 2, [[1, 2]], 6, cuts=[cut]) == wanted


def test_four_chips_and_four_sequences():
    """Three times the tokens of one sequence, and more."""
    graph = random_quantised(Shape(64, 172, 8, 4, 8, 512, positions=128, layers=8))
    one, four = (compile_system(graph, PRESETS["sim16"].linked(), 4, sequences=n).slots for n in (1, 4))
    assert 4 * one.cycles(16, 0) > 3 * four.cycles(16, 0)


@pytest.mark.slow
def test_a_ring_of_65_chips():
    """Nine million weights, a layer's attention on one chip and its network on the next."""
    shape = Shape(128, 640, 8, 2, 16, vocabulary=512, positions=48, layers=32)
    config = PRESETS["ecp5-85f"].linked()
    graph = random_quantised(shape)
    assert told(graph, config, 65, [[1, 2, 3]], 4) == expected(graph, config, [[1, 2, 3]], 4)
    with pytest.raises(GraphError):
        compile_system(graph, config, 64)


def test_eight_chips_and_eight_sequences():
    graph = random_quantised(replace(DEEP, layers=8))
    prompts = [[n + 1, 2 * n] for n in range(8)]
    assert told(graph, EIGHT, 8, prompts, 4) == expected(graph, EIGHT, prompts, 4)


def test_parts_cover_the_graph_once():
    graph = random_quantised(DEEP)
    for chips in range(2, 9):
        shares = parts(graph, choose(graph, EIGHT, chips, 1))
        own = [op for share in shares for op in share.graph.ops if not isinstance(op, Arrival)]
        assert own == list(graph.ops) and len(shares) == chips
        assert isinstance(shares[0].graph.ops[0], Gather) and isinstance(shares[-1].graph.ops[-1], Logits)
        for before, after in itertools.pairwise(shares):
            assert before.departs == after.arrives is not None
        assert shares[-1].departs is shares[0].arrives is None


def test_a_cut_keeps_the_slowest_chip_fast():
    """No choice of two cuts makes the slowest of three chips faster, by the cost model."""
    graph = random_quantised(DEEP)
    cycles = [c.cycles for c in costs(graph, EIGHT, 1)]

    def slowest(cuts):
        ends = [0, *cuts, len(cycles)]
        return max(sum(cycles[a:b]) for a, b in itertools.pairwise(ends))

    best = min(slowest([a, b]) for a in seams(graph) for b in seams(graph) if a < b)
    assert slowest(choose(graph, EIGHT, 3, 1)) == best


def test_contexts_of_the_cost_model_are_those_that_are_used():
    graph = random_quantised(DEEP)
    program = compile_system(graph, EIGHT, 2, sequences=2)
    used = sum(count for p in program.programs for _, count, _ in p.symbols["contexts"])
    assert used == sum(c.contexts for c in costs(graph, EIGHT, 2))


def test_several_sequences_keep_chips_busy():
    """Two sequences on two chips take little longer than one."""
    graph = random_quantised(DEEP)
    one, two = (compile_system(graph, EIGHT, 2, sequences=n).slots for n in (1, 2))
    rounds = 8
    assert one.cycles(rounds, 0) * 2 > 1.6 * (two.cycles(rounds, 0))
    assert one.lead == 0 and two.lead == 1


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (EIGHT, Shape(layers=2, positions=40, hidden=40)),
        (tile_config(4, 2).linked(), Shape(dim=9, hidden=13, layers=3, positions=14, tied=True)),
        (tile_config(8, 8).linked(), Shape(dim=70, hidden=100, layers=1, positions=10)),
    ],
    ids=lambda x: x.name if hasattr(x, "name") else "",
)
def test_halves_of_every_layer(config, shape):
    graph = random_quantised(shape)
    whole, prompt = halved(graph, config.lanes), [1, 2, 3]
    count = min(2 * config.lanes, shape.positions - 3)
    assert told(graph, config, 2, [prompt], count, cut="inside") == expected(whole, config, [prompt], count)


def test_large_networks_gain_by_halves():
    """A layer-heavy network takes fewer cycles on two chips than on one that is big enough, and auto finds that out."""
    config = replace(PRESETS["sim16"], contexts=8192).linked()
    graph = random_quantised(Shape(64, 2048, 8, 4, 8, 512, positions=32, layers=2))
    program = compile_system(graph, config, 2)
    alone = compile_model(graph, config, chunk=1).cycles["decode"]
    assert program.slots.cycles(1, 0) == 3270 and alone.startswith("4114 ")
    assert program.symbols["why"].startswith("cut inside: 3,302 cycles a token; cut layers: ")
    small = compile_system(random_quantised(DEEP), EIGHT, 2)
    assert small.symbols["why"].startswith("cut layers: ")
    with pytest.raises(GraphError, match="has 6 inputs, too few to be halved on 8 lanes: cut by layers"):
        compile_system(random_quantised(Shape(hidden=6)), EIGHT, 2, cut="inside")
    with pytest.raises(GraphError, match="a cut inside layers for 3 chips and 1 sequences: it takes 2 and 1"):
        compile_system(graph, config, 3, cut="inside")


def test_the_proof_finds_what_does_not_fit():
    """One word of one chip a cycle late, another SEND, a slot too long: each is found."""
    graph = random_quantised(DEEP)

    def broken(queue, op, change):
        program = compile_system(graph, EIGHT, 2)
        words = program.programs[1].queues[queue]
        n = next(n for n, w in enumerate(words) if w.op == op)
        change(words, n)
        with pytest.raises(ScheduleError) as caught:
            prove_system(program)
        return str(caught.value)

    def later(words, n):
        words[n - 1] = replace(words[n - 1], gap=words[n - 1].gap + 1)

    def twice(words, n):
        words[n] = replace(words[n], count=2)
        words[n + 1] = replace(words[n + 1], gap=max(0, words[n + 1].gap - 1))

    assert "chip 1 at position 0" in broken("c2c0.link", "RECEIVE", later)
    assert "takes" in broken("c2c0.link", "NOTIFY", later)
    assert broken("c2c0.link", "SEND", twice)


def test_what_is_refused():
    graph = random_quantised(DEEP)
    with pytest.raises(
        GraphError, match="ring of 3 chips needs 2 links a chip, 8 lanes has 0: use 8 lanes-linked"
    ):
        compile_system(graph, tile_config(8, 4), 3)
    with pytest.raises(GraphError, match="3 sequences on 2 chips: use 2 chips or more, and 1 sequence to 2"):
        compile_system(graph, EIGHT, 2, sequences=3)
    with pytest.raises(
        GraphError, match="on 12 chips: it can be cut in 9 places, which is enough for 10; use fewer"
    ):
        compile_system(graph, EIGHT, 12)
    with pytest.raises(TopologyError, match="no cable from chip 1 to chip 2"):
        compile_system(graph, EIGHT, 3, topology=_star())
    small = tile_config(8, 4, contexts=32).linked()
    with pytest.raises(
        FitError,
        match=r"does not fit 2 chips of 8 lanes-linked: it needs \d+ MXM contexts where there are 64",
    ):
        compile_system(graph, small, 2)
    with pytest.raises(FitError, match=r"chip 0: .* does not fit"):
        compile_system(graph, tile_config(8, 4, "host mem:32 sxm mxm vxm mem:1024").linked(), 2)


def _star():
    from lpu.topology import Cable, End, Topology

    return Topology("star", 3, (Cable(End(0, 0), End(1, 0)), Cable(End(0, 1), End(2, 0))))


def test_sessions_refuse_in_one_line():
    graph = random_quantised(DEEP)
    program = compile_system(graph, EIGHT, 2, sequences=2)
    session = SystemSession(System(EIGHT, program.topology), program)
    with pytest.raises(SessionError, match="1 prompts, the program takes 2: one for each sequence"):
        session.start([[1]])
    with pytest.raises(SessionError, match="the prompt has 41 tokens, the context 40: 1 too many"):
        session.start([[1], [1] * 41])
    with pytest.raises(SessionError, match="token 30 of the prompt is outside"):
        session.start([[1], [30]])
    session.start([[1] * 40, [1]])
    session.step()
    with pytest.raises(SessionError, match="all 40 positions are used"):
        session.step()
    with pytest.raises(SessionError, match="9 tokens in one run: 1 to 8 are possible"):
        session.start([[1], [2]])
        session.rounds(9)
    with pytest.raises(SessionError, match="compile for one"):
        session.choose(3)


def test_a_chosen_token_is_the_next_ones_input():
    graph = random_quantised(DEEP)
    program = compile_system(graph, EIGHT, 2)
    session = SystemSession(System(EIGHT, program.topology), program)
    session.start([[1, 2]])
    session.step()
    session.choose(7)
    emulation = Emulation(graph, EIGHT.float_format)
    emulation.extend([1, 2])
    words = emulation.step(7)
    assert session.step().tokens == (Emulation(graph, EIGHT.float_format).greedy([1, 2, 7], 1)[0],)
    assert len(session.logits()) == len(words)


def test_system_files(tmp_path):
    graph = random_quantised(DEEP)
    program = compile_system(graph, EIGHT, 3, sequences=2)
    path = tmp_path / "three.lpus"
    program.save(path)
    again = SystemProgram.load(path)
    assert again.slots == program.slots and again.topology == ring(3) and again.symbols == program.symbols
    assert [p.queues for p in again.programs] == [p.queues for p in program.programs]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProgramError, match="not a whole system file"):
        SystemProgram.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("system.json", json.dumps({"format": "other"}))
    with pytest.raises(ProgramError, match="format is 'other'"):
        SystemProgram.load(path)
    with pytest.raises(ProgramError, match="cannot read system"):
        SystemProgram.load(tmp_path / "none")
