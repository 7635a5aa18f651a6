// The script of every page: theme, copying, revealing, relative times, countdowns, the chooser's filter and a few keys.
// All events are delegated, so fragments that htmx loads need no set-up. Failed requests: request-errors.js.
(() => {
  "use strict";
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  // Announces `text` to screen readers.
  const announce = (text) => {
    const place = document.getElementById("announcer");
    if (place) place.textContent = text;
  };

  // -- read-only pages: controls that change something are disabled; the server refuses the change in any case
  function disableControls() {
    for (const form of $$("main[data-read-only] form[method=post]:not([data-open-to-viewers])")) {
      for (const control of form.elements) control.disabled = true;
    }
    for (const button of $$("main[data-read-only] button[hx-post], main[data-read-only] button[form]"))
      button.disabled = true;
  }
  document.addEventListener("htmx:afterSettle", disableControls);
  disableControls();

  // -- theme: buttons with data-theme-value
  function markTheme() {
    const choice = document.documentElement.dataset.themeChoice;
    for (const button of $$("[data-theme-value]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeValue === choice));
    }
  }

  // -- copy: data-copy holds the text, or data-copy-from the selector of its element
  async function copy(button) {
    const from = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
    const text = from ? ("value" in from ? from.value : from.textContent) : button.dataset.copy;
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      done = copyWithSelection(text); // the clipboard API needs https or localhost
    }
    button.dataset.copied = done ? "yes" : "no";
    announce(done ? "Copied." : "This browser did not allow copying. Select the text and copy it.");
    clearTimeout(button.copyTimer);
    button.copyTimer = setTimeout(() => delete button.dataset.copied, 1600);
  }
  function copyWithSelection(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    area.setAttribute("aria-hidden", "true");
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (before) before.focus();
    return done;
  }

  // -- reveal: data-reveal holds the id of an <input type=password>
  function reveal(button) {
    const input = document.getElementById(button.dataset.reveal);
    const show = input.type === "password";
    input.type = show ? "text" : "password";
    button.setAttribute("aria-pressed", String(show));
    const what = button.dataset.what || "secret";
    button.setAttribute("aria-label", (show ? "Hide the " : "Show the ") + what);
  }

  // -- times: <time datetime data-ago>; the words are those of relative() in chatapi/ui/templatetags/ui.py (test_relative_times.py)
  function relative(then, now) {
    const seconds = (now - then) / 1000;
    const distance = Math.abs(seconds);
    if (distance < 5) return "just now";
    const units = [
      [86400, "day"],
      [3600, "h"],
      [60, "min"],
      [1, "s"],
    ];
    const words = (count, unit) => `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`;
    const place = units.findIndex(([size]) => distance >= size);
    const [size, unit] = units[place];
    if (seconds > 0) return `${words(Math.floor(distance / size), unit)} ago`;
    const count = Math.floor(distance / size + 0.5);
    const larger = units[place - 1];
    return `in ${larger && count * size >= larger[0] ? words(1, larger[1]) : words(count, unit)}`;
  }
  // -- clocks: <time datetime data-clock>, in the time zone that the user has chosen, else in the browser's; the words
  // are those of clock() in ui.py
  const format = (options) => {
    const timeZone = document.documentElement.dataset.timeZone;
    try {
      return new Intl.DateTimeFormat("en-GB", { ...options, timeZone });
    } catch {
      return new Intl.DateTimeFormat("en-GB", options); // the browser does not know the zone
    }
  };
  const wholeTime = format({ dateStyle: "long", timeStyle: "long" });
  const date = format({ dateStyle: "short" });
  const day = format({ day: "numeric", month: "short" });
  const time = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  function clock(then, now) {
    const isToday = date.format(then) === date.format(now);
    return isToday ? time.format(then) : `${day.format(then)} ${time.format(then)}`;
  }
  // -- countdowns: data-countdown holds the end (ISO 8601); at zero, the text of data-ended replaces it
  function remaining(end, now) {
    const seconds = Math.max(0, Math.ceil((end - now) / 1000));
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (n) => String(n).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  }
  function tick() {
    const now = Date.now();
    for (const time of $$("time[data-ago]")) {
      const words = relative(new Date(time.dateTime), now);
      if (time.textContent !== words) time.textContent = words;
      time.title = wholeTime.format(new Date(time.dateTime));
    }
    for (const time of $$("time[data-clock]")) {
      const then = new Date(time.dateTime);
      const words = clock(then, new Date(now));
      if (time.textContent !== words) time.textContent = words;
      time.title = `${relative(then, now)} · ${wholeTime.format(then)}`;
    }
    for (const place of $$("[data-countdown]")) {
      const end = new Date(place.dataset.countdown);
      place.textContent = remaining(end, now);
      if (end > now) continue;
      delete place.dataset.countdown;
      const whole = place.closest("[data-ended]");
      if (whole) {
        whole.replaceChildren(whole.dataset.ended);
        whole.classList.add("ended");
        announce(whole.dataset.ended);
      }
      place.dispatchEvent(new CustomEvent("countdown:end", { bubbles: true }));
    }
  }

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    const theme = at("[data-theme-value]");
    if (theme) {
      window.chooseTheme(theme.dataset.themeValue);
      return markTheme();
    }
    const copyButton = at("[data-copy], [data-copy-from]");
    if (copyButton) return void copy(copyButton);
    const revealButton = at("[data-reveal]");
    if (revealButton) return reveal(revealButton);
    const closer = at("[data-close]");
    if (closer) return void closer.closest(closer.dataset.close).remove();
  });
  // -- selecting rows: a form with data-bulk; its checkboxes refer to it by `form`, [data-bulk-all] selects all
  function countSelected(form) {
    const boxes = Array.from(form.elements).filter((box) => box.type === "checkbox" && box.name);
    const selected = boxes.filter((box) => box.checked).length;
    const all = Array.from(form.elements).find((box) => box.matches("[data-bulk-all]"));
    form.hidden = !selected;
    all.checked = selected > 0 && selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
    form.querySelector("[data-bulk-count]").textContent = `${selected} selected`;
    form.querySelector("[type=submit]").disabled = !selected;
  }
  function countAllSelected() {
    for (const form of $$("[data-bulk]")) countSelected(form);
  }
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (!form || !("bulk" in form.dataset)) return;
    if (event.target.matches("[data-bulk-all]")) {
      for (const box of form.elements) if (box.type === "checkbox" && box.name) box.checked = event.target.checked;
    }
    countSelected(form);
  });
  // Shift and a click select the rows from the last one that was clicked.
  let lastBox = null;
  document.addEventListener("click", (event) => {
    const box = event.target;
    if (!box.matches?.("input[type=checkbox][name]") || !("bulk" in (box.form?.dataset || {}))) return;
    const boxes = Array.from(box.form.elements).filter((one) => one.type === "checkbox" && one.name);
    const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
    lastBox = box;
  });
  document.addEventListener("DOMContentLoaded", countAllSelected);
  document.addEventListener("htmx:afterSettle", countAllSelected);

  // -- keys: "/" goes to the page's search, "j" and "k" to the next and the previous row of a list; Enter opens a row
  function goToSearch() {
    const search = document.querySelector("[data-search]");
    search?.focus();
    search?.select();
    return search;
  }
  function goToRow(step) {
    const links = Array.from(document.querySelectorAll("[data-walk] a.stretched-link"));
    const index = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const link = links[index < 0 ? 0 : index + step];
    link?.focus();
    return link;
  }
  const keys = { "/": goToSearch, j: () => goToRow(1), k: () => goToRow(-1) };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    // checkboxes of the rows have the focus while rows are selected
    if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (!document.querySelector("dialog[open]") && keys[event.key]()) event.preventDefault();
  });
  // opening the chooser focuses its filter
  document.addEventListener("shown.bs.dropdown", (event) => {
    event.target.parentElement.querySelector("[data-first-focus]")?.focus();
  });

  document.addEventListener("htmx:afterSettle", () => tick());

  // -- focus: a form's response replaces or disables the focused button. The result is focused, or the field with the
  // error. Polling does not move the focus. A disabled button keeps the focus until the browser draws the page, so that
  // it still has it if the response was faster.
  document.addEventListener("htmx:afterSettle", (event) => {
    const request = event.detail.requestConfig;
    const focused = document.activeElement;
    const isFree = focused === document.body || focused === request?.triggeringEvent?.submitter;
    if (request?.verb === "get" || !isFree) return;
    const place = event.target.querySelector("[aria-invalid=true]") || event.target.querySelector("[data-focus]");
    if (place) place.focus();
  });

  // the choice of no zone names the browser's
  const browserZone = document.querySelector("#id_time_zone option[value='']");
  if (browserZone) browserZone.textContent += `: ${new Intl.DateTimeFormat().resolvedOptions().timeZone}`;

  markTheme();
  tick();
  setInterval(tick, 1000);
})();
