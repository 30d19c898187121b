"""Flows: offsets from latencies and hops, choices of streams, and contradictions."""

import pytest

from lpu import timing
from lpu.arch import PRESETS, TileConfig, parse_floorplan
from lpu.compiler.flow import Flow, routes
from lpu.compiler.graph import GraphError
from lpu.isa import Destination, Operand, Quantise, Source, east, west

#: host0 mem0 sxm0 mxm0 vxm0 mem1 at positions 0 to 5, two word streams each way, two beats.
TINY = PRESETS["tiny"]


def scaled(count=1, interval=1, config=TINY):
    """DRAIN -> CHAIN times a constant of mem1 -> activation buffer."""
    flow = Flow(config, "test", interval)
    drain = flow.step("mxm0.drain", "DRAIN", count=count, strides={"acc": 1}, acc=0, dst=0)
    chain = flow.step(
        "vxm0.chain",
        "CHAIN",
        count=count,
        a=Source.INT32,
        b=Operand.STREAM,
        q=Quantise.INT8,
        to=Destination.STREAM,
    )
    read = flow.step("mem1.read", "READ", count=count, strides={"addr": 1}, addr=3, dst=0)
    load = flow.step("mxm0.load", "LA", count=count, strides={"act": 1}, act=0, src=0, mask=0)
    flow.net(drain, (chain, "a_at"))
    flow.net(read, (chain, "b_at"))
    flow.net(chain, (load, "src"), bytes=1)
    return flow, drain, chain, read, load


def test_offsets_by_hand():
    flow, drain, chain, read, load = scaled()
    flow.settle()
    # DRAIN's result is there in cycle 1, at vxm0 in 2, sampled one cycle behind the chain's dispatch.
    assert (drain.at, chain.at) == (0, 1)
    # b is sampled as the multiplier starts less one: 1 + 1 + 3 - 1; the word comes from READ's cycle 2 and one hop.
    assert read.at == chain.at + 4 - 1 - 2 == 2
    # Convert, multiply, quantise and two beats: 2 + 3 + 3 + 2 + 2, a hop, sampled one cycle after dispatch.
    assert load.at == chain.at + 12 + 1 - 1 == 13


def test_the_earliest_step_is_cycle_zero():
    flow = Flow(TINY, "test")
    chain = flow.step("vxm0.chain", "CHAIN", b=Operand.STREAM, to=Destination.REG)
    for name in ("a_at", "b_at"):
        read = flow.step("mem1.read" if name == "b_at" else "mem0.read", "READ", addr=0, dst=0)
        flow.net(read, (chain, name))
    flow.settle()
    # a from mem0: three hops; b from mem1: one hop, but wanted no earlier than the multiplier.
    assert [s.at for s in flow.steps] == [4, 0, 2]


def test_a_step_for_part_of_a_run_comes_by_so_many_intervals_later():
    flow = Flow(TINY, "test", 2)
    read = flow.step("mem0.read", "READ", count=5, addr=0, dst=0)
    first = flow.step("sxm0.reduce", "REDUCE", count=2, src=0, dst=0)
    rest = flow.step("sxm0.reduce", "REDUCE", first=2, count=3, src=0, dst=0)
    scalar = flow.step("sxm0.move", "ROTATE", first=4, n=1, src=0, dst=0)
    flow.net(read, (first, "src"), (rest, "src"), (scalar, "src", False))
    flow.settle()
    assert (first.at, rest.at - first.at) == (2, 4)
    # Where a scalar begins, the number within the run does not count.
    assert scalar.at == first.at


def test_contradictory_nets():
    flow, drain, _, _, load = scaled()
    drain.at, load.at = 0, 12
    with pytest.raises(ValueError, match=r"test: .* is asked for twice"):
        flow.settle()
    flow = Flow(TINY, "test")
    for _ in range(2):
        flow.step("mem0.read", "READ", addr=0, dst=0)
    with pytest.raises(ValueError, match="tied to nothing"):
        flow.settle()
    flow = Flow(TINY, "test")
    for at in (0, 1):
        flow.step("mem0.read", "READ", at=at, count=2, addr=0, dst=0)
    with pytest.raises(ValueError, match=r"two words of one flow meet in mem0\.read"):
        list(flow.variants())
    flow = Flow(TINY, "test")
    write = flow.step("mem0.write", "WRITE", addr=0, src=0, mask=0)
    flow.net(write, (flow.step("mxm0.load", "LA", act=0, src=0, mask=0), "src"))
    with pytest.raises(ValueError, match="WRITE has no result"):
        flow.settle()


def test_variants_are_all_choices_of_streams():
    flow, *_ = scaled()
    found = list(flow.variants())
    codes = {
        (x[1][2].args["a_at"], x[1][2].args["b_at"], x[3][2].args["src"]) for x in (v.steps for v in found)
    }
    bytes_ = {west(0), west(2), west(4), west(6)}
    # The result leaves on other streams than the constant comes on or in other cycles: one chain meets nothing.
    assert codes == {(a, b, c) for a in (east(0), east(4)) for b in (west(0), west(4)) for c in bytes_}
    for variant in found:
        drain, chain, read, load = (x for _, _, x in variant.steps)
        assert drain.args["dst"] == chain.args["a_at"] and read.args["dst"] == chain.args["b_at"]
        assert chain.args["to_at"] == load.args["src"]


@pytest.mark.parametrize("late", [0, 1])
def test_nets_that_meet_are_left_out(late):
    """A word from mem0 passes the array in the very cycle in which it drains, or one later."""
    flow = Flow(TINY, "test")
    read = flow.step("mem0.read", "READ", at=0, addr=0, dst=0)
    drain = flow.step(
        "mxm0.drain", "DRAIN", at=timing.READ_RESULT + 2 - timing.DRAIN_RESULT + late, acc=0, dst=0
    )
    flow.net(read, (flow.step("mem1.write", "WRITE", addr=0, src=0, mask=0), "src"))
    flow.net(drain, (flow.step("vxm0.chain", "CHAIN", to=Destination.REG), "a_at"))
    codes = {(v.steps[0][2].args["dst"], v.steps[1][2].args["dst"]) for v in flow.variants()}
    assert ((east(0), east(0)) in codes) == bool(late)
    assert (east(0), east(4)) in codes


def test_a_polite_flow_leaves_the_last_word_stream():
    flow, *_ = scaled()
    flow.polite = True
    assert {v.steps[0][2].args["dst"] for v in flow.variants()} == {east(0)}


def test_no_route():
    config = TileConfig("few", 4, 4, 32, parse_floorplan("host mem:16 sxm mxm<e1>e0 vxm<e1> mem:16"))
    with pytest.raises(
        GraphError, match="few has no stream from mxm0 to vxm0, which test needs: widen their taps"
    ):
        list(scaled(config=config)[0].variants())
    assert routes(TINY, "vxm0", ("mxm0", "mem0")) == [west(0), west(4)]
    assert routes(TINY, "mxm0", ("mem0", "vxm0")) == []


def test_uses_of_stages_and_streams():
    flow, *_ = scaled()
    variant = next(iter(flow.variants()))
    uses = {place: (first, bits) for place, first, bits in variant.uses}
    t = timing.chain(variant.steps[1][2].args, TINY)
    # Two beats in every stage; the diagonal of a stream is its time less its place for what flows east.
    assert uses["vxm0", "multiply"] == (1 + t.multiply, 0b11)
    assert uses["vxm0", "quantise"] == (1 + t.quantise, 0b11)
    assert ("vxm0", "add") not in uses
    assert uses["stream", variant.steps[0][2].args["dst"]] == (1 - TINY.position("mxm0"), 1)
