// What was begun is kept per chat in this browser, for this person: a reload, a closed tab or a sign-in loses nothing.
(() => {
  const { area, chips, form, refresh } = owui.composer;
  const PREFIX = `draft:${form.dataset.person}:`;
  const MOST = 50;
  const OLDEST = 30 * 24 * 3600 * 1000;
  const key = (path = location.pathname) => PREFIX + path;

  function stored(name) {
    try {
      return JSON.parse(localStorage.getItem(name)) || {};
    } catch {
      return {};
    }
  }

  function save() {
    const kept = [...chips.querySelectorAll('li [name="file"], li [name="knowledge"]')].map((field) => ({
      name: field.name,
      value: field.value,
      label: field.closest("li").querySelector("span").textContent.trim(),
      whole: Boolean(field.closest("li").querySelector('[name="whole"]:checked')),
    }));
    try {
      if (area.value || kept.length) localStorage.setItem(key(), JSON.stringify({ text: area.value, kept, at: Date.now() }));
      else localStorage.removeItem(key());
    } catch {
      // no room: the text stays in the field all the same
    }
  }

  const NOBODY = "00000000-0000-0000-0000-000000000000";

  function fileChip(value, label, whole) {
    const html = document.getElementById("kept-file").innerHTML.replaceAll(NOBODY, encodeURIComponent(value));
    const chip = owui.parse(html).firstElementChild;
    chip.querySelector(".chip-name").textContent = label;
    chip.querySelector('[name="whole"]').checked = whole;
    const remove = chip.querySelector("[data-remove]");
    remove.setAttribute("aria-label", `${remove.getAttribute("aria-label").trim()} ${label}`);
    return chip;
  }

  function putBack({ name, value, label, whole }) {
    if (chips.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`)) return;
    if (name === "file") {
      chips.append(fileChip(value, label, whole));
      return htmx.process(chips);
    }
    const chip = document.getElementById("picked-chip").content.firstElementChild.cloneNode(true);
    Object.assign(chip.querySelector("input"), { name, value });
    chip.querySelector("input").setAttribute("value", value);
    chip.querySelector("span").textContent = label;
    const remove = chip.querySelector("button");
    remove.setAttribute("aria-label", `${remove.getAttribute("aria-label").trim()} ${label}`);
    return chips.append(chip);
  }

  function tidy() {
    const all = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    const byAge = all.sort((a, b) => (stored(b).at || 0) - (stored(a).at || 0));
    for (const [index, name] of byAge.entries())
      if (index >= MOST || Date.now() - (stored(name).at || 0) > OLDEST) localStorage.removeItem(name);
  }

  tidy();
  const draft = stored(key());
  if (!area.value && typeof draft.text === "string") area.value = draft.text;
  if (Array.isArray(draft.kept)) draft.kept.forEach(putBack);
  refresh();
  area.addEventListener("input", save);
  chips.addEventListener("change", save);
  new MutationObserver(save).observe(chips, { childList: true });
  document.addEventListener("owui:sent", ({ detail }) => {
    localStorage.removeItem(key(detail));
    save();
  });
  // ?q=…&submit=true: asked for by the person's own address bar, see composer_of.
  if (!("submit" in form.dataset)) return;
  history.replaceState(null, "", location.pathname); // who comes back does not ask again
  addEventListener("load", () => form.requestSubmit(), { once: true });
})();
