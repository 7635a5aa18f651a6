// The tools of a bin (templates/testing_tools/verification/bin.html): dialog, delete, keyboard shortcuts.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const rows = () => Array.from(document.querySelectorAll("#captures .capture-row"));
  const chosen = () => document.querySelector("#captures .capture-row[aria-current]");

  // -- the dialog shows what htmx loads into #dialog-body; closing it removes the content, which also stops a forwarding,
  // because its next step is a form there
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "dialog-body" && at("dialog") && !at("dialog").open) at("dialog").showModal();
    if (event.detail.target.id === "undo") showNext();
  });
  document.addEventListener(
    "close",
    (event) => {
      if (event.target.id === "dialog") at("dialog-body").replaceChildren();
    },
    true, // "close" does not bubble
  );
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

  // -- keyboard shortcuts
  function move(step) {
    pendingKey = "";
    const all = rows();
    if (!all.length) return;
    const index = all.indexOf(chosen());
    const row = all[index < 0 ? 0 : Math.min(all.length - 1, Math.max(0, index + step))];
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
    row.click();
  }
  let pendingKey = ""; // pressed while the pane was loading: it must not apply to the previous request
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "capture" || !pendingKey) return;
    const name = pendingKey;
    pendingKey = "";
    press(name);
  });
  function press(name) {
    if (chosen()?.classList.contains("htmx-request")) {
      pendingKey = name;
      return;
    }
    const button = document.querySelector(`#capture [data-key="${name}"]`);
    if (!button) return;
    const popup = button.closest(".popup");
    if (popup) {
      popup.open = true; // so that "Copied" is visible
      setTimeout(() => (popup.open = false), 1600);
    }
    button.click();
  }
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    p: togglePause,
    c: () => press("c"),
    r: () => press("r"),
    d: () => press("d"),
    "?": () => at("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !at("bin")) return;
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
