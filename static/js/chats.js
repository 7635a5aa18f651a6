// The messages page (templates/instances/pages/messages). New messages are held in #bubbles-incoming and added to the
// chat if the reader is at its end; else a button says "3 new, show". While the pointer or the focus is on the list of
// chats, its order does not change and its rows are updated in place.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const NEAR = 48; // px from the end that count as the end

  const isAtEnd = () => Math.abs(at("bubbles-scroll").scrollTop) < NEAR; // 0 at the end, negative above it
  function admit(asked) {
    const incoming = at("bubbles-incoming");
    if (!incoming?.children.length) return;
    const held = at("bubbles-held");
    const count = incoming.querySelectorAll(".bubble-row").length;
    if (!asked && !isAtEnd()) {
      held.textContent = `${count} new, show`;
      held.hidden = false;
      return;
    }
    for (const row of Array.from(incoming.children)) {
      if (at(row.id) === row) at("bubbles").append(row); // skip rows that are already shown
    }
    incoming.replaceChildren();
    held.hidden = true;
    at("announcer").textContent = count === 1 ? "1 new message." : `${count} new messages.`;
    if (asked) at("bubbles-scroll").scrollTop = 0;
  }

  function admitChats(asked) {
    const incoming = at("chats-incoming");
    const fresh = incoming?.querySelector("[data-chats]");
    if (!fresh) return;
    const shown = document.querySelector(".chat-list > [data-chats]");
    const held = at("chats-held");
    const busy = shown.matches(":hover") || shown.contains(document.activeElement) || shown.scrollTop > 8;
    const order = (list) => Array.from(list.querySelectorAll("li"), (row) => row.id).join();
    if (!asked && busy && order(fresh) !== order(shown)) {
      for (const row of fresh.querySelectorAll("li")) {
        const old = shown.querySelector(`#${CSS.escape(row.id)} > a`);
        const now = row.querySelector("a");
        if (old && old.innerHTML !== now.innerHTML) {
          old.innerHTML = now.innerHTML;
          old.className = now.className;
        }
      }
      shown.querySelector("#chats-cursor").value = fresh.querySelector("#chats-cursor").value;
      held.textContent = "New messages, show";
      held.hidden = false;
      return;
    }
    const focused = shown.contains(document.activeElement) && document.activeElement.closest("li")?.id;
    shown.replaceWith(fresh);
    incoming.replaceChildren();
    held.hidden = true;
    if (focused) at(focused)?.querySelector("a").focus();
  }

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "bubbles-incoming") admit(false);
    if (event.detail.target.id === "chats-incoming") admitChats(false);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#bubbles-held")) admit(true);
    if (event.target.closest("#chats-held")) admitChats(true);
  });
  document.querySelector(".chat-list")?.addEventListener("pointerleave", () => admitChats(false));
  // a search replaces the list: what was held for the one before is not shown in it
  document.querySelector(".chat-search")?.addEventListener("htmx:beforeSwap", () => {
    at("chats-incoming").replaceChildren();
    at("chats-held").hidden = true;
  });
  at("bubbles-scroll")?.addEventListener("scroll", () => admit(false), { passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (!event.target.matches("[data-send-by-enter]")) return;
    event.preventDefault();
    if (event.target.value.trim()) event.target.form.requestSubmit();
  });
})();
