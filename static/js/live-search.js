// Search while typing, in each form with data-live-search (templates/chatapi/ui/live_search.html): a request after a
// pause, of which the last response counts. Only the results are replaced, so the field keeps the focus and the caret;
// the data-found of the results says to screen readers how many there are.
(() => {
  "use strict";
  const PAUSE = 250; // ms
  let last = { form: null, values: "" }; // what was searched for last, or was in the form before the user typed
  let timer;
  const formOf = (element) => element.closest?.("form[data-live-search]");
  const valuesOf = (form) => new URLSearchParams(new FormData(form)).toString();

  function search(form) {
    clearTimeout(timer);
    const values = valuesOf(form);
    if (!form.isConnected || (last.form === form && last.values === values)) return;
    last = { form, values };
    window.htmx.trigger(form, "live-search");
  }
  document.addEventListener("focusin", ({ target }) => {
    const form = formOf(target);
    if (form && form !== last.form) last = { form, values: valuesOf(form) };
  });
  function changed({ target, isComposing }) {
    const form = formOf(target);
    if (!form || isComposing) return;
    clearTimeout(timer);
    timer = setTimeout(search, target.matches("select, [type=checkbox]") ? 0 : PAUSE, form);
  }
  document.addEventListener("input", changed);
  document.addEventListener("compositionend", changed);
  document.addEventListener(
    "submit",
    ({ target }) => {
      if (!formOf(target)) return;
      clearTimeout(timer);
      last = { form: target, values: valuesOf(target) };
    },
    true,
  );
  // The URL names only the fields that are filled in.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.elt.matches("form[data-live-search]")) return;
    for (const [name, value] of Array.from(detail.formData)) if (value === "") detail.formData.delete(name);
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const form = detail.requestConfig?.elt;
    if (!form?.matches("form[data-live-search]")) return;
    const found = document.querySelector(form.getAttribute("hx-target"))?.dataset.found;
    if (found) document.getElementById("announcer").textContent = found.trim();
  });
})();
