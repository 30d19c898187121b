// The timeline: one row a queue, drawn on a canvas from lists of visits (first cycle, word). A word's dispatches from
// first to last are one bar; where a pixel holds many cycles, the bar's height is their share with a dispatch.

const GUTTER = 112, ROW = 24, AXIS = 22, BAND = 20, NARROWEST = 8;

/** Visits of each queue as typed arrays: cycle and word, both in order of time. */
function decode(data, run) {
  return data.queues.map((queue) => {
    const flat = run.visits[queue.name], n = flat.length / 2;
    const word = new Int32Array(n), start = new Int32Array(n), end = new Int32Array(n);
    for (let i = 0, w = 0, c = 0; i < n; i++) {
      w += flat[2 * i]; c += flat[2 * i + 1];
      const [, count, interval] = queue.words[w];
      word[i] = w; start[i] = c; end[i] = c + (count - 1) * interval + 1;
    }
    return { queue, word, start, end, n };
  });
}

/** First index whose value in a sorted array is greater than `value`. */
function above(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > value) high = middle; else low = middle + 1;
  }
  return low;
}

class Timeline {
  /** colourOf(queue number, word) gives a group number; palette(group) its CSS colour. */
  constructor(canvas, onMove) {
    this.canvas = canvas; this.onMove = onMove;
    this.rows = []; this.bands = [[], []]; this.cycles = 1; this.from = 0; this.to = 1;
    this.selected = 0; this.marked = -1; this.drawn = 0;
    this.colourOf = () => 0; this.palette = () => "#888"; this.label = () => "";
  }

  show(rows, cycles) {
    this.rows = rows; this.cycles = Math.max(1, cycles); this.marked = -1;
    this.canvas.style.height = `${AXIS + BAND + ROW * rows.length + 8}px`;
    this.bands = [this.spans((label) => this.label(label)), this.spans((label) => this.label(label).split(" / ")[0])];
    this.window(0, this.cycles);
  }

  /** Runs of one name in the queue of the array's passes: what the model does, over time. */
  spans(naming) {
    const row = this.rows.find((r) => r.queue.name.endsWith(".passes")), found = [];
    if (!row || row.queue.labels.every((l) => l < 0)) return found;
    for (let i = 0; i < row.n; i++) {
      const label = row.queue.labels[row.word[i]], name = label < 0 ? "" : naming(label), last = found[found.length - 1];
      if (last && last.name === name) last.end = row.end[i];
      else found.push({ name, start: row.start[i], end: row.end[i] });
    }
    return found;
  }

  /** Spans of operations if there is room for most of their names, else those of layers. */
  band() {
    const seen = this.bands[0].filter((s) => s.end > this.from && s.start < this.to);
    const roomy = seen.filter((s) => (s.end - s.start) * this.scale > 60);
    return this.bands[2 * roomy.length >= seen.length ? 0 : 1];
  }

  /** Show cycles from ... to, kept within the run. */
  window(from, to) {
    const width = Math.min(this.cycles, Math.max(NARROWEST, to - from));
    this.from = Math.max(0, Math.min(from, this.cycles - width));
    this.to = this.from + width;
    this.draw();
    this.onMove(this);
  }

  zoom(factor, centre = (this.from + this.to) / 2) {
    const width = Math.min(this.cycles, Math.max(NARROWEST, (this.to - this.from) * factor));
    const share = (centre - this.from) / (this.to - this.from);
    this.window(centre - share * width, centre + (1 - share) * width);
  }

  pan(share) {
    const shift = (this.to - this.from) * share;
    this.window(this.from + shift, this.to + shift);
  }

  x(cycle) { return GUTTER + (cycle - this.from) * this.scale; }
  cycle(x) { return this.from + (x - GUTTER) / this.scale; }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * ratio; canvas.height = height * ratio;
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const css = (name) => style.getPropertyValue(name).trim();
    this.ink = { ink: css("--ink"), dim: css("--dim"), line: css("--line"), on: css("--on"), accent: css("--accent") };
    g.scale(ratio, ratio);
    g.clearRect(0, 0, width, height);
    this.width = width; this.scale = (width - GUTTER) / (this.to - this.from); this.drawn = 0;
    this.axis(g, height);
    g.save();
    g.beginPath(); g.rect(GUTTER, 0, width - GUTTER, height); g.clip();
    g.textBaseline = "middle"; g.font = "11px system-ui, sans-serif";
    for (const span of this.band()) this.bar(g, span.start, span.end, AXIS, BAND - 4, -1, span.name);
    this.rows.forEach((row, n) => {
      if (this.scale < .5) this.dense(g, row, n); else this.bars(g, row, n);
    });
    g.restore();
    g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle"; g.textAlign = "left";
    this.rows.forEach((row, n) => {
      g.fillStyle = n === this.selected && document.activeElement === canvas ? this.ink.accent : this.ink.ink;
      g.fillText(row.queue.name, 8, this.top(n) + ROW / 2);
    });
    if (this.bands[0].length) { g.fillStyle = this.ink.dim; g.fillText("model", 8, AXIS + BAND / 2 - 2); }
    canvas.dataset.drawn = this.drawn;
    canvas.dataset.window = `${Math.round(this.from)} ${Math.round(this.to)}`;
  }

  top(n) { return AXIS + BAND + n * ROW; }

  axis(g, height) {
    const target = (this.to - this.from) / Math.max(2, (this.width - GUTTER) / 110);
    const power = 10 ** Math.floor(Math.log10(target));
    const step = Math.max(1, [1, 2, 5, 10].map((f) => f * power).find((s) => s >= target));
    g.font = "11px system-ui, sans-serif"; g.textBaseline = "middle"; g.textAlign = "center";
    for (let c = Math.ceil(this.from / step) * step; c <= this.to; c += step) {
      const x = Math.round(this.x(c)) + .5;
      g.strokeStyle = this.ink.line; g.beginPath(); g.moveTo(x, AXIS - 4); g.lineTo(x, height); g.stroke();
      g.fillStyle = this.ink.dim; g.fillText(c.toLocaleString("en"), Math.min(Math.max(x, GUTTER + 14), this.width - 28), 10);
    }
    g.textAlign = "left"; g.fillStyle = this.ink.dim; g.fillText("cycle", 8, 10);
  }

  bar(g, start, end, y, height, group, text) {
    const x = Math.max(this.x(start), GUTTER), w = Math.min(this.x(end), this.width) - x;
    if (w <= 0) return;
    g.fillStyle = group < 0 ? this.ink.line : this.palette(group);
    g.fillRect(x, y, Math.max(1, w - (w > 4 ? 1 : 0)), height);
    this.drawn++;
    if (text && w > 34) {
      const room = Math.floor((w - 8) / 6);
      g.fillStyle = group < 0 ? this.ink.ink : this.ink.on; g.textAlign = "left";
      g.fillText(text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text, x + 4, y + height / 2);
    }
  }

  /** Every word a bar, with its text where there is room; single dispatches where they lie apart. */
  bars(g, row, n) {
    const y = this.top(n) + 3, height = ROW - 6;
    for (let i = above(row.end, this.from); i < row.n && row.start[i] < this.to; i++) {
      const [text, count, interval] = row.queue.words[row.word[i]], group = this.colourOf(n, row.word[i]);
      if (interval > 1 && this.scale * interval > 4) {
        g.strokeStyle = this.palette(group);
        g.strokeRect(this.x(row.start[i]), y + .5, (row.end[i] - row.start[i]) * this.scale - 1, height - 1);
        for (let k = 0; k < count; k++) this.bar(g, row.start[i] + k * interval, row.start[i] + k * interval + 1, y, height, group, "");
      } else {
        this.bar(g, row.start[i], row.end[i], y, height, group, text);
      }
      if (n === this.selected && i === this.marked) {
        g.strokeStyle = this.ink.ink; g.lineWidth = 2;
        g.strokeRect(this.x(row.start[i]), y - 1, Math.max(3, (row.end[i] - row.start[i]) * this.scale), height + 2);
        g.lineWidth = 1;
      }
    }
  }

  /** Every pixel a column as high as the share of its cycles with a dispatch, in the colour of most of them. */
  dense(g, row, n) {
    const columns = Math.ceil(this.width - GUTTER), busy = new Float32Array(columns), best = new Float32Array(columns);
    const group = new Int16Array(columns);
    for (let i = above(row.end, this.from); i < row.n && row.start[i] < this.to; i++) {
      const [, count] = row.queue.words[row.word[i]], density = count / (row.end[i] - row.start[i]);
      const a = (row.start[i] - this.from) * this.scale, b = (row.end[i] - this.from) * this.scale;
      for (let c = Math.max(0, Math.floor(a)); c < Math.min(columns, b); c++) {
        const part = (Math.min(b, c + 1) - Math.max(a, c)) * density;
        busy[c] += part;
        if (part > best[c]) { best[c] = part; group[c] = this.colourOf(n, row.word[i]); }
      }
    }
    const floor = this.top(n) + ROW - 3, room = ROW - 6;
    for (let c = 0; c < columns; c++) {
      if (!busy[c]) continue;
      const height = Math.max(2, room * Math.min(1, busy[c]));
      g.fillStyle = this.palette(group[c]);
      g.fillRect(GUTTER + c, floor - height, 1, height);
      this.drawn++;
    }
  }

  /** The visit under a point of the canvas: {row, i}, or null. */
  at(x, y) {
    const n = Math.floor((y - AXIS - BAND) / ROW), row = this.rows[n];
    if (!row || x < GUTTER) return null;
    const cycle = this.cycle(x), slack = Math.max(0, 2 / this.scale);
    const i = above(row.end, cycle - slack);
    return i < row.n && row.start[i] <= cycle + slack ? { n, i } : null;
  }

  /** Select a queue's visit and bring it into view. */
  mark(n, i) {
    const row = this.rows[n];
    this.selected = n;
    this.marked = row ? Math.max(0, Math.min(i, row.n - 1)) : -1;
    if (!row || !row.n) return this.draw();
    const width = this.to - this.from, start = row.start[this.marked], close = Math.min(width, 400);
    if (start < this.from || row.end[this.marked] > this.to || close < width) this.window(start - close / 3, start - close / 3 + close);
    else this.draw();
  }
}
