// The sandbox phone (templates/testing/phone.html). What a poll brings waits in #phone-incoming and is let into a phone
// while its reader is at the end; else "3 new, show" is said. Ticks change in place, and a message shows up on the
// contact's phone when it has arrived there.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const one = (selector, root = document) => root.querySelector(selector);
  const NEAR = 48; // px from the end that count as the end
  const SIDES = ["own", "contact"];
  if (!at("phone-incoming")) return;

  const isAtEnd = (side) => Math.abs(one(`[data-scroll=${side}]`).scrollTop) < NEAR; // 0 is the end, above it negative

  // [number, tick, has it arrived, is it deleted]
  function apply([number, tick, arrived, deleted]) {
    for (const side of SIDES) {
      const row = at(`${side}-${number}`);
      if (!row) continue;
      const word = one("[data-tick]", row);
      if (word && word.textContent !== tick) {
        word.textContent = tick;
        word.className = `tick tick-is-${tick}`;
      }
      if (deleted) {
        one(".bubble-content", row).hidden = true;
        one(".bubble-deleted", row).hidden = false;
        one(".bubble-acts", row)?.remove();
      }
      if (side === "contact" && arrived && row.hidden) row.dataset.arrived = "";
    }
  }
  function admit(side, asked) {
    const list = one(`[data-bubbles=${side}]`),
      held = one(`[data-held=${side}]`);
    const fresh = Array.from(document.querySelectorAll(`#phone-incoming [data-rows=${side}] > li`));
    const arrived = Array.from(list.querySelectorAll("li[data-arrived]"));
    for (const row of fresh) if ("arrived" in row.dataset) reveal(row);
    const count = fresh.filter((row) => !row.hidden).length + arrived.length;
    if (!asked && count && !isAtEnd(side)) {
      held.textContent = `${count} new, show`;
      held.hidden = false;
      return;
    }
    for (const row of fresh) {
      if (at(row.id) === row)
        list.append(row); // one that is there already is left out
      else row.remove();
    }
    arrived.forEach(reveal);
    held.hidden = true;
    if (asked) one(`[data-scroll=${side}]`).scrollTop = 0;
  }
  function reveal(row) {
    row.hidden = false;
    delete row.dataset.arrived;
  }
  function settle() {
    for (const place of document.querySelectorAll("#phone-incoming [data-states]")) {
      JSON.parse(place.dataset.states).forEach(apply);
      place.remove();
    }
    for (const side of SIDES) admit(side, false);
    for (const rest of document.querySelectorAll("#phone-incoming [data-rows]"))
      if (!rest.children.length) rest.remove();
  }
  document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "phone-incoming" && settle());
  for (const side of SIDES) {
    one(`[data-scroll=${side}]`).addEventListener("scroll", () => admit(side, false), { passive: true });
  }

  // -- what was sent is gone from its form; what was refused stays
  function clear(form) {
    for (const name of ["text", "file"]) form.elements[name].value = "";
    unquote(form);
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful, requestConfig } = event.detail;
    const forwards = requestConfig?.parameters?.forward;
    if (successful && elt.matches(".phone-write") && !forwards) clear(elt);
  });

  // -- quoting
  function quote(button) {
    const form = at(`${button.dataset.at}-write`);
    const bubble = button.closest(".bubble");
    form.elements.quoted.value = button.dataset.quote;
    const words = one(".bubble-content > .bubble-text", bubble) || one(".bubble-content", bubble);
    one("[data-quoted-words]", form).textContent = words.textContent.trim().slice(0, 120);
    one("[data-quoted]", form).hidden = false;
    (form.elements.text.offsetParent ? form.elements.text : form.elements.kind).focus();
  }
  function unquote(form) {
    form.elements.quoted.value = "";
    one("[data-quoted]", form).hidden = true;
  }

  document.addEventListener("click", (event) => {
    const near = (selector) => event.target.closest(selector);
    const held = near("[data-held]"),
      quoting = near("[data-quote]"),
      side = near("[data-side]");
    if (held) admit(held.dataset.held, true);
    if (quoting) quote(quoting);
    if (near("[data-unquote]")) unquote(near("form"));
    if (side) {
      event.preventDefault();
      at("phones").dataset.shows = side.dataset.side;
      for (const each of document.querySelectorAll("[data-side]")) each.toggleAttribute("aria-current", each === side);
      side.setAttribute("aria-current", "true");
      history.replaceState(null, "", side.href);
    }
    for (const popup of document.querySelectorAll("details.popup[open]"))
      if (!popup.contains(event.target)) popup.open = false;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-go]")) event.target.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("[data-by-enter]"))
      return;
    event.preventDefault();
    const form = event.target.form;
    form.requestSubmit(one(".phone-send", form));
  });
})();
