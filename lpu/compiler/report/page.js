// The page around the timeline: figures, occupancy, tables and maps, all of it built from the data of the chosen run.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const number = (n) => n.toLocaleString("en");
const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");

/** An element with attributes and children; text is always text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.onclick = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

let run = data.runs[0], rows = [];
const timeline = new Timeline($("timeline"), moved);
timeline.label = (l) => data.labels[l];

// Colours ---------------------------------------------------------------------------------------

const parts = data.labels.map((label) => label.split(" / "));
const layered = parts.some((p) => p.length > 1);
const op = (queue, word) => data.queues[queue].words[word][0].split(" ")[0];
const COLOURS = {
  operation: { when: layered, of: (q, w, l) => (l < 0 ? "(no label)" : parts[l].slice(1).join(" / ") || parts[l][0]) },
  layer: { when: data.labels.length > 0, of: (q, w, l) => (l < 0 ? "(no label)" : parts[l][0]) },
  instruction: { when: true, of: (q, w) => op(q, w) },
};
let groups = [], groupOf = [];

/** Groups by the chosen rule: those with most dispatches in the longest run get the clearest colours. */
function colours() {
  const of = COLOURS[$("colour").value].of, weight = new Map(), longest = data.runs.reduce((a, b) => (b.cycles > a.cycles ? b : a));
  const name = data.queues.map((queue, q) => queue.words.map((_, w) => of(q, w, queue.labels[w])));
  decode(data, longest).forEach(({ queue, word, n }, q) => {
    for (let i = 0; i < n; i++) weight.set(name[q][word[i]], (weight.get(name[q][word[i]]) ?? 0) + queue.words[word[i]][1]);
  });
  const rank = (group) => (group === "(no label)" ? -1 : weight.get(group));
  groups = [...weight.keys()].sort((a, b) => rank(b) - rank(a));
  groupOf = name.map((names) => names.map((group) => Math.max(0, groups.indexOf(group))));
  const style = getComputedStyle(document.documentElement);
  const colour = (i) => style.getPropertyValue(groups[i] === "(no label)" ? "--none" : `--c${i % 16}`).trim();
  const palette = groups.map((_, i) => colour(i));
  timeline.colourOf = (q, w) => groupOf[q][w];
  timeline.palette = (i) => palette[i];
  const shown = groups.slice(0, 24);
  $("legend").replaceChildren(...shown.map((name, i) => make("li", {}, make("i", { style: `background:${palette[i]}` }), name)),
    ...(groups.length > shown.length ? [make("li", {}, `and ${groups.length - shown.length} more, colours in turn`)] : []));
}

// Occupancy -------------------------------------------------------------------------------------

function occupancy() {
  const canvas = $("occupancy"), ratio = window.devicePixelRatio || 1, lane = 46;
  canvas.style.height = `${lane * run.occupancy.length + 6}px`;
  const width = canvas.clientWidth, height = lane * run.occupancy.length + 6;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const css = (name) => style.getPropertyValue(name).trim();
  g.scale(ratio, ratio);
  g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle";
  const room = width - GUTTER;
  run.occupancy.forEach((unit, n) => {
    const floor = n * lane + lane - 2, high = lane - 12;
    g.fillStyle = css("--ink"); g.fillText(unit.name, 8, floor - 24);
    g.fillStyle = css("--dim"); g.fillText(percent(unit.busy, run.cycles), 8, floor - 9);
    g.strokeStyle = css("--line"); g.strokeRect(GUTTER, floor - high, room, high);
    g.fillStyle = css(unit.kind === "mxm" ? "--c0" : "--c1");
    const step = room / unit.bins.length;
    unit.bins.forEach((share, i) => g.fillRect(GUTTER + i * step, floor - high * share / 1000, step + .3, high * share / 1000));
  });
  g.strokeStyle = css("--accent"); g.lineWidth = 2;
  const scale = room / timeline.cycles;
  g.strokeRect(GUTTER + timeline.from * scale + 1, 2, Math.max(4, (timeline.to - timeline.from) * scale - 2), height - 4);
  canvas.setAttribute("aria-label", "Busy share of cycles: " + run.occupancy.map((u) => `${u.name} ${percent(u.busy, run.cycles)}`).join(", "));
}

function moved(view) {
  $("window").textContent = `cycles ${number(Math.round(view.from))} to ${number(Math.round(view.to))} of ${number(run.cycles)}`;
  occupancy();
}

// Figures and tables ----------------------------------------------------------------------------

function figures() {
  const arrays = run.occupancy.filter((u) => u.kind === "mxm").length;
  const list = [
    ["Cycles", number(run.cycles), run.predicted === null ? "no prediction" : run.predicted === run.cycles ? "as predicted" : `predicted ${number(run.predicted)}`],
    ["Passes", number(run.passes), arrays > 1 ? `on ${arrays} arrays` : "the limit, one a cycle"],
    ["Array busy", percent(run.passes, run.cycles * Math.max(1, arrays)), "cycles with a pass"],
    ...run.occupancy.filter((u) => u.kind === "vxm").map((u) => [`${u.name} busy`, percent(u.busy, run.cycles), "cycles with a chain"]),
    ["Dispatches", number(run.dispatches), `${number(data.fill.reduce((s, [, n]) => s + n, 0))} words in all queues`],
  ];
  $("figures").replaceChildren(...list.map(([name, value, note]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, make("small", {}, note)))));
  const note = (kind, text, [count, texts]) => make("div", { class: `note ${kind}` }, text,
    ...(count ? [make("ul", {}, ...texts.map((t) => make("li", {}, t)), ...(count > texts.length ? [make("li", {}, `and ${count - texts.length} more`)] : []))] : []));
  const held = Object.entries(run.registers).map(([x, value]) => `${x} = ${value}`).join(", "), given = held && `, with ${held}`;
  const [wrong] = run.wrong, [unknown] = run.unknown;
  $("verdict").replaceChildren(
    wrong ? note("bad", `✗ Schedule check: ${number(wrong)} wrong`, run.wrong) : note("good", `✓ Schedule check: nothing wrong in this run${given}`, [0, []]),
    ...(unknown ? [note("", `? ${number(unknown)} that depend on data, not checked`, run.unknown)] : []));
}

const GROUPINGS = {
  layer: (l) => l.split(" / ")[0],
  operation: (l) => l.split(" / ").slice(1).join(" / ") || l,
  "layer and operation": (l) => l,
};

function charges() {
  $("cycles").hidden = !run.charges.length;
  const by = new Map();
  for (const row of run.charges) {
    const name = GROUPINGS[$("rows").value](row.label), sum = by.get(name);
    if (!sum) by.set(name, { ...row, label: name });
    else {
      sum.passes += row.passes; sum.charged += row.charged;
      sum.first = Math.min(sum.first, row.first); sum.last = Math.max(sum.last, row.last);
    }
  }
  const most = Math.max(1, ...[...by.values()].map((r) => Math.max(r.charged, r.passes)));
  const head = make("tr", {}, ...[["Name", ""], ["Cycles", "n"], ["Share", "n"], ["Passes", "n"], ["Waiting", "n"], ["", "bar"]]
    .map(([text, kind]) => make("th", { scope: "col", class: kind }, text)));
  const body = [...by.values()].map((r) => {
    const wait = Math.max(0, r.charged - r.passes);
    const meter = make("div", { class: "meter", role: "img", "aria-label": `${number(r.passes)} passes, ${number(wait)} waiting` },
      make("span", { class: "solid", style: `width:${100 * Math.min(r.passes, r.charged) / most}%` }),
      make("span", { class: "hatch", style: `width:${100 * wait / most}%` }));
    const jump = make("button", { class: "jump", title: "Show in the timeline", onclick: () => {
      const pad = (r.last - r.first) * .03 + 4;
      timeline.window(r.first - pad, r.last + pad);
      $("timeline").scrollIntoView({ block: "center" });
    } }, r.label);
    return make("tr", {}, make("th", { scope: "row" }, jump), ...[number(r.charged), percent(r.charged, run.cycles), number(r.passes), number(wait)]
      .map((text) => make("td", { class: "n" }, text)), make("td", { class: "bar" }, meter));
  });
  $("charges").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function fill() {
  const depth = data.config["queue depth"], rows = data.fill.map(([name, used]) => make("tr", {}, make("th", { scope: "row" }, name),
    make("td", { class: "n" }, number(used)), make("td", { class: "n" }, percent(used, depth)),
    make("td", { class: "bar" }, make("div", { class: "meter" }, make("span", { class: "solid", style: `width:${100 * used / depth}%` })))));
  $("fill").replaceChildren(make("caption", {}, `Words of ${number(depth)} in each queue, all entries together`), make("tbody", {}, ...rows));
}

function places() {
  const style = (i, name) => (name === "image" ? "var(--none)" : `var(--c${i % 8})`);
  const all = [...data.contexts, ...data.memory];
  $("places").replaceChildren(...all.map((map) => {
    const used = map.parts.reduce((sum, [, count]) => sum + count, 0);
    const bar = make("div", { class: "map", role: "img", "aria-label": `${map.name}: ${percent(used, map.size)} used` },
      ...map.parts.map(([first, count, name], i) => make("span", {
        class: 100 * count / map.size < 4 ? "narrow" : "",
        style: `left:${100 * first / map.size}%;width:${100 * count / map.size}%;background:${style(i, name)}`, title: `${name}: ${first} to ${first + count - 1}` }, name)));
    const table = make("table", {}, make("tbody", {}, ...map.parts.map(([first, count, name]) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", { class: "n" }, `${number(first)} – ${number(first + count - 1)}`), make("td", { class: "n" }, `${number(count)} ${map.unit}`)))));
    return make("div", { class: "place" }, make("h3", {}, `${map.name}: ${number(used)} of ${number(map.size)} ${map.unit}, ${percent(used, map.size)}`), bar,
      ...(map.parts.length ? [make("details", {}, make("summary", {}, "As a table"), make("div", { class: "scroll" }, table))] : []));
  }));
}

function about() {
  const facts = { ...data.config, ...data.model, entry: data.entry, "cycles predicted": data.formula ?? "–" };
  $("config").replaceChildren(make("tbody", {}, ...Object.entries(facts).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "wrap" }, String(value))))));
  $("subtitle").textContent = [data.config.name, `${data.config.lanes} lanes`, `entry ${data.entry}`,
    ...Object.entries(data.model).filter(([n]) => n !== "source").slice(0, 5).map(([n, v]) => `${n} ${v}`)].join(" · ");
}

// Words for a visit -----------------------------------------------------------------------------

function describe({ n, i }) {
  const row = timeline.rows[n], w = row.word[i], [text, count] = row.queue.words[w], label = row.queue.labels[w];
  const when = row.end[i] - row.start[i] > 1 ? `cycles ${number(row.start[i])} to ${number(row.end[i] - 1)}` : `cycle ${number(row.start[i])}`;
  return [make("code", {}, text), make("br"), `${row.queue.name} word ${w}, ${when}${count > 1 ? `, ${count} dispatches` : ""}`,
    ...(label < 0 ? [] : [make("br"), data.labels[label]])];
}

function hover(event) {
  const box = $("timeline").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const found = timeline.at(x, y), tip = $("tip");
  tip.hidden = !found;
  if (!found) return;
  tip.replaceChildren(...describe(found));
  tip.style.left = `${Math.max(0, Math.min(x + 12, box.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 16}px`;
}

function step(rowStep, visitStep) {
  const n = (timeline.selected + rowStep + timeline.rows.length) % timeline.rows.length, row = timeline.rows[n];
  const near = above(row.end, timeline.marked < 0 || rowStep ? timeline.from : -1);
  timeline.mark(n, timeline.marked < 0 || rowStep ? near : timeline.marked + visitStep);
  $("cursor").replaceChildren(...(row.n ? describe({ n, i: timeline.marked }) : [`${row.queue.name}: nothing in this run`]));
}

// Controls --------------------------------------------------------------------------------------

function choose(index) {
  run = data.runs[index];
  timeline.show(decode(data, run), run.cycles);
  figures(); charges();
  $("cursor").replaceChildren(); $("tip").hidden = true;
}

const KEYS = {
  "+": () => timeline.zoom(.5), "=": () => timeline.zoom(.5), "-": () => timeline.zoom(2), "0": () => timeline.window(0, timeline.cycles),
  ArrowLeft: () => timeline.pan(-.2), ArrowRight: () => timeline.pan(.2), Home: () => timeline.window(0, timeline.to - timeline.from),
  End: () => timeline.window(timeline.cycles, timeline.cycles + timeline.to - timeline.from),
  ArrowUp: () => step(-1, 0), ArrowDown: () => step(1, 0), ",": () => step(0, -1), ".": () => step(0, 1),
};

/** Keep a drag that leaves the element; an event that no pointer made has nothing to capture. */
function capture(element, event) { if (event.isTrusted) element.setPointerCapture(event.pointerId); }

function wire() {
  const canvas = $("timeline"), strip = $("occupancy");
  let held = null;
  canvas.onwheel = (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) timeline.pan((event.deltaX || event.deltaY) / 1000);
    else timeline.zoom(1.2 ** Math.sign(event.deltaY), timeline.cycle(Math.max(GUTTER, event.offsetX)));
  };
  canvas.onpointerdown = (event) => { held = event.clientX; capture(canvas, event); canvas.classList.add("drag"); };
  canvas.onpointermove = (event) => {
    if (held === null) return hover(event);
    timeline.pan((held - event.clientX) / (timeline.width - GUTTER)); held = event.clientX;
  };
  canvas.onpointerup = canvas.onpointercancel = () => { held = null; canvas.classList.remove("drag"); };
  canvas.onpointerleave = () => { $("tip").hidden = true; };
  canvas.onkeydown = (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); KEYS[event.key]();
  };
  canvas.onfocus = canvas.onblur = () => timeline.draw();
  strip.onpointerdown = (event) => { capture(strip, event); strip.onpointermove(event); };
  strip.onpointermove = (event) => {
    if (!event.buttons && event.type === "pointermove") return;
    const centre = (event.offsetX - GUTTER) / (strip.clientWidth - GUTTER) * timeline.cycles, half = (timeline.to - timeline.from) / 2;
    timeline.window(centre - half, centre + half);
  };
  $("zoom-in").onclick = KEYS["+"]; $("zoom-out").onclick = KEYS["-"]; $("fit").onclick = KEYS["0"];
  $("left").onclick = KEYS.ArrowLeft; $("right").onclick = KEYS.ArrowRight;
  const redraw = () => { colours(); timeline.draw(); occupancy(); };
  $("colour").onchange = redraw; $("rows").onchange = charges;
  $("run").onchange = () => choose($("run").selectedIndex);
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

const option = (text) => make("option", {}, text);
$("run").append(...data.runs.map((r) => option(r.name)));
$("colour").append(...Object.keys(COLOURS).filter((name) => COLOURS[name].when).map(option));
$("rows").append(...Object.keys(GROUPINGS).filter((name) => layered || name === "layer").map(option));
colours(); wire(); fill(); places(); about(); choose(0);
document.documentElement.dataset.ready = "yes";
