// The tools of a bin (templates/testing_tools/verification/bin.html): dialog, delete, keyboard shortcuts.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const rows = () => Array.from(document.querySelectorAll("#captures .capture-row"));
  const chosen = () => document.querySelector("#captures .capture-row[aria-current]");

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "undo") showNext();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) at("keys").showModal();
    if (event.target.closest("#pause")) togglePause();
  });

  // -- hold new requests
  function togglePause() {
    const button = at("pause");
    if (!button) return;
    const held = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(held));
    const label = held ? "Show new requests" : "Hold new requests";
    button.setAttribute("aria-label", label);
    button.title = `${label} (p)`;
    at("announcer").textContent = held ? "New requests are held." : "New requests are shown.";
    if (!held) at("held").click();
  }

  // -- collapse and expand all levels of a body; the first one stays open
  function showFoldButton() {
    for (const button of document.querySelectorAll("[data-fold-all]")) {
      button.hidden = !document.querySelector(`${button.dataset.foldAll} .fold .fold`);
    }
  }
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-fold-all]");
    if (!button) return;
    const folds = document.querySelectorAll(`${button.dataset.foldAll} .fold .fold`);
    const opens = !Array.from(folds).some((fold) => fold.open);
    for (const fold of folds) fold.open = opens;
    button.textContent = opens ? "Collapse all" : "Expand all";
  });
  document.addEventListener("htmx:afterSettle", showFoldButton);
  document.addEventListener("DOMContentLoaded", showFoldButton);

  // -- delete: then show the next request
  let next = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!event.detail.elt.matches("[data-delete]")) return;
    const all = rows();
    const index = all.indexOf(chosen());
    next = index < 0 ? null : all[index + 1] || all[index - 1] || null;
  });
  function showNext() {
    if (next?.isConnected) next.click();
    else location.assign(document.querySelector(".bin-filter").action); // it was the last one: show the empty list
  }

  // -- keyboard shortcuts. Keys for the request that is shown wait while the pane is loading, or the request is being
  // deleted: they must not apply to the previous request, nor be lost.
  let waitingKeys = [];
  function isPaneBusy() {
    return (
      chosen()?.classList.contains("htmx-request") || document.querySelector("#capture [data-delete].htmx-request")
    );
  }
  function move(step) {
    waitingKeys = [];
    const all = rows();
    if (!all.length) return;
    const index = all.indexOf(chosen());
    const row = all[index < 0 ? 0 : Math.min(all.length - 1, Math.max(0, index + step))];
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
    row.click();
  }
  function press(name) {
    if (isPaneBusy()) {
      waitingKeys.push(name);
      return;
    }
    const button = document.querySelector(
      /\d/.test(name) ? `.capture-tabs li:nth-child(${name}) [data-tab]` : `#capture [data-key="${name}"]`,
    );
    if (!button) return;
    const popup = button.closest(".popup");
    if (popup) {
      popup.open = true; // so that "Copied" is visible
      setTimeout(() => (popup.open = false), 1600);
    }
    button.click();
  }
  function pressWaiting() {
    const names = waitingKeys;
    waitingKeys = [];
    for (const name of names) press(name); // after "d" the others wait again
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful } = event.detail;
    if (elt !== chosen() && !elt.matches("[data-delete]")) return;
    if (!successful) waitingKeys = [];
    else if (elt === chosen()) pressWaiting();
  });
  // another request was chosen with the mouse
  document.addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest(".capture-row")) waitingKeys = [];
  });
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    p: togglePause,
    "?": () => at("keys")?.showModal(),
  };
  for (const name of "crd1234567") keys[name] = () => press(name);
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !at("bin")) return;
    if (event.target.matches("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]"))
      return;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }
  // before this event htmx has not read the page, and a click on a link would load a whole page
  document.addEventListener("DOMContentLoaded", () => document.addEventListener("keydown", onKey));
})();
