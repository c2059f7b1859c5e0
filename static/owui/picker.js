// While one types: / offers prompts, # knowledge, @ models, $ skills. What is chosen becomes a chip above the text, or
// text in it. The field keeps the focus; screen readers hear the option by aria-activedescendant.
(() => {
  const { area, chips, form, refresh } = owui.composer;
  const list = document.getElementById("picker");
  const KINDS = { "/": "prompt", "#": "knowledge", "@": "model", $: "skill" };
  const WORD = /(^|\s)([/#@$])((?<=#)https?:\/\/\S*|[^\s/#@$]*)$/;
  let timer = 0;
  let leaving = 0;
  let asked = 0;
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
    asked += 1;
    list.hidden = true;
    byButton = false;
    select(null);
  }

  async function ask(kind, query) {
    const mine = (asked += 1);
    const address = list.dataset.url.replace(/kind$/, kind);
    await htmx.ajax("GET", `${address}?q=${encodeURIComponent(query)}`, { target: list, swap: "innerHTML" });
    if (mine !== asked) return; // another letter came meanwhile, or the list was closed
    list.hidden = Boolean(list.querySelector("[data-nothing]")) && !byButton;
    select(options()[0]);
  }

  function removeWord() {
    const word = typed();
    if (!word) return;
    const start = area.selectionStart - word[3].length - 1;
    area.setRangeText("", start, area.selectionStart);
    area.setSelectionRange(start, start);
  }

  function addChips(template) {
    for (const chip of [...template.content.cloneNode(true).children]) {
      const { name, value } = chip.querySelector("input");
      if (name === "at") chips.querySelector('[name="at"]')?.closest("li").remove();
      if (!chips.querySelector(`input[name="${name}"][value="${CSS.escape(value)}"]`)) chips.append(chip);
    }
  }

  const COMMAND = /^\/(compact|fork|status)$/;
  const TARGETS = { compact: "#messages", fork: "#dialogs", status: "#panel" };
  const note = document.getElementById("composer-note");

  async function run({ command, commandUrl, verb }) {
    const values = { model: document.getElementById("model")?.value || "" };
    if (command === "compact") note.textContent = list.dataset.working;
    await htmx.ajax(verb.toUpperCase(), commandUrl, { target: TARGETS[command], swap: "innerHTML", values });
    if (command === "compact") note.replaceChildren();
  }

  function choose(option) {
    removeWord();
    close();
    area.focus();
    if (option.dataset.insert) area.setRangeText(option.dataset.insert, area.selectionStart, area.selectionEnd, "end");
    else if (option.dataset.web) owui.files?.web(option.dataset.web);
    else if (option.dataset.command) run(option.dataset);
    else if (option.dataset.textUrl) owui.takeText(option.dataset.textUrl);
    else addChips(option.querySelector("template"));
    area.dispatchEvent(new Event("input", { bubbles: true }));
    refresh();
  }

  area.addEventListener("input", () => {
    clearTimeout(timer);
    const word = typed();
    if (!word) return isOpen() && !byButton ? close() : undefined;
    timer = setTimeout(ask, 120, KINDS[word[2]], word[3]);
    return undefined;
  });
  area.addEventListener("keydown", (event) => {
    if (!isOpen() || event.isComposing) return;
    const all = options();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) select(all[(all.indexOf(current()) + step + all.length) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && current()) choose(current());
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
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (!button) return;
    area.focus();
    byButton = true;
    ask(button.dataset.pick, "");
  });
  // A command is never sent as a question, however fast it was typed.
  addEventListener("submit", async (event) => {
    const command = event.target === form && COMMAND.exec(area.value.trim())?.[1];
    if (!command || !/^\/c\/[0-9a-f-]{36}$/.test(location.pathname)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    area.setSelectionRange(area.value.length, area.value.length);
    await ask("prompt", command);
    const option = list.querySelector(`[data-command="${command}"]`);
    if (option) choose(option);
  }, true);
  // Somebody was faster than this script.
  if (document.activeElement === area && typed()) ask(KINDS[typed()[2]], typed()[3]);
})();
