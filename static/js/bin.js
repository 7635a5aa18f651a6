// The live list of a bin (templates/testing_tools/verification/bin.html): a poll puts new rows into #incoming. They are
// moved into the list when no visible row shifts; otherwise a button says "7 new, show".
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const TOPBAR = 64; // px covered by the sticky bar

  function isAtTop() {
    const list = at("captures");
    return list.scrollTop < 4 && list.getBoundingClientRect().top >= TOPBAR - 4;
  }
  // while rows are held back, the area between a row and the button counts too
  function isUnderCursor() {
    return (at("held").hidden ? at("captures") : at("captures").closest(".bin-list")).matches(":hover");
  }
  function isPaused() {
    return at("pause")?.getAttribute("aria-pressed") === "true";
  }
  function isEmpty() {
    return at("bin").hasAttribute("data-empty");
  }

  function showIncoming(isRequested) {
    const incoming = at("incoming");
    const list = at("captures");
    const held = at("held");
    if (!incoming?.children.length) return;
    if (!isRequested && (isPaused() || (!isEmpty() && (!isAtTop() || isUnderCursor())))) {
      const count = incoming.children.length;
      held.textContent = `${count} new, show`;
      held.hidden = false;
      return;
    }
    const count = incoming.children.length;
    for (const row of Array.from(incoming.children).reverse()) {
      if (at(row.id) !== row) continue; // it is already in the list
      list.prepend(row);
      window.htmx.process(row); // htmx would read it 20 ms later; until then a click loads a whole page
    }
    incoming.replaceChildren();
    held.hidden = true;
    at("bin").removeAttribute("data-empty");
    document.querySelector(".bin-none")?.remove();
    at("silence")?.replaceChildren();
    const rows = list.querySelectorAll("li:not(.older)");
    const keep = Number(at("bin").dataset.keep);
    for (const row of Array.from(rows).slice(keep)) row.remove(); // at the end, so nothing shifts
    at("announcer").textContent = count === 1 ? "1 new request." : `${count} new requests.`;
    document.dispatchEvent(new CustomEvent("bin:arrived"));
  }

  // the checklist is above the list and would shift it; it is polled again in 15 seconds
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "silence" && isUnderCursor()) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "incoming") showIncoming(false);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#held")) {
      showIncoming(true);
      at("captures").scrollTop = 0;
      if (!isAtTop()) at("bin").scrollIntoView({ block: "start" });
    }
  });
  // with a modifier key the browser opens a new tab; htmx would handle the click too, so hide it from htmx
  document.addEventListener(
    "click",
    (event) => {
      const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey;
      if (hasModifier && event.target.closest(".capture-row")) event.stopPropagation();
    },
    true,
  );
  addEventListener("scroll", () => showIncoming(false), { passive: true });
  function watchList() {
    const list = at("captures");
    if (!list) return;
    list.addEventListener("scroll", () => showIncoming(false), { passive: true });
    list.closest(".bin-list").addEventListener("pointerleave", () => showIncoming(false));
  }
  document.addEventListener("DOMContentLoaded", watchList);
  // the filter replaces the list: requests that were held for the one before do not belong to it
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target.id === "bin-list") at("incoming").replaceChildren();
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.requestConfig.elt.matches(".bin-filter")) watchList();
  });
})();
