"""Reduction across lanes, and over vectors in running accumulators."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig, clog2
from lpu.isa import Reduction
from lpu.timing import reduce_result
from rtl.adder import AddOrCompare
from rtl.sram import RegisterFile
from rtl.streams import delayed

#: Bits of an ARGMAX index, vectors of the run included.
INDEX_BITS = 32
#: Key below all others, as a signed number.
LOWEST = 1 << 31


def order_key(word: Value, floats: Value) -> Value:
    """The signed number by which a word is ordered: itself, or for floats one that orders them by sign and magnitude.

    The same function leads back: it turns the lower bits of negative floats over.
    """
    return Cat(word[:31] ^ (word[31] & floats).replicate(31), word[31])


class Reducer(wiring.Component):
    """The tree, one level a cycle, and the running accumulators behind it.

    Cycle 2 (of REDUCE): ``value`` stands at the input, masking and level 1. Cycle 1 + levels: the last level; meanwhile
    the accumulator is fetched. Cycle 2 + levels (reduce_result - 1): combined, written back, ``result``.

    Members
    -------
    valid, how, acc, clear, mask : In, cycle 0. value : In, cycle 2, lanes x 32.
    result : Out, the word for every lane.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        super().__init__(
            {
                "valid": In(1),
                "how": In(clog2(max(Reduction) + 1)),
                "acc": In(range(config.reduce_accumulators)),
                "clear": In(1),
                "mask": In(config.lanes),
                "value": In(data.ArrayLayout(32, config.lanes)),
                "result": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        levels = clog2(config.lanes)
        how = Reduction
        # Cycle 2: lanes outside the mask become the lowest key (0 for SUM and FABSMAX).
        is_sum = delayed(m, self.how == how.SUM, 2)
        is_magnitude = delayed(m, self.how == how.FABSMAX, 2)
        floats = delayed(m, (self.how == how.FMAX) | (self.how == how.FARGMAX), 2)
        mask = delayed(m, self.mask, 2)
        keys: list[Value] = []
        for lane in range(config.lanes):
            key = Signal(32, name=f"key{lane}")
            masked = order_key(self.value[lane], floats)
            top = Mux(mask[lane], masked[31] & ~is_magnitude, ~(is_sum | is_magnitude))
            m.d.comb += key.eq(Cat(Mux(mask[lane], masked[:31], 0), top))
            keys.append(key)

        # Cycles 2 to 1 + levels: the tree.
        indices: list[Value] = [Const(0, 0)] * config.lanes
        for level in range(levels):
            pairs = []
            for n in range(0, len(keys), 2):
                low, high, low_index, high_index = *keys[n : n + 2], *indices[n : n + 2]
                key = Signal(32, name=f"level{level}_{n // 2}", reset_less=True)
                index = Signal(level + 1, name=f"index{level}_{n // 2}", reset_less=True)
                m.submodules[f"node{level}_{n // 2}"] = node = AddOrCompare(width=32)
                m.d.comb += [node.a.eq(low), node.b.eq(high), node.compare.eq(~is_sum)]
                greater = node.greater
                m.d.sync += [
                    key.eq(Mux(is_sum, node.total, Mux(greater, high, low))),
                    # Of a sum nobody asks for the index.
                    index.eq(Cat(Mux(greater, high_index, low_index), greater)),
                ]
                pairs.append((key, index))
            keys, indices = [p[0] for p in pairs], [p[1] for p in pairs]
            is_sum, floats = delayed(m, is_sum, 1), delayed(m, floats, 1)
        self._accumulate(m, keys[0], indices[0], is_sum, floats)
        return m

    def _accumulate(self, m: Module, key: Value, index: Value, is_sum: Value, floats: Value) -> None:
        """Cycle 2 + levels: the tree's result meets the running one."""
        config = self._config
        last = reduce_result(config) - 1
        state = data.StructLayout({"word": 32, "index": INDEX_BITS, "vectors": INDEX_BITS - len(index)})
        m.submodules.running = running = RegisterFile(
            depth=config.reduce_accumulators, width=state.size, reads=1
        )
        acc1, acc = delayed(m, self.acc, last - 1), delayed(m, self.acc, last)
        # A cycle before: fetch. An accumulator that is being written comes round the register file.
        writing = delayed(m, self.valid, last, reset_less=False)
        stored, result = data.View(state, running.read_data0), Signal(state)
        fetched, held = Signal(state), Signal(state, reset_less=True)
        held_key = Signal(32, reset_less=True)
        clear1 = delayed(m, self.clear, last - 1)
        sum1 = delayed(m, self.how == Reduction.SUM, last - 1)
        floats1 = delayed(m, (self.how == Reduction.FMAX) | (self.how == Reduction.FARGMAX), last - 1)
        m.d.comb += [
            running.read_address0.eq(acc1),
            fetched.eq(Mux(writing & (acc == acc1), result.as_value(), stored.as_value())),
        ]
        with m.If(clear1):
            m.d.sync += [held.eq(0), held_key.eq(Mux(sum1, 0, LOWEST))]
        with m.Else():
            m.d.sync += [held.eq(fetched), held_key.eq(order_key(fetched.word, floats1))]
        # Cycle 2 + levels: combine.
        m.submodules.combine = combine = AddOrCompare(width=32)
        m.d.comb += [combine.a.eq(held_key), combine.b.eq(key), combine.compare.eq(~is_sum)]
        is_index = delayed(m, (self.how == Reduction.ARGMAX) | (self.how == Reduction.FARGMAX), last)
        m.d.comb += [
            result.vectors.eq(held.vectors + 1),
            running.write_address.eq(acc),
            running.write_data.eq(result),
            running.write_enable.eq(writing),
            self.result.eq(Mux(is_index, result.index, result.word)),
        ]
        with m.If(is_sum):
            m.d.comb += [result.word.eq(combine.total), result.index.eq(0)]
        with m.Elif(combine.greater):
            m.d.comb += [result.word.eq(order_key(key, floats)), result.index.eq(Cat(index, held.vectors))]
        with m.Else():
            m.d.comb += [result.word.eq(order_key(held_key, floats)), result.index.eq(held.index)]
