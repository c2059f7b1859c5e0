// Big tables of the administration: arrow keys go from cell to cell, and what is not saved is counted.
(() => {
  const table = document.querySelector("[data-grid]");
  if (!table) return;
  const stop = "input[type=checkbox], [data-cell]";
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function neighbour(cell, down, right) {
    const rows = [...table.rows];
    let at = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    for (;;) {
      at += down;
      column += right;
      const next = rows[at]?.cells[column];
      if (!next) return null;
      const target = next.querySelector(stop);
      if (target) return target;
      if (next.tagName === "TH" && right) return null;
    }
  }

  table.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    const cell = step && event.target.matches(stop) && event.target.closest("td");
    if (!cell) return;
    const target = neighbour(cell, ...step);
    if (target) target.focus();
    event.preventDefault();
  });

  // One stop for the tab key in a table of signs: the arrows go on from there.
  const first = table.querySelector("[data-cell]");
  if (first) first.tabIndex = 0;

  const says = document.querySelector("[data-says]");
  if (says)
    for (const type of ["focusin", "pointerover"])
      table.addEventListener(type, (event) => {
        const cell = event.target.closest("td");
        if (!cell) return;
        const column = table.rows[0].cells[cell.cellIndex].innerText.trim();
        says.textContent = `${cell.parentElement.cells[0].innerText.trim()} · ${column}: ${cell.title}`;
      });

  const counter = document.querySelector("[data-changes]");
  if (!counter) return;
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
  const saw = new Map();
  for (const input of document.querySelectorAll('[name^="saw:"]'))
    saw.set(input.name.slice(4), new Set(input.value.split(",")));

  function differs(box) {
    const at = box.value.indexOf(":");
    return saw.get(box.value.slice(0, at)).has(box.value.slice(at + 1)) !== box.checked;
  }

  let changes = 0;
  function count() {
    changes = 0;
    for (const box of boxes) {
      const is = differs(box);
      box.closest("td").classList.toggle("edited", is);
      changes += is;
    }
    const text = changes === 1 ? counter.dataset.one : counter.dataset.many.replace("%s", changes);
    counter.textContent = changes ? text : "";
  }

  table.addEventListener("change", count);
  // A restored form differs from what was sent to the browser.
  window.addEventListener("pageshow", count);
  let saving = false;
  table.closest("form").addEventListener("submit", () => (saving = true));
  window.addEventListener("beforeunload", (event) => changes && !saving && event.preventDefault());
})();
