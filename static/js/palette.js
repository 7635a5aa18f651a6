// The search of every page: Ctrl+K (⌘K) or its button opens the dialog. Arrow keys select a result, Enter opens it; the
// field keeps the focus. The results are the server's (instances/pages/search); without JavaScript, the button is a link.
(() => {
  "use strict";
  const PAUSE = 150; // ms
  const palette = document.getElementById("palette");
  const input = document.getElementById("palette-input");
  const results = document.getElementById("palette-results");
  const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
  let timer;
  let opensFirst = false; // Enter was pressed before the results of the text were shown

  const options = () => Array.from(results.querySelectorAll("[role=option]"));
  const selected = () => results.querySelector("[aria-selected=true]");
  const shownQuery = () => results.querySelector("[data-query]")?.dataset.query;

  function select(option) {
    selected()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", option?.id || "");
    option?.scrollIntoView({ block: "nearest" });
  }
  function search() {
    clearTimeout(timer);
    window.htmx.trigger(input, "palette-search");
  }
  function open() {
    palette.showModal();
    input.focus();
    input.select();
    if (shownQuery() !== input.value.trim()) search();
  }

  if (isMac) for (const key of document.querySelectorAll("[data-palette-key]")) key.textContent = "⌘ K";
  document.addEventListener("click", (event) => {
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (!event.target.closest("[data-palette]") || !isPlain) return;
    event.preventDefault();
    open();
  });
  document.addEventListener("keydown", (event) => {
    const isKey = event.key?.toLowerCase() === "k" && (isMac ? event.metaKey : event.ctrlKey);
    if (!isKey || event.altKey || event.shiftKey) return;
    event.preventDefault(); // browsers have a search of their own there
    if (palette.open) palette.close();
    else if (!document.querySelector("dialog[open]")) open();
  });
  input.addEventListener("input", () => {
    opensFirst = false;
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const all = options();
    const index = all.indexOf(selected());
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (Object.hasOwn(steps, event.key) && all.length) {
      event.preventDefault();
      select(all[(index + steps[event.key] + all.length) % all.length]);
    } else if (event.key === "Escape") {
      event.preventDefault(); // the browser only empties a search field that has text
      palette.close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shownQuery() === input.value.trim()) selected()?.click();
      else {
        opensFirst = true;
        search();
      }
    }
  });
  results.addEventListener("mousemove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && option !== selected()) select(option);
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== results) return;
    select(options()[0]);
    results.scrollTop = 0;
    document.getElementById("announcer").textContent = results.querySelector("[data-found]").dataset.found;
    if (opensFirst && shownQuery() === input.value.trim()) selected()?.click();
    opensFirst = false;
  });
  palette.addEventListener("close", () => {
    opensFirst = false;
    clearTimeout(timer);
  });
})();
