// The drawer of the delivery log (templates/instances/pages/log/drawer.html): a click on a row opens its hook beside the
// list, j and k go to the next and the previous row, Escape closes. `?open=` names the hook: the first one is a step of
// the history, so that Back closes the drawer, and the next ones replace it. On a phone the drawer covers the page.
(() => {
  "use strict";
  const NARROW = matchMedia("(max-width: 767.98px)");
  const at = (id) => document.getElementById(id);
  const links = () => Array.from(document.querySelectorAll("#rows a.stretched-link"));
  const idOf = (link) => link.closest("tr").id.slice("hook-".length);
  const isOpen = () => Boolean(at("drawer")?.open);

  function addressWith(id) {
    const url = new URL(location.href);
    if (id) url.searchParams.set("open", id);
    else url.searchParams.delete("open");
    return url.href;
  }
  const openId = () => (new URL(location.href).searchParams.get("open") || "").replaceAll("-", "");
  const currentLink = () => links().find((link) => idOf(link) === openId());
  let list = addressWith(""); // the list on the page, without the drawer

  // Marks the row of the open hook; the buttons at the ends of the list are disabled.
  function mark() {
    const all = links();
    const current = isOpen() ? currentLink() : null;
    for (const link of all) {
      if (link === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    for (const button of document.querySelectorAll("[data-drawer-step]")) {
      button.disabled = !all[current ? all.indexOf(current) + Number(button.dataset.drawerStep) : -1];
    }
  }

  let takesFocus = false; // whether the title is focused when the hook is loaded
  function show(link) {
    const drawer = at("drawer");
    const body = at("drawer-body");
    takesFocus = !drawer.open || drawer.contains(document.activeElement);
    if (!drawer.open) {
      body.textContent = "Loading…";
      if (NARROW.matches) drawer.showModal();
      else drawer.show();
    }
    body.setAttribute("aria-busy", "true");
    link.closest("tr").scrollIntoView({ block: "nearest" });
    mark();
    const url = new URL(link.href);
    url.searchParams.set("drawer", "1");
    window.htmx.ajax("GET", url.href, { source: body, target: body, swap: "innerHTML show:none" });
  }
  function open(link) {
    if (isOpen()) history.replaceState(history.state, "", addressWith(idOf(link)));
    else history.pushState({ htmx: true, isDrawer: true }, "", addressWith(idOf(link)));
    show(link);
  }
  function hide() {
    const drawer = at("drawer");
    const row = document.querySelector("#rows a[aria-current]");
    const isInside = drawer.contains(document.activeElement);
    drawer.close();
    mark();
    if (row && isInside) row.focus();
  }
  function close() {
    if (history.state?.isDrawer) return history.back();
    history.replaceState(history.state, "", addressWith(""));
    hide();
  }
  function step(by) {
    const all = links();
    const current = currentLink();
    const link = all[current ? all.indexOf(current) + by : 0];
    if (!link) return;
    open(link);
    if (!takesFocus) link.focus();
  }

  document.addEventListener("click", (event) => {
    const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || event.button || hasModifier) return;
    const link = event.target.closest("#rows a.stretched-link");
    const button = event.target.closest("[data-drawer-step]");
    if (link || event.target.closest("[data-drawer-close]")) event.preventDefault();
    if (link) open(link);
    else if (button) step(Number(button.dataset.drawerStep));
    else if (event.target.closest("[data-drawer-close]")) close();
  });
  // before app.js, which walks over the rows of a list without a drawer
  const isTyping = (target) => target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  document.addEventListener(
    "keydown",
    (event) => {
      const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
      if (!isOpen() || hasModifier || isTyping(event.target)) return;
      if (document.querySelector("dialog[open]:not(#drawer), details.popup[open], .dropdown-menu.show")) return;
      const by = { j: 1, k: -1 }[event.key];
      if (by) step(by);
      // the browser closes one that covers the page
      else if (event.key === "Escape" && !at("drawer").matches(":modal")) close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  // Escape has closed one that covers the page; "close" does not bubble
  document.addEventListener("close", ({ target }) => target.id === "drawer" && openId() && close(), true);
  // Only the drawer changes: otherwise htmx would load the page of this URL.
  addEventListener(
    "popstate",
    (event) => {
      if (!at("drawer") || addressWith("") !== list) return;
      event.stopImmediatePropagation();
      const link = currentLink();
      if (!openId()) hide();
      else if (link) show(link);
      else location.reload();
    },
    true,
  );
  for (const moved of ["pushedIntoHistory", "replacedInHistory", "historyRestore"]) {
    document.addEventListener(`htmx:${moved}`, () => {
      list = addressWith("");
      if (isOpen() && !openId()) hide(); // a search: its URL names no hook
    });
  }

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id !== "drawer-body") return;
    const body = at("drawer-body");
    body.removeAttribute("aria-busy");
    body.scrollTop = 0;
    if (takesFocus && isOpen()) at("drawer-title")?.focus({ preventScroll: true });
    takesFocus = false;
    if (detail.requestConfig.verb !== "post") return;
    // A button has changed the hook: the next poll of the list updates its row, as that of a hook that is not finished.
    const row = currentLink()?.closest("tr");
    if (!row || row.querySelector("[name=watch]")) return;
    const watch = document.createElement("input");
    Object.assign(watch, { type: "hidden", name: "watch", value: `${openId()}::` });
    row.cells[0].append(watch);
  });
  // The hook that was open before must not stay under the row and the URL of this one.
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, ({ detail }) => {
      if (detail.target.id !== "drawer-body" || detail.requestConfig.verb !== "get") return;
      at("drawer-body").removeAttribute("aria-busy");
      at("drawer-body").replaceChildren();
    });
  }
  document.addEventListener("htmx:afterSettle", mark); // a poll replaces rows
  document.addEventListener("DOMContentLoaded", () => {
    const drawer = at("drawer");
    if (!drawer?.open) return;
    if (NARROW.matches) {
      drawer.close();
      drawer.showModal();
    }
    mark();
    at("drawer-title")?.focus({ preventScroll: true });
    currentLink()?.closest("tr").scrollIntoView({ block: "nearest" });
  });
})();
