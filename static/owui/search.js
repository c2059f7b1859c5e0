// The search dialog: arrows go through what was found, Enter opens it, the filter buttons write into the field.
(() => {
  const field = () => document.getElementById("search-field");
  const options = () => [...document.querySelectorAll("#search-results .hit")];

  function select(option) {
    for (const other of options()) other.setAttribute("aria-selected", String(other === option));
    if (option) field().setAttribute("aria-activedescendant", option.id);
    else field().removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "search-field" || event.isComposing) return;
    // The browser's own Escape only empties a search field.
    if (event.key === "Escape") event.target.closest("dialog")?.close();
    const all = options();
    const place = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) select(all[(place + step + all.length) % all.length]);
    else if (event.key === "Enter") all[place]?.click();
    else return;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const filter = event.target.closest("[data-filter]");
    if (!filter) return;
    const input = field();
    const words = input.value.split(/\s+/).filter(Boolean);
    const at = words.indexOf(filter.dataset.filter);
    if (at >= 0) words.splice(at, 1);
    else words.push(filter.dataset.filter);
    input.value = words.join(" ") + (filter.dataset.filter.endsWith(":") || !words.length ? "" : " ");
    input.focus();
    htmx.trigger(input, "search");
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const id = detail.target?.id;
    if ((id === "search-results" || id === "dialogs") && field()) select(options()[0]);
  });
})();
