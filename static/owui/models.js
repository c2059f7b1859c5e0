// The model button: a list with search, tags and pins; with the permission several models, side by side.
(() => {
  const bar = document.getElementById("models");
  const menu = document.getElementById("model-menu");
  if (!bar) return;
  const MOST = 6;
  const lost = document.getElementById("model-lost");
  const search = document.getElementById("model-search");
  const list = document.getElementById("model-list");
  const none = document.getElementById("model-none");
  const area = document.getElementById("prompt");
  let slot = null;
  let opener = null;

  const slots = () => [...bar.querySelectorAll(".model-slot")];
  const rows = () => [...list.querySelectorAll(".model-row")];
  const shown = () => rows().filter((row) => !row.hidden).map((row) => row.querySelector(".model-choice"));
  const value = (one) => one.querySelector("input").value;

  // What other parts of the page include as "the model": the first one.
  function refresh() {
    const all = slots();
    all.forEach((one, index) => {
      const input = one.querySelector("input");
      if (index === 0) input.id = "model";
      else input.removeAttribute("id");
    });
    bar.classList.toggle("several", all.length > 1);
    const add = bar.querySelector("[data-model-add]");
    if (add) add.hidden = all.length >= MOST;
    const chosen = all.map(value);
    for (const choice of list.querySelectorAll(".model-choice"))
      choice.toggleAttribute("aria-current", chosen.includes(choice.dataset.model));
    document.dispatchEvent(new CustomEvent("owui:models"));
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const tags = [...menu.querySelectorAll('[data-tag][aria-pressed="true"]')].map((tag) => tag.dataset.tag);
    const place = menu.querySelector('[name="model-place"]:checked')?.value;
    for (const row of rows())
      row.hidden =
        (place && row.dataset.place !== place) ||
        !words.every((word) => row.dataset.words.includes(word)) ||
        !tags.every((tag) => `|${row.dataset.tags}`.includes(`|${tag}|`));
    none.hidden = shown().length > 0;
    menu.dispatchEvent(new CustomEvent("owui:filtered", { detail: { text: search.value.trim(), found: shown().length } }));
  }

  function open(one, button) {
    slot = one;
    opener = button;
    search.value = "";
    filter();
    menu.showPopover();
    owui.place(menu, button);
    button.setAttribute("aria-expanded", "true");
    search.focus();
  }

  function add() {
    const fresh = document.getElementById("model-slot").content.firstElementChild.cloneNode(true);
    slots().at(-1).after(fresh);
    refresh();
    open(fresh, fresh.querySelector("[data-model-open]"));
  }

  function choose(choice) {
    const same = slots().find((one) => one !== slot && value(one) === choice.dataset.model);
    if (same) slot.remove();
    else {
      slot.querySelector("input").value = choice.dataset.model;
      slot.querySelector(".name").textContent = choice.dataset.name;
    }
    if (!same) slot.querySelector("input").dispatchEvent(new Event("change", { bubbles: true }));
    lost.hidden = true;
    menu.hidePopover();
    area.focus();
    refresh();
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    const button = hit("[data-model-open]");
    if (button) open(button.closest(".model-slot") || slots()[0], button);
    if (hit("[data-model-add]")) add();
    const remove = hit("[data-model-remove]");
    if (remove && slots().length > 1) {
      remove.closest(".model-slot").remove();
      refresh();
      bar.querySelector("[data-model-open]").focus();
    }
    const choice = hit(".model-choice");
    if (choice && slot) choose(choice);
    const tag = hit("[data-tag]");
    if (tag) {
      tag.setAttribute("aria-pressed", String(tag.getAttribute("aria-pressed") !== "true"));
      filter();
    }
  });

  search.addEventListener("input", filter);
  menu.addEventListener("change", filter);
  menu.addEventListener("keydown", (event) => {
    const all = shown();
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) {
      event.preventDefault();
      if (at === 0 && step < 0) search.focus();
      else all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(at + step, all.length - 1)].focus();
    } else if (event.key === "Enter" && document.activeElement === search) {
      event.preventDefault();
      if (all[0]) choose(all[0]);
    }
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open") return;
    opener?.setAttribute("aria-expanded", "false");
    // One more that was not chosen after all.
    if (slot && !value(slot) && slots().length > 1) slot.remove();
    if (document.activeElement === document.body || menu.contains(document.activeElement)) (opener?.isConnected ? opener : area).focus();
    refresh();
  });
  menu.addEventListener("htmx:afterSwap", (event) => {
    filter();
    refresh();
    const pin = event.detail.requestConfig?.elt?.dataset.pin;
    if (pin) list.querySelector(`[data-pin="${CSS.escape(pin)}"]`)?.focus();
  });
  menu.addEventListener("htmx:afterRequest", ({ detail, target }) => {
    if (target.dataset.done && detail.successful) owui.say((target.textContent = target.dataset.done));
  });

  // Nothing is sent to no model, and the text stays where it is.
  const form = document.getElementById("composer");
  form.addEventListener("submit", (event) => {
    if (value(slots()[0])) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    open(slots()[0], bar.querySelector("[data-model-open]"));
  }, true);
  form.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.xhr.status === 404 && detail.xhr.getResponseHeader("X-Error-Code") === "model") lost.hidden = false;
  });
  owui.openModels = () => open(slots()[0], bar.querySelector("[data-model-open]"));
  refresh();
})();
