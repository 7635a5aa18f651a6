// The live list of a bin (templates/testing/bin.html): new rows come in by a poll, wait in #incoming, and are let
// into the list only when that moves nothing under the reader's eyes or cursor; else "7 new, show" is said.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const TOPBAR = 64; // px that the sticky bar covers

  function isAtTop() {
    const list = at("captures");
    return list.scrollTop < 4 && list.getBoundingClientRect().top >= TOPBAR - 4;
  }
  // once something is held back, the way from a row to the button that shows it counts too
  function isUnderCursor() {
    return (at("held").hidden ? at("captures") : at("captures").closest(".bin-list")).matches(":hover");
  }
  function isPaused() {
    return at("pause")?.getAttribute("aria-pressed") === "true";
  }
  function isFirst() {
    return at("bin").hasAttribute("data-empty");
  }

  function admit(asked) {
    const incoming = at("incoming");
    const list = at("captures");
    const held = at("held");
    if (!incoming?.children.length) return;
    if (!asked && (isPaused() || (!isFirst() && (!isAtTop() || isUnderCursor())))) {
      const count = incoming.children.length;
      held.textContent = `${count} new, show`;
      held.hidden = false;
      return;
    }
    const count = incoming.children.length;
    for (const row of Array.from(incoming.children).reverse()) {
      if (at(row.id) === row) list.prepend(row); // a row that is there already comes second, and is left out
    }
    incoming.replaceChildren();
    held.hidden = true;
    at("bin").removeAttribute("data-empty");
    document.querySelector(".bin-none")?.remove();
    at("silence")?.replaceChildren();
    const rows = list.querySelectorAll("li:not(.older)");
    const keep = Number(at("bin").dataset.keep);
    for (const row of Array.from(rows).slice(keep)) row.remove(); // at the end: moves nothing
    at("announcer").textContent = count === 1 ? "1 new request." : `${count} new requests.`;
  }

  function close() {
    at("bin").removeAttribute("data-open");
    const chosen = document.querySelector("#captures [aria-current]");
    (chosen || at("captures")).focus();
  }

  // the checklist is above the list and would push it down; its next poll is in 15 seconds
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "silence" && isUnderCursor()) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "incoming") admit(false);
    if (event.detail.target.id === "capture") {
      at("bin").setAttribute("data-open", "");
      // on a small screen the pane takes the list's place
      if (getComputedStyle(at("captures")).visibility === "hidden" || at("captures").offsetParent === null) {
        at("capture").scrollIntoView({ block: "start" });
        at("capture").focus({ preventScroll: true });
      }
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#held")) {
      admit(true);
      at("captures").scrollTop = 0;
      if (!isAtTop()) at("bin").scrollIntoView({ block: "start" });
    }
    const row = event.target.closest(".capture-row");
    if (row) {
      for (const other of document.querySelectorAll("#captures [aria-current]")) other.removeAttribute("aria-current");
      row.setAttribute("aria-current", "true");
      row.classList.remove("unread");
      row.querySelector(".capture-unread")?.remove();
    }
    if (event.target.closest("[data-bin-back]")) close();
  });
  // with a key held the browser opens a new tab; htmx, which would take the click all the same, must not see it
  document.addEventListener(
    "click",
    (event) => {
      const keyed = event.ctrlKey || event.metaKey || event.shiftKey;
      if (keyed && event.target.closest(".capture-row")) event.stopPropagation();
    },
    true,
  );
  // the chosen tab stays chosen for the next capture
  document.addEventListener("shown.bs.tab", (event) => {
    if (event.target.dataset.tab) at("tab").value = event.target.dataset.tab;
  });
  addEventListener("scroll", () => admit(false), { passive: true });
  document.addEventListener("DOMContentLoaded", () => {
    const list = at("captures");
    if (!list) return;
    list.addEventListener("scroll", () => admit(false), { passive: true });
    list.closest(".bin-list").addEventListener("pointerleave", () => admit(false));
  });
})();
