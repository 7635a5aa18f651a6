// The dialog that asks for the password before a sensitive change that htmx requested. The server refuses such a request
// with the header Confirm-Password, the URL that takes the password; after it the same request is sent again, so
// nothing that was typed on the page is lost. Without htmx the server shows a page of its own.
(() => {
  "use strict";
  const HEADER = "Confirm-Password";
  const TIMEOUT = 20_000; // ms
  const at = (id) => document.getElementById(id);
  let refused = null; // the request to repeat: its element, verb, path and values, and the URL that takes the password
  let repeated = null; // the element whose request is repeated now

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    const url = xhr.status === 403 && xhr.getResponseHeader(HEADER);
    if (!url) return;
    event.preventDefault(); // neither a swap nor an error message
    const values = Object.fromEntries(requestConfig.formData);
    refused = { elt, url, verb: requestConfig.verb, path: requestConfig.path, values };
    at("password-dialog")?.remove();
    document.body.append(at("password-template").content.cloneNode(true));
    at("password-dialog").addEventListener("close", (closed) => closed.target.remove());
    at("password-dialog").showModal();
    at("password-input").focus();
  });

  function showError(text) {
    at("password-error").textContent = text;
    at("password-error").hidden = !text;
    at("password-input").toggleAttribute("aria-invalid", Boolean(text));
  }
  // The page that takes the password responds with a redirect, or shows its form again with the reason.
  async function send(password) {
    const body = new FormData();
    body.set("password", password);
    const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
    const signal = AbortSignal.timeout(TIMEOUT);
    let response;
    try {
      response = await fetch(refused.url, { method: "POST", body, headers, signal, redirect: "manual" });
    } catch (error) {
      if (error.name === "TimeoutError") return `The server did not respond within ${TIMEOUT / 1000} s. Try again.`;
      return "The connection to the server failed. Try again.";
    }
    if (response.type === "opaqueredirect") return "";
    if (response.status >= 500) return `The server failed with an error (status ${response.status}). Try again.`;
    if (response.status === 429) return "Too many attempts. Wait a minute, then try again.";
    if (!response.ok) return "The server refused the request. Reload the page.";
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.querySelector(".invalid-feedback")?.textContent.trim() || "The password is wrong.";
  }
  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "password-form") return;
    event.preventDefault();
    const button = event.target.querySelector("[type=submit]");
    button.disabled = true;
    const error = await send(at("password-input").value);
    if (!at("password-dialog")) return; // cancelled meanwhile
    button.disabled = false;
    showError(error);
    if (error) return at("password-input").select();
    const { elt, verb, path, values } = refused;
    at("password-dialog").close();
    if (!elt.isConnected) return window.location.reload();
    repeated = elt;
    window.htmx.ajax(verb, path, { source: elt, values });
    repeated = null;
  });
  // The repeated request was confirmed before (data-confirm, popups.js): it must not ask again.
  document.addEventListener(
    "htmx:confirm",
    (event) => {
      if (event.detail.elt === repeated) event.stopImmediatePropagation();
    },
    true,
  );
})();
