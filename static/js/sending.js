// Sending Messages (templates/testing/sending.html): shows the fields of the chosen kind, and how the message will look.
(() => {
  "use strict";
  const LABELS = { file: "File", link: "Link", location: "Location", contact: "Contact card", voice: "Voice" };

  function chosen(form) {
    return form.elements.kind.value || "text";
  }
  function arrange(form) {
    for (const part of form.querySelectorAll("[data-kind]")) {
      part.toggleAttribute("data-not-chosen", part.dataset.kind !== chosen(form));
    }
    preview(form);
  }
  function words(form) {
    const value = (name) => (form.elements[name]?.value || "").trim();
    const file = (name) => form.elements[name]?.files?.[0];
    switch (chosen(form)) {
      case "file":
        return {
          note: file("file")?.name || value("file_url") || "no file chosen yet",
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
            .map((each) => each.trim())
            .filter(Boolean)
            .join("\n"),
        };
      case "voice":
        return { note: file("voice")?.name || value("voice_url") || "a sample: two tones" };
      default:
        return { text: value("text") };
    }
  }
  // as a data: URI, for the policy of the page lets no others in
  let read = null;
  function picturePreview(image, file) {
    if (!file || !/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
      read = null;
      image.hidden = true;
      return;
    }
    if (read === file && !image.hidden) return;
    read = file;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      if (read !== file) return;
      image.src = reader.result;
      image.hidden = false;
    });
    reader.readAsDataURL(file);
  }
  function preview(form) {
    const box = form.querySelector("[data-preview-box]");
    const { note = "", title = "", text = "", picture } = words(form);
    const label = LABELS[chosen(form)] || "";
    const put = (name, content) => {
      const place = box.querySelector(`[data-preview-${name}]`);
      place.textContent = content;
      place.hidden = !content;
    };
    put("note", [label, note].filter(Boolean).join(" · "));
    put("title", title);
    put("text", text);
    picturePreview(box.querySelector("[data-preview-picture]"), picture);
    box.hidden = !(note || title || text);
  }

  const formOf = (event) => event.target.closest?.("form[data-preview]");
  document.addEventListener("change", (event) => formOf(event) && arrange(formOf(event)));
  document.addEventListener("input", (event) => formOf(event) && preview(formOf(event)));
  const all = () => document.querySelectorAll("form[data-preview]").forEach(arrange);
  document.addEventListener("htmx:afterSettle", (event) => event.detail.target?.id !== "sent" && all());
  all();
})();
