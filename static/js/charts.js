// Bar charts from tables: an element with data-chart (the table's id), data-from, data-to and data-step in seconds.
// The table's head has the parts of a bar (data-part), bottom to top; each row has its time (data-at) and a link, which
// its bar opens too. Dragging over bars opens their period: data-query has the other parameters, data-page the path, by default that of the page. Charts in fragments are drawn after htmx swaps them in; an open table is not replaced.
(() => {
  "use strict";
  const drawn = new Map(); // place → its uPlot
  const two = (n) => String(n).padStart(2, "0");
  const month = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

  function clock(seconds, step) {
    const at = new Date(seconds * 1000);
    const day = month.format(at);
    if (step >= 86400) return day;
    const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    return step < 60 ? `${time}:${two(at.getUTCSeconds())}` : time;
  }

  // {parts: [{name, words}], starts: [s], counts: [[…] a part], links: {start: address}}
  function read(place) {
    const table = document.getElementById(place.dataset.chart);
    const parts = Array.from(table.querySelectorAll("[data-part]"), (th) => ({
      name: th.dataset.part,
      words: th.textContent,
    }));
    const [from, to, step] = [place.dataset.from, place.dataset.to, place.dataset.step].map(Number);
    const starts = [];
    for (let at = from; at < to; at += step) starts.push(at);
    const counts = parts.map(() => new Array(starts.length).fill(0));
    const links = {};
    for (const row of table.querySelectorAll("[data-at]")) {
      const index = (Number(row.dataset.at) - from) / step;
      const cells = Array.from(row.querySelectorAll("td")).slice(0, parts.length); // others follow
      for (const [part, cell] of cells.entries()) counts[part][index] = Number(cell.textContent.replaceAll(",", ""));
      links[index] = row.querySelector("a").href;
    }
    return { parts, starts, counts, links, step };
  }

  // Resolves a custom property to a colour that canvas accepts: only an element evaluates light-dark().
  function colour(place, value) {
    const probe = document.createElement("span");
    probe.style.color = value;
    place.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function draw(place) {
    drop(place);
    const { parts, starts, counts, links, step } = read(place);
    const under = (part) => starts.map((_, i) => counts.slice(0, part).reduce((sum, one) => sum + one[i], 0));
    const feet = parts.map((_, part) => under(part)); // where each part starts in its bar
    const tops = parts.map((_, part) => under(part + 1));
    const seen = tops.map((top, part) => top.map((sum, i) => (counts[part][i] ? sum : null))); // no line for zero
    const ink = colour(place, "var(--tblr-secondary)");
    const bars = (part) =>
      uPlot.paths.bars({
        size: [0.76, 34],
        align: 1,
        disp: { y0: { values: () => feet[part] }, y1: { values: () => seen[part] } },
      });
    const tip = document.createElement("div");
    tip.className = "bars-tip";
    tip.hidden = true;
    const point = (chart) => {
      const { left, idx } = chart.cursor;
      const at = left < 0 ? -1 : Math.floor((chart.posToVal(left, "x") - starts[0]) / step);
      tip.hidden = idx == null || !(at in starts);
      if (tip.hidden) return;
      const head = document.createElement("b");
      const end = starts[at] + step;
      head.textContent =
        step >= 86400
          ? clock(starts[at], step)
          : `${month.format(new Date(starts[at] * 1000))}, ${clock(starts[at], step)}–${clock(end, step)} UTC`;
      const said = parts.map((part, i) => [part.words, counts[i][at]]).filter(([, count]) => count);
      const rows = said.map(([words, count]) => {
        const row = document.createElement("div");
        row.textContent = `${count.toLocaleString("en")} ${words.toLowerCase()}`;
        return row;
      });
      if (!rows.length) rows.push(document.createTextNode("nothing"));
      tip.replaceChildren(head, ...rows);
      const middle = chart.over.offsetLeft + left;
      const right = middle > place.clientWidth / 2;
      tip.style.left = right ? "" : `${middle + 12}px`;
      tip.style.right = right ? `${place.clientWidth - middle + 12}px` : "";
      chart.over.style.cursor = at in links ? "pointer" : "default";
    };
    // the hours from the first bar under the dragged area to the last
    let isChosen = false;
    const choose = (chart) => {
      isChosen = chart.select.width > 4;
      if (!isChosen) return;
      const at = (left) => Math.floor((chart.posToVal(left, "x") - starts[0]) / step);
      const [first, last] = [at(chart.select.left), at(chart.select.left + chart.select.width - 1)];
      const end = (place) => new Date((starts[0] + place * step) * 1000).toISOString().slice(0, 19);
      const query = new URLSearchParams(place.dataset.query);
      query.set("from", end(Math.max(first, 0)));
      query.set("to", end(Math.min(last, starts.length - 1) + 1));
      window.location.assign(`${place.dataset.page || ""}?${query}`);
    };
    const chart = new uPlot(
      {
        width: place.clientWidth,
        height: place.clientHeight,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        legend: { show: false },
        padding: [2, 28, 0, 28], // half of 00:00:00, the longest label, at the first and the last bar
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
        scales: {
          x: { time: true, range: () => [starts[0], starts[starts.length - 1] + step] },
          y: { range: (_, _low, high) => [0, Math.max(high * 1.05, 1)] },
        },
        axes: [
          {
            stroke: ink,
            grid: { show: false },
            ticks: { show: false },
            size: 16,
            gap: 2,
            font: "11px system-ui",
            space: 70,
            values: (_, splits) =>
              splits.map((at) =>
                at % 86400 === 0 ? month.format(new Date(at * 1000)) : clock(at, Math.min(step, 3600)),
              ),
          },
          { show: false },
        ],
        series: [
          {},
          ...parts.map(({ name, words }, part) => ({
            label: words,
            fill: colour(place, `var(--chart-${name})`),
            width: 0,
            paths: bars(part),
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [point], setSelect: [choose] },
      },
      [starts, ...tops],
      place,
    );
    place.append(tip);
    chart.over.addEventListener("click", () => {
      if (isChosen) return;
      const at = Math.floor((chart.posToVal(chart.cursor.left, "x") - starts[0]) / step);
      if (links[at]) window.location.assign(links[at]);
    });
    drawn.set(place, chart);
    sizes.observe(place);
  }

  function drop(place) {
    drawn.get(place)?.destroy();
    drawn.delete(place);
    place.replaceChildren();
  }

  function drawAll() {
    for (const place of drawn.keys())
      if (!place.isConnected) {
        sizes.unobserve(place);
        drop(place);
      }
    for (const place of document.querySelectorAll("[data-chart]")) if (!drawn.has(place)) draw(place);
  }
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      drawn.get(target)?.setSize({ width: target.clientWidth, height: target.clientHeight });
    }
  });
  const redraw = () => {
    for (const place of Array.from(drawn.keys())) draw(place);
  };
  new MutationObserver(redraw).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-bs-theme"],
  });
  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (part.id === "overview" && part.querySelector("details[open]")) event.preventDefault();
  });
})();
