// What Django's own widgets leave without a name: the boxes of its searching selects, its search, and an empty heading of its tables.
(() => {
  function name(root) {
    for (const select of root.querySelectorAll("select.admin-autocomplete, select.select2-hidden-accessible")) {
      const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
      const heading = select.closest("td")?.className.match(/field-([\w-]+)/)?.[1];
      const column = heading && select.closest("table").querySelector(`th.column-${CSS.escape(heading)}`);
      const text = (label || column)?.textContent.trim().replace(/:$/, "");
      const box = select.nextElementSibling;
      if (!text || !box?.matches(".select2")) continue;
      for (const part of box.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
        part.removeAttribute("aria-labelledby");
        part.setAttribute("aria-label", text);
      }
    }
    const search = root.querySelector("#searchbar");
    search?.setAttribute("aria-label", search.form.querySelector("[type=submit]").value);
    for (const cell of root.querySelectorAll("th.original:empty")) {
      const plain = document.createElement("td");
      plain.className = cell.className;
      cell.replaceWith(plain);
    }
  }

  // Whenever they are made: with the page, or with a row that is added.
  name(document);
  new MutationObserver((records) => {
    if (records.some(({ addedNodes }) => [...addedNodes].some((node) => node.matches?.(".select2, tr, tr *")))) name(document);
  }).observe(document.body, { childList: true, subtree: true });
})();
