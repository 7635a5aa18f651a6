// Requests of htmx that fail, on every page: a click gets a message at its button, a poll "Reconnecting…" (data-live).
// The message says what is certain. It never shows a response's HTML: only its reason, if that is text or JSON.
(() => {
  "use strict";
  const POLL_TIMEOUT = 20_000; // ms
  const TIMEOUT = 60_000; // twice what the slowest response takes: a bin that waits 30 s
  const UPLOAD_TIMEOUT = 15 * 60_000; // 64 MiB at 75 kB/s
  const LONGEST_REASON = 400; // characters; a longer text is not written for this place
  const isPoll = (elt) => (elt.getAttribute("hx-trigger") || "").includes("every");

  document.addEventListener("htmx:configRequest", (event) => {
    const request = event.detail;
    request.wasOffline = !navigator.onLine;
    if (request.timeout) return; // the element's hx-request
    const hasFiles = Array.from(request.formData?.values() || []).some((value) => value instanceof File && value.size);
    request.timeout = hasFiles ? UPLOAD_TIMEOUT : isPoll(request.elt) ? POLL_TIMEOUT : TIMEOUT;
  });

  // -- the words
  const NOT_DONE = [
    [/^(re)?send|^reply|^test|^simulate/i, "Not sent"],
    [/^save|^set/i, "Not saved"],
    [/^(delete|remove)/i, "Not deleted"],
    [/^create|^add/i, "Not created"],
  ];
  function notDone(detail, control) {
    if (detail.requestConfig.verb === "get") return "Not loaded";
    const label = control.getAttribute("aria-label") || control.textContent.trim();
    return NOT_DONE.find(([verb]) => verb.test(label))?.[1] || "Not done";
  }
  const FALLBACK_REASONS = {
    400: "the server refused the request as invalid. Reload the page and try again.",
    403: "you do not have access, or your session changed in another tab. Reload the page.",
    404: "this no longer exists, or your session changed in another tab. Reload the page.",
    413: "the request is too large for this server.",
    429: "too many requests.",
  };
  // The reason that the server gave as text or JSON; "" for anything else, such as a proxy's page.
  function givenReason(xhr) {
    const type = xhr.getResponseHeader("Content-Type") || "";
    let reason = "";
    if (type.startsWith("text/plain")) reason = xhr.responseText.trim();
    if (type.startsWith("application/json")) {
      try {
        reason = String(JSON.parse(xhr.responseText).error || "");
      } catch {
        reason = "";
      }
    }
    if (reason.length > LONGEST_REASON) return "";
    return /^[A-Z][a-z ]/.test(reason) ? reason[0].toLowerCase() + reason.slice(1) : reason;
  }
  function waitingTime(xhr) {
    const seconds = Number(xhr.getResponseHeader("Retry-After"));
    if (!seconds) return "a minute";
    return seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  }
  const MAY_BE_DONE = "Your request may have been processed: check before you try again.";
  // What happened, what is certain, and what to do next. `cause` is the name of htmx's event.
  function explain(cause, detail, control) {
    const { xhr, requestConfig } = detail;
    const refused = notDone(detail, control);
    const reads = requestConfig.verb === "get";
    const unsure = (what, next) => (reads ? `Not loaded: ${what}. ${next}` : `No result: ${what}. ${MAY_BE_DONE}`);
    if (cause === "htmx:timeout") {
      return unsure(`the server did not respond within ${requestConfig.timeout / 1000} s`, "Try again.");
    }
    if (cause === "htmx:sendError") {
      if (requestConfig.wasOffline) return `${refused}: this browser is offline. Try again when it is connected.`;
      return unsure("the connection to the server failed", "Try again in a moment.");
    }
    if (xhr.status >= 500) {
      const away = [502, 503, 504].includes(xhr.status);
      const what = away ? "the server is restarting or cannot be reached" : "the server failed with an error";
      return unsure(`${what} (status ${xhr.status})`, "Try again in a moment.");
    }
    const reason = givenReason(xhr) || FALLBACK_REASONS[xhr.status];
    const wait = xhr.status === 429 ? ` Wait ${waitingTime(xhr)}, then try again.` : "";
    return `${refused}: ${reason || `the server refused the request (status ${xhr.status}). Reload the page.`}${wait}`;
  }

  // -- the place: under the control that was used; at the top of the page if it is not visible
  const shown = new Map(); // the element that made the request: its message
  const isVisible = (element) => element.isConnected && element.getClientRects().length > 0;

  function usedControl(detail) {
    const event = detail.requestConfig.triggeringEvent;
    const control = event?.submitter || event?.target;
    const inside = control instanceof Element && control !== document.body && control !== document.documentElement;
    return inside ? control.closest("button, a, input, select, textarea, form, summary") || control : detail.elt;
  }
  // Returns the first of the element's ancestors, or itself, after which a block takes a line of its own.
  function lineOf(element) {
    let line = element;
    while (line.parentElement && !line.parentElement.matches("main, dialog, body")) {
      const display = getComputedStyle(line.parentElement).display;
      if (["block", "flow-root", "list-item", "table-cell"].includes(display)) break;
      line = line.parentElement;
    }
    return line;
  }
  function messageBox(text, link) {
    const box = document.createElement("div");
    box.className = "request-error alert alert-danger bg-surface";
    box.setAttribute("role", "alert");
    const words = document.createElement("span");
    words.textContent = text;
    box.append(words);
    if (link) {
      const anchor = document.createElement("a");
      anchor.className = "alert-link";
      anchor.href = link.href;
      anchor.textContent = link.text;
      box.append(anchor);
    } else if (text.includes("Reload the page")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn-sm";
      button.textContent = "Reload page";
      button.addEventListener("click", () => window.location.reload());
      box.append(button);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.className = "icon-button";
    close.dataset.close = ".request-error";
    close.setAttribute("aria-label", "Close this message");
    close.textContent = "×";
    box.append(close);
    return box;
  }
  function showAtTop(box) {
    const open = document.querySelector("dialog[open]");
    (open || document.getElementById("main") || document.body).prepend(box);
  }
  function forget(owner) {
    shown.get(owner)?.remove();
    shown.delete(owner);
  }
  function show(owner, control, text, link) {
    forget(owner);
    const box = messageBox(text, link);
    shown.set(owner, box);
    if (control && isVisible(control)) lineOf(control).after(box);
    else showAtTop(box);
    box.scrollIntoView({ block: "nearest" });
  }

  // -- polls: which of them fail, and whether trying again can help
  const failing = new Set();
  function showLive() {
    for (const elt of failing) if (!elt.isConnected) failing.delete(elt);
    const state = failing.size ? "off" : "on";
    const words = { on: document.body.dataset.liveOn, off: document.body.dataset.liveOff };
    const places = Array.from(document.querySelectorAll("[data-live]"));
    for (const place of places) {
      if (place.dataset.live === state) continue;
      place.dataset.live = state;
      place.querySelector("[data-live-word]").textContent = words[state];
    }
    document.getElementById("reconnecting")?.remove();
    if (state === "on" || places.some(isVisible)) return;
    const note = document.createElement("p"); // for a page that polls and shows no "Live"
    note.id = "reconnecting";
    note.className = "request-error alert alert-warning bg-surface";
    note.setAttribute("role", "status");
    note.textContent = `${words.off} This page may be out of date.`;
    document.getElementById("main")?.prepend(note);
  }

  function handleFailure(cause, detail) {
    const { elt, xhr } = detail;
    if (isPoll(elt)) {
      failing.add(elt);
      showLive();
      const isFinal = cause === "htmx:responseError" && xhr.status < 500 && ![408, 425, 429].includes(xhr.status);
      if (!isFinal || shown.get("poll")?.isConnected) return;
      const text = explain(cause, detail, elt).replace(/^Not [a-z]+: /, "This page is no longer updated: ");
      return show("poll", null, text);
    }
    const control = usedControl(detail);
    show(elt, control, explain(cause, detail, control));
  }
  for (const cause of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(cause, (event) => handleFailure(cause, event.detail));
  }
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (!isPoll(detail.elt)) forget(detail.elt);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful || !isPoll(detail.elt)) return;
    failing.delete(detail.elt);
    showLive();
    if (!failing.size) forget("poll");
  });
  // A poll may replace the part of the page that has the message: it moves to the top. A click's response ends it.
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    for (const [owner, box] of shown) {
      if (box.isConnected) continue;
      if (isPoll(detail.requestConfig.elt)) showAtTop(box);
      else shown.delete(owner);
    }
  });
  document.addEventListener("click", ({ target }) => {
    const box = target.closest("[data-close]")?.closest(".request-error");
    for (const [owner, other] of shown) if (other === box) shown.delete(owner);
  });

  // -- a whole page in response to a request for a part of one: the session has ended, or another page comes first
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig, elt } = event.detail;
    if (event.detail.isError || !/^\s*<!doctype html/i.test(xhr.responseText)) return;
    const isSignIn = new URL(xhr.responseURL).pathname.startsWith("/accounts/login");
    if (requestConfig.elt.closest("[hx-select]") && !isSignIn) return;
    event.preventDefault();
    if (!isSignIn) {
      window.location.assign(xhr.responseURL);
      return;
    }
    const here = window.location.pathname + window.location.search;
    const link = { text: "Sign in", href: `/accounts/login/?next=${encodeURIComponent(here)}` };
    if (isPoll(requestConfig.elt)) {
      failing.add(requestConfig.elt);
      showLive();
      if (!shown.get("poll")?.isConnected) {
        show("poll", null, "This page is no longer updated: you signed out in another tab.", link);
      }
      return;
    }
    const control = usedControl(event.detail);
    show(elt, control, `${notDone(event.detail, control)}: your session has ended.`, link);
  });
})();
