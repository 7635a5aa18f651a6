// Sets light or dark before the first paint, so that nothing flashes; loaded in <head>, not deferred.
// The choice (light, dark; none: the system's) is stored in this browser.
(() => {
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function chosen() {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch {
      return "auto"; // storage may be forbidden; then the system decides
    }
  }
  function apply() {
    var choice = chosen();
    var root = document.documentElement;
    root.dataset.bsTheme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    root.dataset.themeChoice = choice;
    root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark"); // Swagger UI goes by this class
  }
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply); // chosen in another tab
  window.chooseTheme = (choice) => {
    try {
      if (choice === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice);
    } catch {
      document.documentElement.dataset.bsTheme = choice; // for this page at least
      return;
    }
    apply();
  };
})();
