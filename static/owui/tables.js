// Tables leave the page as Markdown, as cells for a spreadsheet, or as a CSV file.
(() => {
  function text(cell) {
    const copy = cell.cloneNode(true);
    for (const extra of copy.querySelectorAll(".cite")) extra.remove();
    for (const line of copy.querySelectorAll("br")) line.replaceWith("\n");
    return copy.textContent.replace(/\u2060/g, "").trim();
  }

  const rows = (table) => [...table.rows].map((row) => [...row.cells].map(text));

  function markdown(table) {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const escape = (cell) => cell.replaceAll("|", "\\|").replaceAll("\n", "<br>");
    const rules = { left: ":---", center: ":---:", right: "---:" };
    const [head, ...body] = rows(table).map((cells) => line(cells.map(escape)));
    const rule = line([...table.rows[0].cells].map((cell) => rules[cell.className] ?? "---"));
    return [head, rule, ...body].join("\n");
  }

  const tsv = (table) => rows(table).map((cells) => cells.map((cell) => cell.replace(/\s+/g, " ")).join("\t")).join("\n");

  // A spreadsheet takes what begins like this for a formula; numbers may begin with a sign.
  const inert = (cell) => (/^[=@\t\r]|^[+-](?![\d.,\s%€$£]*$)/.test(cell) ? `'${cell}` : cell);

  const csv = (table) =>
    rows(table)
      .map((cells) => cells.map((cell) => `"${inert(cell).replaceAll('"', '""')}"`).join(","))
      .join("\r\n");

  function name(frame) {
    let before = frame.previousElementSibling;
    while (before && !/^H\d$/.test(before.tagName)) before = before.previousElementSibling;
    const words = before?.textContent.trim().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
    return `${words?.slice(0, 60) || "table"}.csv`;
  }

  function download(content, filename) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", content], { type: "text/csv;charset=utf-8" }));
    link.download = filename;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-table]");
    if (!button) return;
    const frame = button.closest(".figure-tools").previousElementSibling;
    const table = frame.querySelector("table");
    if (button.dataset.table === "csv") download(csv(table), name(frame));
    else if (button.dataset.table === "tsv") owui.copy(button, tsv(table), table.outerHTML);
    else owui.copy(button, markdown(table));
  });

  owui.dress?.(".table-scroll", function table(frame) {
    frame.after(owui.dressing("table-tools"));
  });
})();
