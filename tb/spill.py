"""The end of a random program: what the units still hold goes to memory, where a comparison sees it."""

from __future__ import annotations

from collections.abc import Callable

from lpu import timing
from lpu.arch import SliceKind
from lpu.isa import Destination, Quantise, Source
from tb.flows import Flow, Shape, Step
from tb.picker import PLAIN_CHAIN, Layers, Picker
from tb.reserve import Board, Clash, Track


class Spill:
    """Appends transfers of unit state to the spill words of the memories, as far as they have room."""

    def __init__(self, picker: Picker, board: Board, tracks: dict[str, Track], flow: Callable[[Shape], Flow]):
        self._picker, self._tracks, self._flow = picker, tracks, flow
        self._rng, self._config = picker.rng, picker.config
        self._mems = [n for n in self._config.slice_names if self._config.spec(n).kind is SliceKind.MEM]
        layers = {n: Layers.of(self._config, n) for n in self._mems}
        self._room = {n: list(range(layers[n].constants, layers[n].free)) for n in self._mems}
        self._next: dict[str, int] = {}
        self._start = max([board.last, *(t.end for t in tracks.values())])

    def write(self) -> None:
        """Slice by slice."""
        config = self._config
        for name in config.slice_names:
            match config.spec(name).kind:
                case SliceKind.MXM:
                    self._array(name)
                case SliceKind.VXM:
                    for n in range(config.vxm_registers):
                        self._chain(name, {"a": int(Source.REG), "a_at": n})
                    for n in range(config.vxm_accumulators):
                        self._chain(name, {"a": int(Source.ACC), "a_at": n, "q": int(Quantise.INT32)})
                case SliceKind.SXM:
                    args = {"how": 0, "clear": 0, "emit": 1, "mask": 0, "src": -1}
                    kinds = self._picker.reductions
                    for kind in sorted(set(kinds)):
                        slots, n = {"acc": (kinds.index(kind), 1)}, kinds.count(kind)
                        self._send(f"{name}.reduce", "REDUCE", args, slots, n, 4)
                    self._send(f"{name}.move", "TREAD", {}, {"n": (0, 1)}, config.lanes, 1)
                    self._send(
                        f"{name}.move", "PERMUTE", {"src": -1}, {"map": (0, 1)}, config.permute_maps, 1
                    )

    def _array(self, name: str) -> None:
        """One pass of every activation over some context, then all accumulators."""
        config, rng = self._config, self._rng
        n = config.accumulators
        slots = {
            "ctx": (rng.randrange(config.contexts), rng.choice([0, 1, 3])),
            "act": (rng.randrange(n), 1),
            "acc": (0, 1),
        }
        for at in range(self._start, self._start + 60):
            flow = self._flow(Shape([((), 0)], n, 1))
            try:
                slots["act"] = (slots["act"][0] % config.activations, 1)
                flow.add(Step(f"{name}.passes", at, "PASS", {"clear": 0}, slots=slots))
                flow.commit()
                break
            except Clash:
                continue
        start, self._start = self._start, at + n + timing.pass_visible(config)
        self._send(f"{name}.drain", "DRAIN", {}, {"acc": (0, 1)}, n, 4)
        self._start = start

    def _chain(self, name: str, some: dict[str, int]) -> None:
        args = {**PLAIN_CHAIN, **some, "to": int(Destination.STREAM)}
        self._send(f"{name}.chain", "CHAIN", args, {}, 1, 4)

    def _send(self, queue: str, op: str, args: dict, slots: dict, count: int, width: int) -> None:
        """``count`` results of an instruction into the spill words of a memory that is in reach and has
        room."""
        config, rng = self._config, self._rng
        name = queue.split(".")[0]
        position = self._picker.position[name]
        words = count if width == 4 else -(-count // 4)
        for mem in rng.sample(self._mems, len(self._mems)):
            if len(self._room[mem]) < words:
                continue
            target = self._picker.position[mem]
            codes = [
                2 * 4 * w + (target < position)
                for d, w in config.reachable(mem, "tap")
                if (d, w) in config.reachable(name, "inject") and (d == "w") == (target < position)
            ]
            address = self._room[mem][0]
            first = max(self._start, self._next.get(queue, 0))
            for at in range(first, first + 400) if codes else ():
                if not self._tracks[queue].free(at, at + count):
                    continue
                code = rng.choice(codes)
                field = "to_at" if op == "CHAIN" else "dst"
                interval = 1 if at < first + 200 else 3
                flow = self._flow(Shape([((), 0)], count, interval))
                try:
                    step = Step(queue, at, op, {**args, field: code}, slots=slots)
                    if args.get("src") == -1:
                        step.args["src"] = self._picker.stream(name, width, True)
                    flow.add(step)
                    result = timing.results(step.instruction, config)[0].at
                    write = {"src": code, "mask": 0}
                    into = {"addr": (address * 4 if width == 1 else address, 1)}
                    cycle = at + result + abs(target - position) - timing.SAMPLE
                    flow.add(
                        Step(f"{mem}.write", cycle, "WRITEB" if width == 1 else "WRITE", write, slots=into)
                    )
                    flow.commit()
                    self._room[mem] = self._room[mem][words:]
                    self._next[queue] = at + 1
                    return
                except Clash:
                    continue
