
// Before the first paint: the theme that was chosen, if any. Storage may be refused; then nothing is kept.
(function () {
  "use strict";
  var NAME = "lmprog-theme", root = document.documentElement, order = ["auto", "light", "dark"];
  function stored() {
    try { return window.localStorage.getItem(NAME) || "auto"; } catch (error) { return "auto"; }
  }
  function store(value) {
    try { window.localStorage.setItem(NAME, value); } catch (error) { return; }
  }
  function apply(value) {
    if (value === "light" || value === "dark") root.setAttribute("data-theme", value);
    else root.removeAttribute("data-theme");
    var button = document.getElementById("theme");
    if (button) button.textContent = "Theme: " + value;
  }
  var theme = order.indexOf(stored()) < 0 ? "auto" : stored();
  apply(theme);
  document.addEventListener("DOMContentLoaded", function () {
    apply(theme);
    document.getElementById("theme").addEventListener("click", function () {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      store(theme);
      apply(theme);
    });
  });
})();
