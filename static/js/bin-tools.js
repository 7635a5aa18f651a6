// What is done with a bin (templates/testing/bin.html): its dialog, its popups, deleting, and the keys.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const rows = () => Array.from(document.querySelectorAll("#captures .capture-row"));
  const chosen = () => document.querySelector("#captures .capture-row[aria-current]");

  // -- the dialog: what a button brings into #tool-body is shown in it, and closing empties it (which also stops a
  // forwarding, whose next step is a form in there)
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "tool-body" && at("tool") && !at("tool").open) at("tool").showModal();
    if (event.detail.target.id === "undo") afterDeletion();
  });
  document.addEventListener(
    "close",
    (event) => {
      if (event.target.id === "tool") at("tool-body").replaceChildren();
    },
    true, // it does not bubble
  );

  // -- popups: one at a time, closed by a click elsewhere, by Escape, and by what they were opened for
  const popups = () => Array.from(document.querySelectorAll(".bin-popup[open]"));
  document.addEventListener("click", (event) => {
    for (const popup of popups()) if (!popup.contains(event.target)) popup.open = false;
    if (event.target.closest("[data-tool-close]") || event.target.matches("dialog.tool")) {
      event.target.closest("dialog").close();
    }
    if (event.target.closest("[data-keys]")) at("keys").showModal();
    if (event.target.closest("#pause")) hold();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.detail.elt.matches(".bin-popup form")) {
      event.detail.elt.closest(".bin-popup").open = false;
    }
  });

  // -- holding new rows back
  function hold() {
    const button = at("pause");
    if (!button) return;
    const held = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(held));
    const words = held ? "Let new rows in" : "Hold new rows back";
    button.setAttribute("aria-label", words);
    button.title = `${words} (p)`;
    at("announcer").textContent = held ? "New rows are held back." : "New rows come in again.";
    if (!held) at("held").click();
  }

  // -- deleting: the next request is shown in the place of the one that went
  let next = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!event.detail.elt.matches("[data-delete]")) return;
    const all = rows();
    const index = all.indexOf(chosen());
    next = index < 0 ? null : all[index + 1] || all[index - 1] || null;
  });
  function afterDeletion() {
    if (next?.isConnected) next.click();
    else location.assign(document.querySelector(".bin-filter").action); // the last one: the list, empty
  }

  // -- keys
  function go(step) {
    waiting = "";
    const all = rows();
    if (!all.length) return;
    const index = all.indexOf(chosen());
    const row = all[index < 0 ? 0 : Math.min(all.length - 1, Math.max(0, index + step))];
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
    row.click();
  }
  let waiting = ""; // a key for a request whose pane is still on its way: it must not meet the one before
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "capture" || !waiting) return;
    const name = waiting;
    waiting = "";
    press(name);
  });
  function press(name) {
    if (chosen()?.classList.contains("htmx-request")) {
      waiting = name;
      return;
    }
    const button = document.querySelector(`#capture [data-key="${name}"]`);
    if (!button) return;
    const popup = button.closest(".bin-popup");
    if (popup) {
      popup.open = true; // so that "Copied" is seen
      setTimeout(() => (popup.open = false), 1600);
    }
    button.click();
  }
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    p: hold,
    c: () => press("c"),
    r: () => press("r"),
    d: () => press("d"),
    "?": () => at("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !at("bin")) return;
    if (event.key === "Escape") {
      for (const popup of popups()) {
        popup.open = false;
        popup.querySelector("summary").focus();
      }
    }
    if (event.target.matches("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]"))
      return;
    const tabs = document.querySelectorAll(".capture-tabs [data-tab]");
    const tab = /^[1-7]$/.test(event.key) && tabs[Number(event.key) - 1];
    if (tab) {
      event.preventDefault();
      tab.click();
    } else if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      keys[event.key]();
    }
  });
})();
