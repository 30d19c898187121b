"""All operations of a quantised graph to one timeline an entry: where values lie, and the order in which flows are placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lpu.compiler.graph import GraphError
from lpu.compiler.lower import attend, project, vectors
from lpu.compiler.lower.machine import (
    BLOCK,
    BRIEF,
    HOST,
    POSITION,
    REST,
    TOKEN,
    Bytes,
    Lowering,
    log2,
)
from lpu.compiler.lower.model import FINE, Model
from lpu.compiler.place import Heads, plain
from lpu.compiler.quantised import (
    Arrival,
    Attend,
    Gate,
    Gather,
    Logits,
    Norm,
    Partial,
    Residual,
    Rotary,
    Sum,
)
from lpu.compiler.scheduler import Timeline


@dataclass
class Entry:
    """One entry of a model's program: ``count`` positions of a sequence, with logits and the next token or without."""

    model: Model
    count: int
    predicts: bool
    sequence: int = 0
    turned: object = None

    def lower(self, progress: Callable[[int], None] = lambda n: None) -> Timeline:
        """Place every flow; ``progress`` is told each operation's number."""
        m = self.model
        self.low = low = Lowering(m.config, m.space, self.count)
        self.values: dict[str, list[Bytes]] = {}
        self.wanted, self.span = self._alive(), self._span()
        self._acts()
        self._begin()
        gates = {op.out: op for op in m.graph.ops if isinstance(op, Gate)}
        for n, (label, op) in enumerate(zip(m.graph.layers, m.graph.ops, strict=True)):
            progress(n)
            low.label = label
            if op.out not in self.wanted or n not in self.span:
                continue
            match op:
                case Gather():
                    self._gather(op)
                case Arrival():
                    self._arrival(op)
                case Attend():
                    self._attention(op)
                case Residual() | Partial() if op.source in gates:
                    self._feed_forward(gates[op.source], op)
                case Residual():
                    self._residual(op)
                case Sum():
                    self._sum(op)
                case Logits():
                    self._logits(op)
        for op in m.attends:
            if op.out not in self.wanted:
                low.label = m.graph.layers[m.graph.ops.index(op)]
                self._caches(op)
        self._end()
        return low.timeline

    def _alive(self) -> set[str]:
        """Operations whose results somebody uses: those behind the logits, or else behind the last keys and values."""
        m = self.model
        roots = (
            [m.graph.ops[-1].out] if self.predicts else [n for op in m.attends for n in (op.key, op.value)]
        )
        alive: set[str] = set()
        while roots:
            name = roots.pop()
            if name not in alive:
                alive.add(name)
                op = m.ops[name]
                fields = ("source", "addend", "query", "key", "value", "left", "right")
                roots += [getattr(op, f) for f in fields if hasattr(op, f)]
        return alive

    def _span(self) -> range:
        """Numbers of the operations that this entry computes."""
        return range(len(self.model.graph.ops))

    def _norm(self, source: str, n: int) -> None:
        """The norm of a float value of position n, as soon as the value is there: its maximum is in a register of all."""
        m = self.model
        users = [
            op for op in m.graph.ops if isinstance(op, Norm) and op.source == source and op.out in self.wanted
        ]
        if len(users) > 1:
            raise GraphError(
                f"{source!r} is normalised twice ({users[0].out}, {users[1].out}): share one norm"
            )
        for op in users:
            found = vectors.norm(self.low, op, m.floats[source][n], self.act(n), n)
            self.values.setdefault(op.out, []).append(found)

    # Parts ---------------------------------------------------------------------------------------

    def _acts(self) -> None:
        """Activation entries: a norm's or an attention's result a position, then a region for the rest."""
        m, config = self.model, self.model.config
        widths = [m._channels(op.out).vectors for op in m.graph.ops if isinstance(op, Norm | Attend)]
        self.width = max(widths, default=0)
        self.free = range(self.width * self.count, config.activations - (0 if m.in_memory else 1))
        want = 2 * m.rows
        if len(self.free) < want:
            raise GraphError(
                f"{m.graph.source}: {config.name} has {config.activations} activation entries, "
                f"{want + config.activations - len(self.free)} are needed; use a larger activations"
            )
        # What the groups of rows of an attention share: entries of weights, the rest for queries.
        self.weight_sets = 2 if len(self.free) >= 3 * m.rows else 1
        room = len(self.free) // m.rows - self.weight_sets
        self.query_sets = max(1, min(room, m.score_sets))

    def act(self, m: int) -> int:
        return m * self.width

    def _host(self, op: str, **args: Any) -> None:
        flow = self.low.flow("index", chained=False)
        flow.step(f"{HOST}.port", op, **args)
        self.low.place(flow)

    def _index(self, x: int, src: int, *, add: int = 0, shift: int = 0, bits: int = 16) -> None:
        self._host("INDEX", x=x, src=src, add=add, shift=shift, bits=bits)

    def _begin(self) -> None:
        """Index registers, masks, and angles of the positions; their tokens are read by the gather."""
        m, low = self.model, self.low
        low.label = "begin"
        bits = log2(m.config.lanes)
        self._index(BLOCK, POSITION, shift=bits)
        self._index(REST, POSITION, bits=bits)

    def _angles(self) -> None:
        m, low = self.model, self.low
        if not m.attends:
            return
        for n in range(self.count):
            self._index(BRIEF[0], REST, add=1 + n)
            self._host("TAIL", mask=m.tail_masks[n], src=BRIEF[0])
        if m.config.lanes != FINE:
            self._index(BRIEF[0], POSITION, shift=log2(FINE))
            self._index(BRIEF[1], POSITION, bits=log2(FINE))
            high, rest = BRIEF[0], BRIEF[1]
        else:
            high, rest = BLOCK, REST
        for n in range(self.count):
            word = m.words["angles"][n]
            project.angles(low, m.tables, high, rest, word, word + 1, n)

    def _gather(self, op: Gather) -> None:
        m, low = self.model, self.low
        for n in range(self.count):
            if not self.predicts:
                self._host("POP", x=TOKEN)
            if m.in_memory:
                vectors.gather(low, op, m.floats[op.out][n], m.table)
            else:
                bits = log2(m.config.lanes)
                self._index(BRIEF[0], TOKEN, shift=bits)
                self._index(BRIEF[1], TOKEN, bits=bits)
                vectors.gather_by_pass(low, op, m.floats[op.out][n], m.table, m.unit)
            self._norm(op.out, n)
        self._angles()

    def _arrival(self, op: Arrival) -> None:
        """What another chip made; the first operation of a chip's part begins with it."""
        normed = any(isinstance(user, Norm) and user.source == op.out for user in self.model.graph.ops)
        for n in range(self.count if normed else 0):
            vectors.arrived(self.low, self.model.floats[op.out][n])
            self._norm(op.out, n)
        if op is self.model.graph.ops[0]:
            self._angles()

    def _sum(self, op: Sum) -> None:
        m = self.model
        for n in range(self.count):
            vectors.add(self.low, m.floats[op.left][n], m.floats[op.right][n], m.floats[op.out][n])
            self._norm(op.out, n)

    def _residual(self, op: Residual) -> None:
        m, stored = self.model, self.model.matrices[op.out]
        for n in range(self.count):
            project.residual(
                self.low,
                "projection",
                self.values[op.source][n],
                stored.context,
                stored.scales,
                m.floats[op.addend][n],
                m.floats[op.out][n],
            )
            self._norm(op.out, n)

    def _keys(self, op: Attend, n: int) -> None:
        m, stored = self.model, self.model.matrices[op.key]
        source = self.values[m.ops[op.key].source][n]  # type: ignore[attr-defined]
        self._turn(source, n)
        place = ("cache", op.key)
        project.key(
            self.low,
            source,
            stored.context,
            stored.scales,
            m.heads[op.out],
            m.caches[op.key][self.sequence],
            place,
            n,
        )

    def _values(self, op: Attend, n: int) -> None:
        m, stored = self.model, self.model.matrices[op.value]
        source = self.values[m.ops[op.value].source][n]  # type: ignore[attr-defined]
        place = ("cache", op.value)
        project.value(
            self.low,
            source,
            stored.context,
            stored.scales,
            m.heads[op.out],
            m.caches[op.value][self.sequence],
            place,
            n,
        )

    def _turn(self, source: Bytes, n: int) -> None:
        """Angles of position n times its norm's step, unless the registers hold them."""
        angles = self.model.words["angles"]
        if self.turned != (source.act, n, id(source)):
            project.turn(self.low, angles[n], angles[n] + 1, source.step or 0)
        self.turned = (source.act, n, id(source))

    def _caches(self, op: Attend) -> None:
        """Keys and values alone."""
        for n in range(self.count):
            self._keys(op, n)
            self._values(op, n)

    def _attention(self, op: Attend) -> None:
        m, low = self.model, self.low
        heads = m.heads[op.out]
        masks = self._slots(heads)
        axis = m._channels(op.out)
        self.values[op.out] = [Bytes(axis, self.act(n), None) for n in range(self.count)]
        groups = m.groups(heads.heads)
        order = [(n, wanted) for n in range(self.count) for wanted in groups]
        work = [self._rows(op, n, wanted, masks, k) for k, (n, wanted) in enumerate(order)]
        query = m.matrices[op.query]
        sources = self.values[m.ops[op.query].source]  # type: ignore[attr-defined]
        for n in range(self.count):
            self._keys(op, n)
        # Streams that a loop uses are its own from its beginning on: what goes on beside loops keeps off one of them.
        low.polite = True
        # A pipeline of groups: queries are made ahead of scores, scores ahead of weights, results come behind.
        early, ahead = self.query_sets - 1, m.score_sets - 1
        for step in range(-early, len(work) + ahead):
            if 0 <= step + early < len(work):
                n, wanted = order[step + early]
                self._turn(sources[n], n)
                at = work[step + early].queries
                low.polite = step >= 0
                project.query(low, sources[n], query.context, query.scales, heads, masks, at, wanted)
                low.polite = True
            if 0 <= step < len(work):
                if step == 0 and self.count > 1:
                    for n in range(self.count):
                        self._values(op, n)
                attend.scores(low, work[step])
                if step == 0 and self.count == 1:
                    self._values(op, 0)
                attend.bounds(low, work[step])
            if 0 <= step - ahead < len(work):
                attend.mix(low, work[step - ahead])
                done = step - ahead + 1
                # Results come after as many loops as they can wait for: between two loops they would hold up the second.
                if done % low.result_sets == 0 or done == len(work):
                    for rows in work[(done - 1) // low.result_sets * low.result_sets : done]:
                        attend.results(low, rows)
        low.polite = False

    def _slots(self, heads: Heads) -> tuple[int, ...]:
        """A mask for the lanes of each slot; all lanes where there is but one."""
        if heads.slots == 1:
            return (0,)
        return tuple(self.model.space.mask(heads.lanes_of(slot)) for slot in range(heads.slots))

    def _rows(
        self, op: Attend, n: int, wanted: range, masks: tuple[int, ...], number: int
    ) -> attend.Attention:
        m, low, rows = self.model, self.low, self.model.rows
        score = number % m.score_sets
        weights = self.free[-rows * (1 + number % self.weight_sets)]
        return attend.Attention(
            heads=m.heads[op.out],
            wanted=wanted,
            mask=m.tail_masks[n],
            keys=m.caches[op.key][self.sequence],
            values=m.caches[op.value][self.sequence],
            cache=(("cache", op.key), ("cache", op.value)),
            queries=self.free[rows * (number % self.query_sets)],
            weights=weights,
            results=self.act(n),
            sums=low.upper + rows * (number % low.result_sets),
            totals=low.sums + rows * (number % low.result_sets),
            tail=m.words["tail"][score],
            scores=m.words["scores"][score],
            bounds=m.words["bounds"][score],
            alpha=low.scalar(f"{op.out} alpha", op.score_scale),
            kappa=low.scalar("kappa", attend.softmax_kappa()),
            scales=m.words[op.out][0],
            slots=masks,
        )

    def _feed_forward(self, gate: Gate, down: Residual | Partial) -> None:
        m, low = self.model, self.low
        first, second, third = (m.matrices[name] for name in (f"{gate.out} gate", f"{gate.out} up", down.out))
        hidden = plain(m.config.lanes, len(gate.up.weight)).vectors
        for n in range(self.count):
            source = self.values[gate.source][n]
            at = m.words["gate"][n]
            words = (at, at + hidden)
            project.gate_scales(low, (first.scales, second.scales), words, hidden, source.step or 0)
            project.feed_forward(
                low,
                source,
                hidden,
                (first.context, second.context, third.context),
                words,
                third.scales,
                m.floats[down.addend][n] if isinstance(down, Residual) else None,
                m.floats[down.out][n],
                self.free,
            )
            self._norm(down.out, n)

    def _logits(self, op: Logits) -> None:
        m, stored = self.model, self.model.matrices[op.out]
        source = self.values[op.source][0]
        project.logits(self.low, source, stored.context, stored.scales, m.logits.axis, m.logits.word)

    def _end(self) -> None:
        self.low.label = "end"
        self._index(POSITION, POSITION, add=self.count)
        if self.predicts:
            self._host("PUSH", src=TOKEN)


__all__ = ["BLOCK", "Entry", "Model", "Rotary"]
