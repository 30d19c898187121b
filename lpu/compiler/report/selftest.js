// With #selftest behind its address the page uses itself, by events as a person's hand would make them, and writes what
// came of it into the document: a browser without a window can then say whether the page works.

function selftest() {
  const canvas = timeline.canvas, report = { runs: [] };
  const shown = () => canvas.dataset.window;
  const key = (name) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const at = (type, x, y, more = {}) => {
    const box = canvas.getBoundingClientRect();
    const Kind = type === "wheel" ? WheelEvent : PointerEvent;
    canvas.dispatchEvent(new Kind(type, { clientX: box.left + x, clientY: box.top + y, bubbles: true, cancelable: true, ...more }));
  };
  /** Rows of the timeline in which some pixel has a colour of the palette, not of axis or background. */
  const inked = () => {
    const g = canvas.getContext("2d"), ratio = canvas.width / canvas.clientWidth;
    return timeline.rows.filter((row, n) => {
      const pixels = g.getImageData(GUTTER * ratio, (timeline.top(n) + 2) * ratio, canvas.width - GUTTER * ratio, (ROW - 4) * ratio).data;
      for (let i = 0; i < pixels.length; i += 4) {
        const most = Math.max(pixels[i], pixels[i + 1], pixels[i + 2]), least = Math.min(pixels[i], pixels[i + 1], pixels[i + 2]);
        if (pixels[i + 3] > 200 && most - least > 60) return true;
      }
      return false;
    }).map((row) => row.queue.name);
  };
  data.runs.forEach((_, index) => {
    $("run").selectedIndex = index;
    $("run").dispatchEvent(new Event("change"));
    report.runs.push({ name: run.name, cycles: $("figures").querySelector("dd").firstChild.textContent, window: shown(), inked: inked(),
      drawn: Number(canvas.dataset.drawn), rows: $("charges").rows.length - 1 });
  });
  report.whole = shown();
  at("wheel", (GUTTER + timeline.width) / 2, 60, { deltaY: -100 }); report.wheel = shown();
  $("zoom-in").click(); report.button = shown();
  key("+"); report.key = shown();
  at("pointerdown", 500, 60); at("pointermove", 450, 60); at("pointerup", 450, 60); report.drag = shown();
  key("Home"); report.home = shown();
  key("0"); report.again = shown();
  const n = timeline.rows.findIndex((row) => row.n), row = timeline.rows[n];
  timeline.window(row.start[0] - 4, row.start[0] + 12);
  at("pointermove", timeline.x(row.start[0]) + 2, timeline.top(n) + ROW / 2);
  report.hover = $("tip").hidden ? "" : $("tip").textContent;
  timeline.selected = n; timeline.marked = -1;
  key("."); report.next = $("cursor").textContent;
  $("colour").value = "instruction"; $("colour").dispatchEvent(new Event("change"));
  report.legend = [...$("legend").children].map((item) => item.textContent);
  report.maps = document.querySelectorAll(".map").length;
  report.fill = $("fill").rows.length;
  report.verdict = $("verdict").textContent;
  report.unnamed = [...document.querySelectorAll("button, select, canvas")].filter((e) =>
    !e.textContent.trim() && !e.getAttribute("aria-label") && !e.closest("label")).map((e) => e.id);
  return report;
}

if (location.hash === "#selftest") {
  let found;
  try { found = selftest(); } catch (error) { found = { error: `${error}\n${error.stack}` }; }
  $("selftest").textContent = JSON.stringify(found);
}
