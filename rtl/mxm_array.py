"""The systolic array of an MXM: rows of weight SRAMs, multipliers and adders."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from rtl.multiply import MultiplyPair
from rtl.sram import Sram


def sum_width(rows: int) -> int:
    """Bits of a sum of so many products of int8: -128 * -128 = 2**14 is the largest in magnitude."""
    return 15 + rows.bit_length()


def weight_write(config: TileConfig) -> wiring.Signature:
    """A vector on its way down the rows to be written as weights (LWR, LWC).

    The vector enters row 0 rotated up by ``line`` lanes and is rotated down by one lane on its way to each next row. So
    row ``line`` sees it as it was (LWR: one row, all columns), and column ``line`` sees lane r in row r (LWC: one column,
    all rows), and neither needs a multiplexer in the array.

    Members: ``context``; ``values``: int8 of each lane; ``mask``: lanes to be written, rotated alike; ``rows``: LWR, one
    bit for the row; ``columns``: LWC, one bit for the column.
    """
    return wiring.Signature(
        {
            "context": Out(range(config.contexts)),
            "values": Out(data.ArrayLayout(8, config.lanes)),
            "mask": Out(config.lanes),
            "rows": Out(config.lanes),
            "columns": Out(config.lanes),
        }
    )


class Row(wiring.Component):
    """One row of the array.

    Cycle 0: ``context`` addresses the SRAMs. Cycle 1: weights and ``activation`` at the multipliers. Cycle 3: product,
    added to ``sums_in``. Cycle 4: ``sums_out``. What travels down, context and weight write, reaches the next row in cycle 1.

    Parameters
    ----------
    config, row : the tile and this row's number.

    Members
    -------
    context : In. activation : In, int8, one cycle later. sums_in : In, of the rows above (row 0: absent).
    write : In, weights going by. context_next, write_next, sums_out : Out, to the row below.
    """

    def __init__(self, config: TileConfig, row: int):
        self._config, self._row = config, row
        columns = config.lanes
        super().__init__(
            {
                "context": In(range(config.contexts)),
                "activation": In(signed(8)),
                **({"sums_in": In(data.ArrayLayout(signed(sum_width(row)), columns))} if row else {}),
                "write": In(weight_write(config)),
                "context_next": Out(range(config.contexts)),
                "write_next": Out(weight_write(config)),
                "sums_out": Out(data.ArrayLayout(signed(sum_width(row + 1)), columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, row, write = self._config, self._row, self.write
        lanes, size = config.lanes, config.weight_group

        for group in range(lanes // size):
            first = group * size
            sram = Sram(depth=config.contexts, width=8 * size, granularity=8)
            m.submodules[f"weights{group}"] = sram
            m.d.comb += [
                sram.read_address.eq(self.context),
                sram.write_address.eq(write.context),
                sram.write_data.eq(Cat(write.values[first + n] for n in range(size))),
                sram.write_enable.eq(
                    Cat(
                        write.mask[n] & (write.rows[row] | write.columns[n])
                        for n in range(first, first + size)
                    )
                ),
            ]
            products = []
            for n in range(0, size, 2):
                m.submodules[f"multiply{first + n}"] = pair = MultiplyPair(row=row, column=first + n)
                m.d.comb += [
                    pair.a.eq(self.activation),
                    pair.b0.eq(sram.read_data.word_select(n, 8)),
                    pair.b1.eq(sram.read_data.word_select(n + 1, 8)),
                ]
                products += [pair.product0, pair.product1]
            # Cycle 3: add what comes from above.
            for column, product in enumerate(products, first):
                total = Signal(signed(sum_width(row + 1)), name=f"sum{column}", reset_less=True)
                above = self.sums_in[column] if row else 0
                m.d.sync += total.eq(product + above)
                m.d.comb += self.sums_out[column].eq(total)

        # To the next row, one cycle later.
        context = Signal.like(self.context, reset_less=True)
        written_context = Signal.like(write.context, reset_less=True)
        values, mask = Signal(8 * lanes, reset_less=True), Signal(lanes, reset_less=True)
        rows, columns = Signal(lanes), Signal(lanes)
        m.d.sync += [
            context.eq(self.context),
            written_context.eq(write.context),
            values.eq(write.values.as_value().rotate_right(8)),
            mask.eq(write.mask.rotate_right(1)),
            rows.eq(write.rows),
            columns.eq(write.columns),
        ]
        m.d.comb += [
            self.context_next.eq(context),
            self.write_next.context.eq(written_context),
            self.write_next.values.eq(values),
            self.write_next.mask.eq(mask),
            self.write_next.rows.eq(rows),
            self.write_next.columns.eq(columns),
        ]
        return m


class Array(wiring.Component):
    """All rows. Cycle 0: ``context``. Cycle 1: ``activations``. Cycle lanes + 3: ``sums``.

    Members
    -------
    context : In. activations : In, int8 of each row. write : In, weights entering row 0 (which they meet in this cycle).
    sums : Out, of all rows, for each column.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        super().__init__(
            {
                "context": In(range(config.contexts)),
                "activations": In(data.ArrayLayout(signed(8), config.lanes)),
                "write": In(weight_write(config)),
                "sums": Out(data.ArrayLayout(signed(sum_width(config.lanes)), config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = [Row(self._config, row) for row in range(self._config.lanes)]
        above = None
        for number, row in enumerate(rows):
            m.submodules[f"row{number}"] = row
            # The skew: one cycle a row.
            activation = self.activations[number]
            for cycle in range(number):
                later = Signal(signed(8), name=f"activation{number}_{cycle + 1}", reset_less=True)
                m.d.sync += later.eq(activation)
                activation = later
            m.d.comb += row.activation.eq(activation)
            if above is None:
                m.d.comb += row.context.eq(self.context)
                wiring.connect(m, wiring.flipped(self.write), row.write)
            else:
                m.d.comb += [row.context.eq(above.context_next), row.sums_in.eq(above.sums_out)]
                wiring.connect(m, above.write_next, row.write)
            above = row
        m.d.comb += self.sums.eq(above.sums_out)
        return m
