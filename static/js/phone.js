// The sandbox phone (templates/testing_tools/phone/phone.html), and the playground, which has the contact's phone alone.
// A poll's response is put into #phone-incoming. Its messages move to a phone if that is scrolled to the end; otherwise a
// button "Show 3 new" appears. Ticks are updated in place, and a message becomes visible on the contact's phone when it has
// arrived there.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const one = (selector, root = document) => root.querySelector(selector);
  const NEAR_END = 48; // px from the end within which a phone counts as scrolled to the end
  if (!byId("phone-incoming")) return;
  const SIDES = ["own", "contact"].filter((side) => one(`[data-scroll=${side}]`));

  const isAtEnd = (side) => Math.abs(one(`[data-scroll=${side}]`).scrollTop) < NEAR_END; // 0 at the end, negative above

  // A MessageState of bubbles.py.
  function applyState([number, tick, hasArrived, isDeleted]) {
    for (const side of SIDES) {
      const row = byId(`${side}-${number}`);
      if (!row) continue;
      const shown = one("[data-tick]", row);
      if (shown && shown.textContent !== tick) {
        shown.textContent = tick;
        shown.className = `tick tick-is-${tick}`;
      }
      if (isDeleted) {
        one(".bubble-content", row).hidden = true;
        one(".bubble-deleted", row).hidden = false;
        one(".bubble-actions", row)?.remove();
      }
      if (side === "contact" && hasArrived && row.hidden) row.dataset.arrived = "";
    }
  }
  // Moves new messages to a phone; not if that would move what is being read, unless the user asks for it.
  function showNew(side, isRequested) {
    const list = one(`[data-bubbles=${side}]`),
      button = one(`[data-held=${side}]`);
    const fresh = Array.from(document.querySelectorAll(`#phone-incoming [data-rows=${side}] > li`));
    const arrived = Array.from(list.querySelectorAll("li[data-arrived]"));
    for (const row of fresh) if ("arrived" in row.dataset) reveal(row);
    const count = fresh.filter((row) => !row.hidden).length + arrived.length;
    if (!isRequested && count && !isAtEnd(side)) {
      button.textContent = `Show ${count} new`;
      button.hidden = false;
      return;
    }
    for (const row of fresh) {
      if (byId(row.id) === row) list.append(row);
      else row.remove(); // the phone has a row with this id already
    }
    arrived.forEach(reveal);
    button.hidden = true;
    if (isRequested) one(`[data-scroll=${side}]`).scrollTop = 0;
  }
  function reveal(row) {
    row.hidden = false;
    delete row.dataset.arrived;
  }
  function applyPoll() {
    for (const place of document.querySelectorAll("#phone-incoming [data-states]")) {
      JSON.parse(place.dataset.states).forEach(applyState);
      place.remove();
    }
    for (const side of SIDES) showNew(side, false);
    for (const rest of document.querySelectorAll("#phone-incoming [data-rows]"))
      if (!rest.children.length) rest.remove();
  }
  document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "phone-incoming" && applyPoll());
  for (const side of SIDES) {
    one(`[data-scroll=${side}]`).addEventListener("scroll", () => showNew(side, false), { passive: true });
  }

  // -- a form is emptied once its message is sent; after a refusal it stays as it is
  function clearForm(form) {
    for (const name of ["text", "file"]) form.elements[name].value = "";
    unquote(form);
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful, requestConfig } = event.detail;
    const isForward = requestConfig?.parameters?.forward;
    if (successful && elt.matches(".phone-write") && !isForward) clearForm(elt);
  });

  // -- quoting
  function quote(button) {
    const form = byId(`${button.dataset.at}-write`);
    const bubble = button.closest(".bubble");
    form.elements.quoted.value = button.dataset.quote;
    const text = one(".bubble-content > .bubble-text", bubble) || one(".bubble-content", bubble);
    one("[data-quoted-text]", form).textContent = text.textContent.trim().slice(0, 120);
    one("[data-quoted]", form).hidden = false;
    (form.elements.text.offsetParent ? form.elements.text : form.elements.kind).focus();
  }
  function unquote(form) {
    form.elements.quoted.value = "";
    one("[data-quoted]", form).hidden = true;
  }

  document.addEventListener("click", (event) => {
    const closest = (selector) => event.target.closest(selector);
    const held = closest("[data-held]"),
      quoting = closest("[data-quote]"),
      side = closest("[data-side]");
    if (held) showNew(held.dataset.held, true);
    if (quoting) quote(quoting);
    if (closest("[data-unquote]")) unquote(closest("form"));
    if (side) {
      event.preventDefault();
      byId("phones").dataset.shows = side.dataset.side;
      for (const each of document.querySelectorAll("[data-side]")) each.toggleAttribute("aria-current", each === side);
      side.setAttribute("aria-current", "true");
      history.replaceState(null, "", side.href);
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("[data-by-enter]"))
      return;
    event.preventDefault();
    const form = event.target.form;
    form.requestSubmit(one(".phone-send", form));
  });
})();
