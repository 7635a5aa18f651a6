// The queue's page: its rows move up when messages are sent. A poll is not shown while the pointer is on a button, so that
// a click never meets the button of another message. The next poll is shown when the pointer has left.
(() => {
  "use strict";
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.matches("[data-hold-under-pointer]:has(button:hover)")) event.detail.shouldSwap = false;
  });
})();
