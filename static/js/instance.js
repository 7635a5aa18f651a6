// The settings forms (data-savebar): the bar lists the unsaved changes, "2 changes: ackNotificationsOn off → on", and is
// hidden if there are none. The saved value of each control is in a hidden field, was-<name>.
(() => {
  "use strict";
  const forms = () => Array.from(document.querySelectorAll("form[data-savebar]"));

  function differences(form) {
    return Array.from(form.querySelectorAll("input[name=shown]")).flatMap(({ value: name }) => {
      const control = form.querySelector(`[name="${name}"]`);
      const old = form.querySelector(`[name="was-${name}"]`).value;
      const now = control.type === "checkbox" ? (control.checked ? "on" : "off") : control.value.trim();
      control.closest(".flag").classList.toggle("is-changed", old !== now);
      return old === now ? [] : [{ name, old: old || "none", now: now || "none" }];
    });
  }

  function show(form) {
    const bar = form.querySelector("[data-bar]");
    if (!bar) return; // a viewer's page
    const found = differences(form);
    form.dataset.dirty = found.length ? "yes" : "no";
    bar.hidden = !found.length;
    if (!found.length) return;
    const words = bar.querySelector("[data-changes]");
    const count = document.createElement("strong");
    count.textContent = found.length === 1 ? "1 change:" : `${found.length} changes:`;
    const list = found.flatMap(({ name, old, now }, place) => {
      const mono = document.createElement("span");
      mono.className = "mono";
      mono.textContent = name;
      return [place ? ", " : " ", mono, ` ${old} → ${now}`];
    });
    words.replaceChildren(count, ...list);
    form.querySelector(".savebar-result")?.remove(); // the result of the previous save
  }
  const showAll = () => forms().forEach(show);

  for (const name of ["input", "change"]) {
    document.addEventListener(name, (event) => {
      const form = event.target.form;
      if (form && "savebar" in form.dataset) show(form);
    });
  }
  document.addEventListener("reset", (event) => {
    const form = event.target;
    if (!("savebar" in form.dataset)) return;
    // the server filled in refused values: restore the saved ones
    setTimeout(() => {
      for (const { value: name } of form.querySelectorAll("input[name=shown]")) {
        const control = form.querySelector(`[name="${name}"]`);
        const old = form.querySelector(`[name="was-${name}"]`).value;
        if (control.type === "checkbox") control.checked = old === "on";
        else control.value = old;
      }
      show(form);
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
    const form = event.target.closest?.("form[data-savebar]") || forms().find((one) => one.dataset.dirty === "yes");
    if (form?.dataset.dirty !== "yes") return;
    event.preventDefault();
    form.requestSubmit();
  });
  addEventListener("beforeunload", (event) => {
    if (forms().some((form) => form.dataset.dirty === "yes" && form.dataset.sent !== "yes")) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    if ("savebar" in event.target.dataset) event.target.dataset.sent = "yes";
  });
  document.addEventListener("htmx:afterSettle", showAll);
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, () => {
      for (const form of forms()) delete form.dataset.sent; // it is not saved: leaving the page asks first
    });
  }
  showAll();
})();
