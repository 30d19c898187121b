"""The ECP5 platform: which primitives the tile's multipliers become, and how many of each a device has.

Pass an :class:`Ecp5` as ``platform`` to ``elaborate``. A multiplier component asks for its method by name and
builds the generic RTL where there is none, so simulation never sees a primitive:

    if hasattr(platform, "get_multiply8"):
        return platform.get_multiply8(self)

The models that simulate the primitives are in ``fpga/cells_sim.v``; tests/test_fpga_ecp5.py compares each
with its generic twin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value

from lpu.arch import SliceKind, TileConfig

ZERO, ONE = Const(0, 1), Const(1, 1)


@dataclass(frozen=True)
class Device:
    """What an ECP5 holds: LUT4s (as many flip-flops), MULT18X18D, DP16KD."""

    name: str
    lut: int
    dsp: int
    bram: int


DEVICES = {d.name: d for d in (Device("25f", 24288, 28, 56), Device("85f", 83640, 156, 208))}


class Ecp5:
    """Platform object for one elaboration of one design (it counts the multipliers it has given away).

    Parameters
    ----------
    device : :data:`DEVICES` entry or its name.
    array_dsps : MULT18X18D that the array's multipliers may use; after that they are built of carry cells.
    array_pairs : pairs of multipliers that there are to be; each gets a DSP before any gets two, and those that do are spread
        over all, so that every row of an array has as many.
    """

    def __init__(self, device: Device | str = "85f", *, array_dsps: int = 0, array_pairs: int = 0):
        self.device = DEVICES[device] if isinstance(device, str) else device
        self._left, self._pairs, self._built = array_dsps, array_pairs, 0
        self._spare = max(0, array_dsps - array_pairs)

    @classmethod
    def for_config(cls, config: TileConfig, device: Device | str) -> Ecp5:
        """Gives the arrays what the vector lanes leave, which take two significands and a special function
        each.
        """
        device = DEVICES[device] if isinstance(device, str) else device
        significand = ((config.float_format.mantissa + 18) // 18) ** 2
        vxms = sum(spec.kind is SliceKind.VXM for spec in config.floorplan)
        vector = vxms * config.vxm_lanes * (2 * significand + 1)
        mxms = sum(spec.kind is SliceKind.MXM for spec in config.floorplan)
        pairs = mxms * config.lanes**2 // 2
        return cls(device, array_dsps=max(0, device.dsp - vector), array_pairs=pairs)

    def get_multiply8(self, component) -> Elaboratable:
        """For :class:`rtl.multiply.Multiply8`: a DSP while there are some left."""
        if self._left:
            self._left -= 1
            return dsp_multiply(component.a, component.b, component.product)
        return lut_multiply8(component.a, component.b, component.product)

    def get_multiply_pair(self, component) -> Elaboratable:
        """For :class:`rtl.multiply.MultiplyPair`: two DSPs where there are more than pairs left, else one, else none."""
        number, c = self._built, component
        self._built += 1
        wanted = 2
        if number < self._pairs:
            wanted = 1 + self._spare * (number + 1) // self._pairs - self._spare * number // self._pairs
        dsps = min(wanted, 2, self._left)
        self._left -= dsps
        if dsps == 1:
            return packed_multiply8(c.a, c.b0, c.b1, c.product0, c.product1)
        build = dsp_multiply if dsps else lut_multiply8
        m = Module()
        m.submodules.multiply0 = build(c.a, c.b0, c.product0)
        m.submodules.multiply1 = build(c.a, c.b1, c.product1)
        return m

    def multiply_unsigned(self, component) -> Elaboratable:
        """For :class:`rtl.floating_parts.Product`, which asks for up to 18 x 18 bits: one DSP."""
        return dsp_multiply(component.a, component.b, component.product)

    multiply_signed = multiply_unsigned

    def gated_add(self, component) -> Elaboratable:
        """For :class:`rtl.adder.GatedAdd`: the gate is part of the carry cells."""
        return gated_add(component.a, component.gate, component.b, component.total)

    def add_or_compare(self, component) -> Elaboratable:
        """For :class:`rtl.adder.AddOrCompare`: one chain, with the inversion in its cells."""
        return add_or_subtract(
            component.a, component.b, component.compare, component.total, component.greater
        )


def dsp_multiply(a: Value, b: Value, product: Signal, *, latency: int = 2) -> Module:
    """One MULT18X18D with its own registers: input, output, and for a latency of 3 the pipeline register
    between.

    Either operand may be signed. They sit at the top of their 18 bits, so that a narrow one is routed by as
    many wires as it has bits and the rest is constant. SRIA and SRIB stay open: nextpnr cannot route them
    when tied.
    """
    if latency not in (2, 3):
        raise ValueError(f"a MULT18X18D takes 2 or 3 cycles here, not {latency}")
    if max(len(a), len(b)) > 18:
        raise ValueError(f"MULT18X18D multiplies 18 by 18 bits, not {len(a)} by {len(b)}")
    m = Module()
    wide = Signal(36)
    clock = {"CLK": "CLK0", "CE": "CE0", "RST": "RST0"}
    registers = {"INPUTA": True, "INPUTB": True, "INPUTC": False, "PIPELINE": latency == 3, "OUTPUT": True}
    parameters = {
        f"p_REG_{register}_{pin}": net if used or pin != "CLK" else "NONE"
        for register, used in registers.items()
        for pin, net in clock.items()
    }
    left_a = Cat(Const(0, 18 - len(a)), a)
    left_b = Cat(Const(0, 18 - len(b)), b)
    m.submodules.dsp = Instance(
        "MULT18X18D",
        **parameters,
        p_SOURCEB_MODE="B_SHIFT",
        p_GSR="DISABLED",
        p_RESETMODE="SYNC",
        **{f"i_A{i}": left_a[i] for i in range(18)},
        **{f"i_B{i}": left_b[i] for i in range(18)},
        **{f"i_C{i}": ZERO for i in range(18)},
        i_SIGNEDA=Const(int(a.shape().signed), 1),
        i_SIGNEDB=Const(int(b.shape().signed), 1),
        i_SOURCEA=ZERO,
        i_SOURCEB=ZERO,
        i_CLK0=ClockSignal("sync"),
        i_CE0=ONE,
        i_RST0=ZERO,
        **{f"o_P{i}": wide[i] for i in range(36)},
    )
    m.d.comb += product.eq(wide[36 - len(a) - len(b) :])
    return m


# Multiplication in carry chains ------------------------------------------------------------------


@dataclass(frozen=True)
class Half:
    """Half a CCU2C: one bit of an addition, and the function of its LUT.

    ``function`` is the bit's sum without carry, x ^ y. Where it is 0 the carry out is ``function(a, b, 0,
    0)``, which must then be x: so x is made of a and b alone and y must be 0 for c = d = 0.
    """

    a: Value
    b: Value
    c: Value
    d: Value
    function: Callable[[int, int, int, int], int]

    @property
    def init(self) -> int:
        """Truth table, a the lowest address bit."""
        return sum(self.function(n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3) << n for n in range(16))


#: Start a chain with a carry of nothing, or of one. Their LUT gives 0 for c = 1, so that the carry out is the table's value for
#: c = 0, whatever stands at the chain's carry input.
START = Half(ZERO, ZERO, ONE, ZERO, lambda a, b, c, d: 0)
CARRY = Half(ZERO, ZERO, ONE, ZERO, lambda a, b, c, d: 1 - c)


def start_bits(x: Value, y: Value) -> Half:
    """Starts a chain with the carry of x + y. (Their sum is a LUT of its own.)"""
    return Half(x, y, ONE, ZERO, lambda a, b, c, d: a & b & (1 - c))


def add_bits(x: Value, y: Value) -> Half:
    """x + y."""
    return Half(x, ZERO, y, ZERO, lambda a, b, c, d: a ^ c)


def add_products(a: Value, b: Value, c: Value, d: Value) -> Half:
    """(a & b) + (c & d): the AND gates of two rows of partial products cost nothing."""
    return Half(a, b, c, d, lambda a, b, c, d: (a & b) ^ (c & d))


def subtract_products(a: Value, b: Value, c: Value, d: Value) -> Half:
    """~(a & b) + (c & d): a bit of (c & d) - (a & b)."""
    return Half(a, b, c, d, lambda a, b, c, d: (1 - (a & b)) ^ (c & d))


def carry_chain(m: Module, start: Half, halves: list[Half]) -> Value:
    """Sum bits of ``halves``, lowest first, behind ``start``; the carry out of the last is dropped.

    Carry input and output of the chain stay open: nextpnr would spend a carry cell on each if they were connected, even to a
    constant.
    """
    halves = [start, *halves]
    total, carry = Signal(len(halves)), None
    for n in range(0, len(halves), 2):
        low = halves[n]
        last = n + 2 >= len(halves)
        high = halves[n + 1] if n + 1 < len(halves) else START
        ports = {f"i_{port}0": getattr(low, port.lower()) for port in "ABCD"}
        ports |= {f"i_{port}1": getattr(high, port.lower()) for port in "ABCD"}
        ports |= {"o_S0": total[n], "o_S1": total[n + 1] if n + 1 < len(halves) else Signal(name="unused")}
        if carry is not None:
            ports["i_CIN"] = carry
        if not last:
            carry = ports["o_COUT"] = Signal(name="carry")
        m.submodules += Instance(
            "CCU2C",
            p_INIT0=Const(low.init, 16),
            p_INIT1=Const(high.init, 16),
            p_INJECT1_0="NO",
            p_INJECT1_1="NO",
            **ports,
        )
    return total[1:]


def gated_add(a: Value, gate: Value, b: Value, total: Signal) -> Module:
    """(a & gate) + b, modulo the width of the sum."""
    m = Module()
    bits = [Half(x, gate, y, ZERO, lambda a, b, c, d: (a & b) ^ c) for x, y in zip(a, b, strict=True)]
    m.d.comb += total.eq(carry_chain(m, START, bits))
    return m


def add_or_subtract(a: Value, b: Value, subtract: Value, total: Signal, negative: Signal) -> Module:
    """a + b, or a - b and whether it is negative; two's complement."""
    m = Module()
    # ~b + 1: the one is the carry that starts the chain. A bit more than the operands holds the sign.
    start = Half(subtract, ZERO, ONE, ZERO, lambda a, b, c, d: a & (1 - c))
    wide = zip([*a, a[-1]], [*b, b[-1]], strict=True)
    bits = [Half(x, ZERO, y, subtract, lambda a, b, c, d: a ^ c ^ d) for x, y in wide]
    m.d.comb += Cat(total, negative).eq(carry_chain(m, start, bits))
    return m


def lut_multiply8(a: Value, b: Value, product: Signal, *, latency: int = 2) -> Module:
    """Signed 8 x 8 bits in 36 CCU2C and seven LUTs.

    Cycle 0: operands are registered. Cycle 1: four sums of two rows of partial products, sums of those, the
    product; a latency of 3 registers the four sums.
    """
    if latency not in (2, 3):
        raise ValueError(f"a multiplier of carry chains takes 2 or 3 cycles here, not {latency}")
    m = Module()
    # Cycle 0: operands.
    a_reg = Signal(8, reset_less=True)
    b_reg = Signal(8, reset_less=True)
    m.d.sync += [a_reg.eq(a), b_reg.eq(b)]

    # Rows 2k and 2k+1: a x b[2k+1:2k], ten bits, two's complement; the last row counts negative.
    pairs = []
    for k in range(4):
        even, odd = b_reg[2 * k], b_reg[2 * k + 1]
        bit = [a_reg[min(n, 7)] for n in range(10)]
        # The lowest bit is a partial product alone and has no carry.
        if k < 3:
            start, upper = START, [add_products(bit[n], even, bit[n - 1], odd) for n in range(1, 10)]
        else:
            start, upper = CARRY, [subtract_products(bit[n - 1], odd, bit[n], even) for n in range(1, 10)]
        pairs.append(Cat(bit[0] & even, carry_chain(m, start, upper)))
    if latency == 3:
        # Cycle 1: sums of two rows.
        held = [Signal(10, name=f"pair{k}", reset_less=True) for k in range(4)]
        m.d.sync += [register.eq(pair) for register, pair in zip(held, pairs, strict=True)]
        pairs = held

    quads = [_add_shifted(m, pairs[0], pairs[1], 2), _add_shifted(m, pairs[2], pairs[3], 2)]
    result = Signal(16, reset_less=True)
    m.d.sync += result.eq(_add_shifted(m, quads[0], quads[1], 4))
    m.d.comb += product.eq(result)
    return m


def packed_multiply8(a: Value, b0: Value, b1: Value, product0: Signal, product1: Signal) -> Module:
    """Two products of int8 in two cycles: one MULT18X18D and about 46 LUTs.

    Cycle 0: operands are registered. Cycle 1: a x (b1 x 2**10 + the low seven bits of b0), and b1's product modulo 2**5.
    In the wide product the two overlap in five bits: those of b1's product being known, the rest follows. Cycle 2: take
    them apart, and subtract what b0's sign bit is worth.
    """
    m = Module()
    # Cycle 0 and 1: the DSP has registers of its own.
    wide = Signal(26)
    m.submodules.multiply = dsp_multiply(a, Cat(b0[:7], Const(0, 3), b1).as_signed(), wide)
    a1, low1 = Signal(8, reset_less=True), Signal(5, reset_less=True)
    a2, low2 = Signal(8, reset_less=True), Signal(5, reset_less=True)
    sign1, sign2 = Signal(reset_less=True), Signal(reset_less=True)
    two = carry_chain(m, START, [add_products(a1[n], low1[0], a1[n - 1], low1[1]) for n in range(1, 5)])
    rest = ((a1[:3] & low1[2].replicate(3)) + (Cat(0, a1[:2]) & low1[3].replicate(3)))[:3] ^ Cat(
        Const(0, 2), a1[0] & low1[4]
    )
    m.d.sync += [
        Cat(a1, low1, sign1).eq(Cat(a, b1[:5], b0[7])),
        Cat(a2, sign2).eq(Cat(a1, sign1)),
        low2.eq(Cat(a1[0] & low1[0], two[0], (Cat(two[1:4]) + rest)[:3])),
    ]

    # Cycle 2: the five bits, less the known ones, are the top of b0's product; if they wrap round, b1's has lent or borrowed.
    differ = [
        Half(known, ZERO, bit, ZERO, lambda a, b, c, d: (1 - a) ^ c)
        for known, bit in zip(low2, wide[10:15], strict=True)
    ]
    sign = Half(ZERO, ZERO, ZERO, ZERO, lambda a, b, c, d: 1 - a)
    top = carry_chain(m, CARRY, [*differ, sign])
    one = Half(wide[15], ZERO, top[4], top[5], lambda a, b, c, d: a ^ c ^ d)
    more = [Half(bit, ZERO, top[4], top[5], lambda a, b, c, d: a ^ (d & (1 - c))) for bit in wide[16:26]]
    m.d.comb += product1.eq(Cat(low2, carry_chain(m, START, [one, *more])))
    upper = Cat(wide[7:10], top[:5], top[4])
    lessened = [subtract_products(a2[min(n, 7)], sign2, bit, ONE) for n, bit in enumerate(upper)]
    m.d.comb += product0.eq(Cat(wide[:7], carry_chain(m, CARRY, lessened)))
    return m


def _add_shifted(m: Module, low: Value, high: Value, shift: int) -> Value:
    """low + (high << shift), both two's complement of one width; as wide as high << shift."""
    added = [(low[min(shift + n, len(low) - 1)], high[n]) for n in range(len(high))]
    top = carry_chain(m, start_bits(*added[0]), [add_bits(x, y) for x, y in added[1:]])
    return Cat(low[:shift], added[0][0] ^ added[0][1], top)
