// The request that a bin shows (templates/testing_tools/verification/bin.html). `?open=` names the one that the user has
// chosen: the first one is a step of the history, so that Back leaves it, and the next ones replace it. Until then the
// newest one opens by itself, where the pane is beside the list; a click in the pane chooses it, so it stays.
(() => {
  "use strict";
  const BESIDE = matchMedia("(min-width: 992px)");
  const at = (id) => document.getElementById(id);
  const rows = () => Array.from(document.querySelectorAll("#captures .capture-row"));
  const shown = () => document.querySelector("#captures .capture-row[aria-current]");

  // A request has a page of its own, for a link in a new tab: its URL becomes that of the list with the request.
  function addressWith(id) {
    const url = new URL(location.href);
    const form = document.querySelector("form.bin-filter");
    if (form) url.pathname = new URL(form.action).pathname;
    if (id) url.searchParams.set("open", id);
    else for (const name of ["open", "tab"]) url.searchParams.delete(name);
    return url.href;
  }
  const openId = () => new URL(location.href).searchParams.get("open") || "";
  let list = ""; // the URL of the page without a chosen request
  const isLive = () => Boolean(at("bin-poll")); // a shared page has links instead

  function mark(row) {
    for (const other of document.querySelectorAll("#captures [aria-current]")) other.removeAttribute("aria-current");
    row?.setAttribute("aria-current", "true");
    row?.classList.remove("unread");
    row?.querySelector(".capture-unread")?.remove();
  }
  function choose(id) {
    if (openId()) history.replaceState(history.state, "", addressWith(id));
    else history.pushState({ htmx: true, isBin: true }, "", addressWith(id));
  }
  let isAutomatic = false; // whether a row is clicked by this script
  function load(row) {
    isAutomatic = true;
    row.click();
    isAutomatic = false;
  }
  function follow() {
    const newest = rows()[0];
    if (newest && newest !== shown() && BESIDE.matches && isLive() && !openId()) load(newest);
  }
  function hide() {
    at("bin").removeAttribute("data-open");
    if (!BESIDE.matches) (shown() || at("captures")).focus();
  }
  function close() {
    if (history.state?.isBin) return history.back();
    history.replaceState(history.state, "", addressWith(""));
    hide();
  }

  document.addEventListener("click", (event) => {
    const row = event.target.closest(".capture-row");
    if (row) {
      mark(row);
      if (!isAutomatic && isLive()) choose(row.dataset.id);
    } else if (event.target.closest("[data-bin-back]")) close();
    else keep(event);
  });
  // What the user works with must not be replaced by the next request. Keys click without a focus.
  function keep(event) {
    if (!event.target.closest("#capture") || !isLive() || openId() || !shown()) return;
    history.replaceState(history.state, "", addressWith(shown().dataset.id));
  }
  document.addEventListener("focusin", keep);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "capture" || !openId()) return;
    at("bin").setAttribute("data-open", "");
    if (BESIDE.matches) return; // otherwise the pane replaces the list
    at("capture").scrollIntoView({ block: "start" });
    at("capture").focus({ preventScroll: true });
  });
  // A request that was shown before must not stay under the row and the URL of one that could not be loaded.
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, ({ detail }) => {
      if (detail.target.id === "capture") at("capture").replaceChildren();
    });
  }
  document.addEventListener("bin:arrived", follow);
  document.addEventListener("DOMContentLoaded", () => {
    list = addressWith("");
    const [, ofPage] = location.pathname.match(/^\/testing\/bins\/[a-z0-9]{8}\/([\w-]{22})\/$/) || [];
    if (ofPage) history.replaceState(history.state, "", addressWith(ofPage));
    if (openId()) mark(rows().find((row) => row.dataset.id === openId()));
    else follow();
  });

  // -- the chosen tab is kept for the next request, and is in the URL
  document.addEventListener("shown.bs.tab", ({ target }) => {
    const tab = target.dataset.tab;
    if (!tab) return;
    if (at("tab")) at("tab").value = tab;
    const url = new URL(location.href);
    url.searchParams.set("tab", tab);
    history.replaceState(history.state, "", url.href);
  });

  // -- Back and forward: only the pane changes; otherwise htmx would load the page of this URL
  addEventListener(
    "popstate",
    (event) => {
      if (!isLive() || addressWith("") !== list) return;
      event.stopImmediatePropagation();
      const row = rows().find((one) => one.dataset.id === openId());
      if (row) load(row);
      else if (openId()) location.reload();
      else {
        hide();
        follow();
      }
    },
    true,
  );
  // a search replaces the list and the URL: the chosen request stays chosen
  let kept = "";
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.elt.matches(".bin-filter")) kept = openId();
  });
  for (const moved of ["replacedInHistory", "historyRestore"]) {
    document.addEventListener(`htmx:${moved}`, () => {
      list = addressWith("");
      if (kept) history.replaceState(history.state, "", addressWith(kept));
      kept = "";
    });
  }
  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (!detail.requestConfig?.elt.matches(".bin-filter")) return;
    if (openId()) mark(rows().find((row) => row.dataset.id === openId()));
    else follow();
  });
})();
