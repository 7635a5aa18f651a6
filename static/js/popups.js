// Dialogs, pop-ups and confirmations of every page (static/css/popups.css). Events are delegated, so fragments that htmx
// loads need no set-up.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);

  // -- dialogs: data-dialog-open="id" opens, data-dialog-close closes; so does a click beside the dialog. Escape is the
  // browser's. One that shows a secret once loads the page again when it closes.
  function isBeside(dialog, { clientX: x, clientY: y }) {
    const box = dialog.getBoundingClientRect();
    return x < box.left || x > box.right || y < box.top || y > box.bottom;
  }
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog-open]");
    if (opener) at(opener.dataset.dialogOpen).showModal();
    else if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog").close();
    // a key press on a button has no position: only the dialog itself and its backdrop are targets here
    else if (event.target.matches("dialog.dialog") && isBeside(event.target, event)) event.target.close();
  });

  // #dialog (templates/chatapi/ui/dialog.html) shows what htmx loads into #dialog-body; closing it removes the content,
  // which also stops the forwarding of a bin, because its next step is a form there
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog-body" || !at("dialog") || at("dialog").open) return;
    at("dialog").showModal();
    at("dialog").scrollTop = 0; // where the content before was scrolled to
  });
  document.addEventListener(
    "close",
    (event) => {
      if (event.target.querySelector?.("[data-shown-once]")) window.location.reload();
      if (event.target.id === "dialog") at("dialog-body").replaceChildren();
    },
    true, // "close" does not bubble
  );

  // -- pop-ups: a click elsewhere, Escape, or the success of the pop-up's own form closes them
  const openPopups = () => Array.from(document.querySelectorAll("details.popup[open]"));
  document.addEventListener("click", (event) => {
    for (const popup of openPopups()) if (!popup.contains(event.target)) popup.open = false;
  });
  function closeAndFocus(popup) {
    popup.open = false;
    popup.querySelector("summary").focus();
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") openPopups().forEach(closeAndFocus);
  });
  // a choice of a menu closes it, unless its result is shown in it (.copy-as); a dialog then returns the focus to
  // the menu's button
  document.addEventListener("click", (event) => {
    const choice = event.target.closest(".popup-menu .dropdown-item:not(.copy-as *)");
    if (choice) closeAndFocus(choice.closest("details.popup"));
  });
  // a card that would reach beyond the window is moved into it; "toggle" does not bubble
  const EDGE = 8; // px
  document.addEventListener(
    "toggle",
    (event) => {
      const card = event.target.matches("details.popup[open]") && event.target.querySelector(".popup-card");
      if (!card) return;
      card.style.translate = "0";
      const { left, right } = card.getBoundingClientRect();
      const width = document.documentElement.clientWidth;
      card.style.translate = `${Math.max(EDGE - left, Math.min(0, width - EDGE - right))}px`;
    },
    true,
  );
  document.addEventListener("htmx:afterRequest", (event) => {
    const popup = event.detail.successful && event.detail.elt.closest("form")?.closest("details.popup");
    if (popup) popup.open = false;
  });

  // -- confirmation: data-confirm on a form or on its button. htmx's own hx-confirm is not used: it calls window.confirm.
  let asker = null; // the element whose request waits for the answer
  function ask(element, question, words, proceed) {
    const dialog = at("confirm");
    asker = element;
    const [, title, text] = question.match(/^(.*?\?)\s*(.*)$/s) || [null, question, ""];
    at("confirm-title").textContent = title;
    at("confirm-text").textContent = text;
    at("confirm-text").hidden = !text;
    at("confirm-do").textContent = words;
    at("confirm-do").onclick = () => {
      dialog.close();
      proceed();
    };
    dialog.showModal();
    at("confirm-back").focus();
  }
  const words = (button) => button?.textContent.trim() || "Continue";

  document.addEventListener("htmx:confirm", (event) => {
    const { elt, triggeringEvent, issueRequest } = event.detail;
    const button = triggeringEvent?.submitter || elt;
    const question = button.dataset.confirm || elt.dataset.confirm;
    if (!question) return;
    event.preventDefault();
    ask(elt, question, words(button.matches("form") ? button.querySelector("[type=submit]") : button), () =>
      issueRequest(true),
    );
  });
  // A poll must not replace the element meanwhile: its request would never be sent. The next poll is swapped.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (at("confirm")?.open && event.detail.target.contains(asker)) event.detail.shouldSwap = false;
  });
  const confirmed = new WeakSet();
  document.addEventListener("submit", (event) => {
    const { target: form, submitter: button } = event;
    const question = button?.dataset.confirm || form.dataset.confirm;
    if (!question || event.defaultPrevented || confirmed.delete(form)) return; // htmx prevents the default of its forms
    event.preventDefault();
    ask(form, question, words(button || form.querySelector("[type=submit]")), () => {
      confirmed.add(form);
      form.requestSubmit(button);
    });
  });
})();
