// Webhook Simulation: Ctrl+Enter sends the hook, and a button selects the position of an error in the JSON.
(() => {
  "use strict";

  // -- Ctrl+Enter (⌘ Enter) anywhere in the form or its result submits the form
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const form = document.getElementById("simulation");
    const button = document.getElementById("send");
    if (!form || !button || button.disabled) return;
    if (event.target !== document.body && !form.contains(event.target) && !event.target.closest("#verdict")) return;
    event.preventDefault();
    form.requestSubmit(button);
  });

  // -- data-goto is the position of the error; it is selected and scrolled into view. The text keeps the focus while the
  // button is pressed: otherwise it is checked again, and a response that arrives before the release replaces the button.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest("[data-goto]")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-goto]");
    if (!button) return;
    const area = document.getElementById("id_body");
    const position = Number(button.dataset.goto);
    area.focus();
    area.setSelectionRange(position, Math.min(position + 1, area.value.length));
    const line = area.value.slice(0, position).split("\n").length - 1;
    const height = area.scrollHeight / area.value.split("\n").length;
    area.scrollTop = Math.max(0, line * height - area.clientHeight / 2);
    area.scrollIntoView({ block: "nearest" });
  });
})();
