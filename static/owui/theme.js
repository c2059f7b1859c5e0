// Runs before the first paint: the theme of pages that do not know the reader, and whether the sidebar is folded.
(() => {
  const root = document.documentElement;
  const known = document.currentScript.dataset.theme;
  const read = (key) => {
    try {
      return localStorage.getItem(key) || "";
    } catch {
      return "";
    }
  };
  const keep = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // private windows may refuse to store; the page works without
    }
  };
  if (known !== undefined) keep("owui-theme", known);
  root.dataset.theme = known === undefined ? read("owui-theme") : known;
  if (read("owui-sidebar") === "closed") root.dataset.sidebar = "closed";

  document.addEventListener("change", (event) => {
    if (event.target.name !== "theme") return;
    root.dataset.theme = event.target.value;
    keep("owui-theme", event.target.value);
  });
})();
