"""The host port queue of a random program: index registers, masks and tokens, written in order of time so
that their values are known wherever an address or a loop count uses them."""

from __future__ import annotations

from collections.abc import Callable

from lpu import timing
from lpu.isa import Instruction
from tb.blocks import Item, fill
from tb.flows import Flow, Picker, Step
from tb.reserve import Board, Clash, Track

QUEUE = "host0.port"


class HostLine:
    """Writes the queue from cycle 0 on; flows fill the rest of it later."""

    def __init__(
        self,
        picker: Picker,
        board: Board,
        tracks: dict[str, Track],
        flow: Callable[[], Flow],
        tokens: list[int],
    ):
        self._p, self._board, self._track, self._flow = picker, board, tracks[QUEUE], flow
        self._rng, self._config, self._registers = picker.rng, picker.config, board.registers
        self._tokens = list(tokens)

    def write(self, horizon: int, scale: float) -> None:
        """Instructions up to about ``horizon``."""
        rng = self._rng
        at, budget = 0, int(rng.choice([4, 12, 20]) * scale)
        while at < horizon and budget > 0:
            at += rng.choice([0, 0, 1, 2, 5, rng.randint(0, 30)])
            budget -= 1
            if rng.random() < 0.25 and self._config.loop_depth:
                at = self._loop(at)
            elif rng.random() < 0.2:
                at = self._load(at)
            else:
                at = self._single(at)

    def _args(self, room: int) -> tuple[str, dict[str, int]]:
        """An operation that may be dispatched ``room`` times."""
        rng, config = self._rng, self._config
        x, source = rng.randrange(1, config.index_registers), rng.randrange(config.index_registers)
        op = rng.choice(["CONFIG", "CONFIG", "INDEX", "INDEX", "POP", "PUSH", "TAIL"])
        fifo = self._board.claims.fifo
        if (op == "POP" and len(self._tokens) < room) or (
            op == "PUSH" and fifo["PUSH"] + room > config.token_fifo
        ):
            op = "CONFIG"
        match op:
            case "CONFIG":
                return op, {
                    "x": x,
                    "value": rng.choice([0, 1, 2, 3, 4, 6, 9, 15, 40, 0xFFFF, rng.getrandbits(16)]),
                }
            case "INDEX":
                add = rng.choice([1, 1, 2, 3, 0xFFFF, rng.getrandbits(16)])
                shift, bits = (
                    rng.choice([0, 0, 1, rng.randrange(16)]),
                    rng.choice([16, 16, 2, 3, rng.randint(1, 16)]),
                )
                return op, {"x": x, "src": source, "add": add, "shift": shift, "bits": bits}
            case "POP":
                return op, {"x": x}
            case "PUSH":
                return op, {"src": source}
        return "TAIL", {"mask": rng.randrange(1, config.masks), "src": source}

    def _dispatch(self, op: str, a: dict[str, int], cycle: int) -> None:
        """Follow one dispatch."""
        registers = self._registers
        if op in ("POP", "PUSH"):
            self._board.claims.fifo[op] += 1
        self._board.last = max(self._board.last, cycle + timing.INDEX_VISIBLE)
        source = registers.latest(a["src"]) if a.get("src") else 0
        match op:
            case "CONFIG":
                registers.write("x", a["x"], cycle, a["value"])
            case "INDEX":
                value = None
                if source is not None:
                    value = (((source + a["add"]) & 0xFFFF) >> a["shift"]) & ((1 << a["bits"]) - 1)
                registers.write("x", a["x"], cycle, value)
            case "POP":
                registers.write("x", a["x"], cycle, self._tokens.pop(0))
            case "TAIL":
                lanes = self._config.lanes
                mask = None if source is None else (1 << min(source, lanes)) - 1
                registers.write("m", a["mask"], cycle, mask)

    def _single(self, at: int) -> int:
        rng = self._rng
        count, interval = rng.choice([1, 1, 1, 1, 2, 3]), rng.choice([1, 1, 2, 5, rng.randint(1, 20)])
        op, args = self._args(count)
        if op in ("POP", "PUSH") and rng.random() < 0.2:
            # All that there is, or all that there is room for.
            room = self._config.token_fifo - self._board.claims.fifo["PUSH"]
            count = len(self._tokens) if op == "POP" else room
        end = at + (count - 1) * interval + 1
        self._track.add(at, end, Item(at, end, [Instruction(op, args, count, interval)]))
        for k in range(count):
            self._dispatch(op, args, at + k * interval)
        return end

    def _loop(self, at: int) -> int:
        """A loop of a few operations; its own values may feed themselves."""
        rng = self._rng
        n = rng.choice([1, 2, 3, 3, 5, 9])
        body = [self._args(3 * n) for _ in range(rng.randint(1, 3))]
        body = [
            (op, args)
            for k, (op, args) in enumerate(body)
            if op not in [o for o, _ in body[:k]] or op in ("CONFIG", "INDEX")
        ]
        words: list[Instruction] = []
        offsets, cursor = [], 0
        for op, args in body:
            offsets.append(cursor)
            words.append(Instruction(op, args))
            gap = rng.choice([0, 0, 1, 3, rng.randint(0, 9)])
            fill(rng, words, gap, False)
            cursor += 1 + gap
        registers = self._registers
        count, index = n, 0
        for x in rng.sample(range(1, self._config.index_registers), self._config.index_registers - 1):
            value = registers.at("x", x, at)
            if value is not None and 0 < value <= n and rng.random() < 0.5:
                count, index = n - value, x
                break
        args = {"count": count, "index": index, "length": len(words), "step": rng.randint(-3, 3)}
        start = at + timing.LOOP_CYCLES
        end = start + n * cursor
        self._track.add(at, end, Item(at, end, [Instruction("LOOP", args), *words], closed=True))
        for i in range(n):
            for (op, a), offset in zip(body, offsets, strict=True):
                self._dispatch(op, a, start + i * cursor + offset)
        return end

    def _load(self, at: int) -> int:
        """LDX, mostly of a constant that is known."""
        rng = self._rng
        position = self._config.position("host0")
        for _ in range(3):
            flow = self._flow()
            try:
                x, source = rng.randrange(1, self._config.index_registers), self._p.stream("host0", 4, True)
                step = Step(QUEUE, at, "LDX", {"x": x, "src": source})
                value = None
                if rng.random() < 0.8:
                    flow.steps.append(step)
                    value = flow.known_word(position, source, at + timing.SAMPLE)[0] & 0xFFFF
                else:
                    flow.add(step)
                flow.commit()
            except Clash:
                at += 3
                continue
            self._board.last = max(self._board.last, at + timing.INDEX_VISIBLE)
            self._registers.write("x", x, at, value)
            return at + 1
        return at
