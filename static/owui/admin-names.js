// What Django's own widgets leave without a name: the boxes of its searching selects, and an empty heading of its tables.
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
    for (const cell of root.querySelectorAll("th.original:empty")) {
      const plain = document.createElement("td");
      plain.className = cell.className;
      cell.replaceWith(plain);
    }
  }

  addEventListener("load", () => name(document));
  document.addEventListener("formset:added", ({ target }) => setTimeout(() => name(target)));
})();
