// Typing # opens the list of knowledge bases; a chosen one becomes a chip above the text.
(() => {
  const area = document.getElementById("prompt");
  const list = document.getElementById("picker");
  const chips = document.getElementById("composer-chips");
  const WORD = /(^|\s)#([^\s#]*)$/;
  let timer = 0;
  let leaving = 0;
  let byButton = false;

  const isOpen = () => !list.hidden;
  const options = () => [...list.querySelectorAll("[data-id]")];
  const current = () => list.querySelector('[aria-selected="true"]');
  const typed = () => WORD.exec(area.value.slice(0, area.selectionStart));

  function select(option) {
    current()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) area.setAttribute("aria-activedescendant", option.id);
    else area.removeAttribute("aria-activedescendant");
  }

  function close() {
    clearTimeout(timer);
    list.hidden = true;
    byButton = false;
    select(null);
  }

  async function ask(query) {
    await htmx.ajax("GET", `${area.dataset.pickerUrl}?q=${encodeURIComponent(query)}`, { target: list, swap: "innerHTML" });
    if (!byButton && !typed()) return;
    list.hidden = false;
    select(options()[0]);
  }

  function choose(option) {
    const word = typed();
    if (word) {
      const start = area.selectionStart - word[2].length - 1;
      area.setRangeText("", start, area.selectionStart, "end");
    }
    if (!chips.querySelector(`input[value="${CSS.escape(option.dataset.id)}"]`)) {
      const chip = document.getElementById("knowledge-chip").content.firstElementChild.cloneNode(true);
      chip.querySelector("span").textContent = option.dataset.name;
      chip.querySelector("input").value = option.dataset.id;
      const button = chip.querySelector("button");
      button.setAttribute("aria-label", `${button.getAttribute("aria-label").trim()} ${option.dataset.name}`);
      chips.append(chip);
    }
    close();
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  area.addEventListener("input", () => {
    clearTimeout(timer);
    const word = typed();
    if (!word) return isOpen() && !byButton ? close() : undefined;
    timer = setTimeout(ask, 120, word[2]);
    return undefined;
  });
  area.addEventListener("keydown", (event) => {
    if (!isOpen()) return;
    const all = options();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) select(all[(all.indexOf(current()) + step + all.length) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && current()) choose(current());
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  area.addEventListener("blur", () => {
    leaving = setTimeout(close, 150);
  });
  // A press on the button takes the focus away and gives it back: that is no leaving.
  area.addEventListener("focus", () => clearTimeout(leaving));
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-id]");
    if (option) choose(option);
  });
  document.querySelector("[data-pick]").addEventListener("click", () => {
    area.focus();
    byButton = true;
    ask("");
  });
  // Somebody was faster than this script.
  if (document.activeElement === area && typed()) ask(typed()[2]);
})();
