// Sending Messages (templates/testing_tools/sending/sending.html): shows the fields of the chosen type, and a preview.
(() => {
  "use strict";
  function chosenKind(form) {
    return form.elements.kind.value || "text";
  }
  function showChosenKind(form) {
    for (const part of form.querySelectorAll("[data-kind]")) {
      part.toggleAttribute("data-not-chosen", part.dataset.kind !== chosenKind(form));
    }
    updatePreview(form);
  }
  function previewContent(form) {
    const value = (name) => (form.elements[name]?.value || "").trim();
    const file = (name) => form.elements[name]?.files?.[0];
    switch (chosenKind(form)) {
      case "file":
        return {
          note: file("file")?.name || value("file_url") || "no file chosen",
          text: value("caption"),
          picture: file("file"),
        };
      case "link":
        return {
          title: value("title"),
          text: [value("description"), value("link")].filter(Boolean).join("\n"),
          picture: file("picture"),
        };
      case "location":
        return { note: `${value("lat")}; ${value("lng")}`, text: value("address") };
      case "contact":
        return {
          text: value("contacts")
            .split(",")
            .map((phone) => phone.trim())
            .filter(Boolean)
            .join("\n"),
        };
      case "voice":
        return { note: file("voice")?.name || value("voice_url") || "sample: two tones" };
      default:
        return { text: value("text") };
    }
  }
  // as a data: URI, because the page's content security policy allows no blob: URLs
  let shownFile = null;
  function showPicture(image, file) {
    if (!file || !/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
      shownFile = null;
      image.hidden = true;
      return;
    }
    if (shownFile === file && !image.hidden) return;
    shownFile = file;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      if (shownFile !== file) return;
      image.src = reader.result;
      image.hidden = false;
    });
    reader.readAsDataURL(file);
  }
  function updatePreview(form) {
    const box = form.querySelector("[data-preview-box]");
    const { note = "", title = "", text = "", picture } = previewContent(form);
    const chosen = form.querySelector("input[name=kind]:checked:not([value=text])");
    const label = chosen?.closest("label").querySelector(".choice-name").textContent || "";
    const setText = (name, content) => {
      const element = box.querySelector(`[data-preview-${name}]`);
      element.textContent = content;
      element.hidden = !content;
    };
    setText("note", [label, note].filter(Boolean).join(" · "));
    setText("title", title);
    setText("text", text);
    showPicture(box.querySelector("[data-preview-picture]"), picture);
    box.hidden = !(note || title || text);
  }

  const formOf = (event) => event.target.closest?.("form[data-preview]");
  document.addEventListener("change", (event) => formOf(event) && showChosenKind(formOf(event)));
  document.addEventListener("input", (event) => formOf(event) && updatePreview(formOf(event)));
  const updateAll = () => document.querySelectorAll("form[data-preview]").forEach(showChosenKind);
  document.addEventListener("htmx:afterSettle", (event) => event.detail.target?.id !== "sent" && updateAll());
  updateAll();
})();
