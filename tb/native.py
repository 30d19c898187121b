"""A leaf unit as native code: arrays in, arrays out, one vector a cycle, millions of cycles a second.

with NativeUnit(Multiplier(config), "multiplier") as unit:
    result = unit.stream({"a": a, "b": b}, latency=3)["product"]
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib import wiring

from tb.build import shared_library

_WRAPPER = r"""
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstring>
#include <memory>
#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {
struct Bench {
    VerilatedContext context;
    Vtop top{&context};
};
template <class T> void clock(T& top, int level) { if constexpr (requires { top.clk; }) top.clk = level; }
template <class T> void reset(T& top, int level) { if constexpr (requires { top.rst; }) top.rst = level; }
// Ports up to 64 bits are scalars, wider ones arrays. `words`: the port's size in 32-bit words.
template <class T> void put(T& port, const uint32_t* from, int words) {
    if constexpr (requires { port.m_storage; }) std::memcpy(&port.m_storage[0], from, 4 * words);
    else port = static_cast<T>(words == 1 ? from[0] : from[0] | static_cast<uint64_t>(from[1]) << 32);
}
template <class T> void get(const T& port, uint32_t* to, int words) {
    if constexpr (requires { port.m_storage; }) std::memcpy(to, &port.m_storage[0], 4 * words);
    else { uint64_t value = port; std::memcpy(to, &value, 4 * words); }
}
}

EXPORT void* create() { return new Bench; }
EXPORT void destroy(void* bench) {
    static_cast<Bench*>(bench)->top.final();
    delete static_cast<Bench*>(bench);
}
EXPORT void reset_unit(void* bench) {
    auto& top = static_cast<Bench*>(bench)->top;
    reset(top, 1);
    for (int i = 0; i < 2; i++) { clock(top, 0); top.eval(); clock(top, 1); top.eval(); }
    reset(top, 0);
}
// inputs[k]: n vectors of input k, or one that stays (hold[k]). outputs[k]: n vectors; vector i is what the
// port showed latency[k] cycles after input vector i. Behind the end the last input stays.
EXPORT void stream(void* bench, uint64_t n, const uint32_t* const* inputs, const uint8_t* hold,
                   uint32_t* const* outputs, const uint64_t* latency, uint64_t longest) {
    auto& top = static_cast<Bench*>(bench)->top;
    for (uint64_t cycle = 0; cycle < n + longest; cycle++) {
        const uint64_t now = cycle < n ? cycle : n - 1;
        (void)now;
@PUT@
        clock(top, 0);
        top.eval();
        uint64_t from;
@GET@
        clock(top, 1);
        top.eval();
    }
}
"""
_PUT = "        put(top.{member}, inputs[{k}] + (hold[{k}] ? 0 : now * {words}), {words});"
_GET = (
    "        from = latency[{k}];\n"
    "        if (cycle >= from && cycle - from < n)\n"
    "            get(top.{member}, outputs[{k}] + (cycle - from) * {words}, {words});"
)


@dataclass(frozen=True)
class Port:
    """A port of the unit as the Verilog sees it: a bit vector, ``words`` 32-bit words long."""

    name: str
    width: int
    signed: bool

    @property
    def words(self) -> int:
        """32-bit words that hold a value."""
        return (self.width + 31) // 32

    @property
    def member(self) -> str:
        """What Verilator calls it: it spells out doubled underscores."""
        return self.name.replace("__", "___05F")


class NativeUnit:
    """An Amaranth component compiled by Verilator.

    Ports carry the names of the exported Verilog: a nested member ``bus.data`` is ``bus__data``, element 2 of
    an array of ports ``x`` is ``x__2``. Struct and array *layouts* are one vector.

    Parameters
    ----------
    component : the unit, in the ``sync`` domain or combinational.
    name : of the build, in the cache.
    models : Verilog of the primitives that the component instantiates.
    """

    def __init__(self, component: wiring.Component, name: str, *, models: str = ""):
        self.inputs: dict[str, Port] = {}
        self.outputs: dict[str, Port] = {}
        for path, member, _ in component.signature.flatten(component):
            shape = Shape.cast(member.shape)
            port = Port("__".join(map(str, path)), shape.width, shape.signed)
            if port.width:
                (self.inputs if member.flow is wiring.In else self.outputs)[port.name] = port
        text = verilog.convert(component, name="top", emit_src=False, strip_internal_attrs=True) + models
        puts = (_PUT.format(member=p.member, k=k, words=p.words) for k, p in enumerate(self.inputs.values()))
        gets = (_GET.format(member=p.member, k=k, words=p.words) for k, p in enumerate(self.outputs.values()))
        wrapper = _WRAPPER.replace("@PUT@", "\n".join(puts)).replace("@GET@", "\n".join(gets))
        self._library = ctypes.CDLL(str(shared_library(name, text, wrapper, quiet=True)))
        self._library.create.restype = ctypes.c_void_p
        self._bench: int | None = self._library.create()
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the simulation."""
        if self._bench is not None:
            self._library.destroy(ctypes.c_void_p(self._bench))
            self._bench = None

    def reset(self) -> None:
        """Two cycles of reset. Registers without a reset keep their values; all of them start as zero."""
        self._library.reset_unit(ctypes.c_void_p(self._bench))

    def power_on(self) -> None:
        """Start anew: every register and memory zero, then a reset."""
        self.close()
        self._bench = self._library.create()
        self.reset()

    def stream(
        self, inputs: Mapping[str, Any], latency: int | Mapping[str, int] = 0
    ) -> dict[str, np.ndarray]:
        """Feed one vector a cycle; the outputs that belong to them.

        ``inputs``: an integer array [n] for each input port (for ports wider than 64 bits, uint32
        [n, words], lowest word first), or a number that stays throughout; ports not named stay 0. ``latency``
        in cycles, for all outputs or by name: with 0, outputs are sampled in the inputs' own cycle. Returns
        arrays as long as the inputs: uint64, int64 for signed ports, uint32 [n, words] for wide ones. State
        is kept from call to call. Raises ValueError.
        """
        if unknown := sorted(set(inputs) - set(self.inputs)):
            raise ValueError(f"no input port {', '.join(unknown)}: there are {', '.join(self.inputs)}")
        lengths = {len(v) for v in inputs.values() if np.ndim(v)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"input arrays have lengths {sorted(lengths)}: give at least one array, all of one length"
            )
        n = lengths.pop()
        packed = [_pack(p, inputs.get(p.name, 0)) for p in self.inputs.values()]
        hold = np.array(
            [len(a) == 1 and not np.ndim(inputs.get(p, 0)) for p, a in zip(self.inputs, packed, strict=True)]
        )
        results = [np.zeros((n, p.words), np.uint32) for p in self.outputs.values()]
        delays = [latency if isinstance(latency, int) else latency.get(p, 0) for p in self.outputs]
        self._library.stream(
            ctypes.c_void_p(self._bench),
            ctypes.c_uint64(n),
            _pointers(packed),
            hold.astype(np.uint8).ctypes.data_as(ctypes.c_void_p),
            _pointers(results),
            np.array(delays, np.uint64).ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(max(delays, default=0)),
        )
        return {p.name: _unpack(p, r) for p, r in zip(self.outputs.values(), results, strict=True)}


def _pointers(arrays: list[np.ndarray]) -> ctypes.Array:
    return (ctypes.c_void_p * max(1, len(arrays)))(*(a.ctypes.data for a in arrays))


def _pack(port: Port, value: Any) -> np.ndarray:
    """Values as uint32 [n, words], bits above the port's width cleared (Verilator expects that)."""
    if not np.ndim(value):
        raw = (int(value) & ((1 << port.width) - 1)).to_bytes(4 * port.words, "little")
        return np.frombuffer(raw, np.uint32).reshape(1, port.words)
    array = np.asarray(value)
    if port.width > 64:
        if array.shape[1:] != (port.words,):
            raise ValueError(
                f"{port.name} is {port.width} bits wide: give uint32 [n, {port.words}], not {array.shape}"
            )
        packed = np.ascontiguousarray(array, np.uint32).copy()
        if port.width % 32:
            packed[:, -1] &= np.uint32((1 << port.width % 32) - 1)
        return packed
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise ValueError(f"{port.name} takes integers [n], not {array.dtype} {array.shape}")
    wide = array.astype(np.uint64) & np.uint64((1 << port.width) - 1)
    return np.ascontiguousarray(wide.view(np.uint32).reshape(-1, 2)[:, : port.words])


def _unpack(port: Port, result: np.ndarray) -> np.ndarray:
    if port.width > 64:
        return result
    low = result[:, 0].astype(np.uint64)
    value = low | result[:, 1].astype(np.uint64) << np.uint64(32) if port.words == 2 else low
    if not port.signed:
        return value
    spare = np.uint64(64 - port.width)
    return (value << spare).view(np.int64) >> np.int64(64 - port.width)
