// Keys that work everywhere. Which ones stands in the list behind "?", which the server makes of the person's settings.
(() => {
  const mac = /Mac|iP(hone|ad)/.test(navigator.platform);
  const list = document.getElementById("shortcuts");
  const help = document.getElementById("help-dialog");
  const $ = (selector) => document.querySelector(selector);
  const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
  const NAMES = { Quote: "'", Semicolon: ";", Period: ".", Comma: ",", Slash: "/", Backslash: "\\", BracketLeft: "[", BracketRight: "]" };

  // The keys of an event as they are written in the list: mod+shift+o
  function keysOf(event) {
    const key = /^\p{L}$/u.test(event.key) ? event.key : NAMES[event.code] || (/^Digit/.test(event.code) ? event.code.slice(5) : event.key);
    const held = [(mac ? event.metaKey : event.ctrlKey) && "mod", event.shiftKey && "shift", event.altKey && "alt"];
    return [...held.filter(Boolean), key.toLowerCase()].join("+");
  }

  const chat = () => /^\/c\/[0-9a-f-]{36}$/.test(location.pathname) && location.pathname;
  const actions = {
    new: () => $('[data-key="new"]')?.click(),
    temporary: () => $('[data-key="temporary"]')?.click(),
    search: () => $('[data-key="search"]')?.click(),
    sidebar: () => owui.toggleSidebar(),
    models: () => owui.openModels?.(),
    controls: () => $("[data-controls]")?.click(),
    dictate: () => $("#dictate:not([hidden])")?.click(),
    write: () => $("#prompt")?.focus(),
    copy: () => last(".message.assistant [data-copy-message]")?.click(),
    code: () => last(".message.assistant .code-copy")?.click(),
    regenerate: () => {
      // At once, where the button has a menu too.
      const button = last(".message.assistant [data-regenerate]");
      if (button) htmx.ajax("POST", button.dataset.regenerate, { source: button, target: "#messages" });
    },
    delete: () => chat() && htmx.ajax("GET", `${chat()}/delete`, { target: "#dialogs", swap: "innerHTML" }),
    settings: () => location.assign(list.dataset.settings),
  };
  const bound = new Map([...list.querySelectorAll("[data-shortcut]")].map((dd) => [dd.dataset.keys, dd.dataset.shortcut]));
  if (mac) for (const cap of document.querySelectorAll("kbd")) if (cap.textContent === "Ctrl") cap.textContent = "⌘";

  function escape() {
    if ($(".menu:popover-open, .model-menu:popover-open")) return undefined;
    return owui.closeFloating() || owui.stop?.();
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || $("dialog[open]")) return undefined;
    const keys = keysOf(event);
    const action = actions[bound.get(keys)];
    if (action) {
      event.preventDefault();
      return action();
    }
    if (keys === "escape") return escape();
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if ((event.key === "?" && !typing) || keys === "mod+/") {
      event.preventDefault();
      help.showModal();
    }
    return undefined;
  });

  // Settings: the next keys that are pressed are the new ones.
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-rebind]");
    if (!button || button.dataset.waits) return;
    const before = [...button.childNodes];
    button.dataset.waits = "1";
    button.textContent = button.dataset.press;
    owui.say(button.dataset.press);
    const stop = () => {
      removeEventListener("keydown", press, true);
      button.replaceChildren(...before);
      delete button.dataset.waits;
    };
    function press(event) {
      if (["Control", "Meta", "Shift", "Alt"].includes(event.key)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const keys = keysOf(event);
      stop();
      if (keys === "escape" || keys === "tab") return;
      htmx.ajax("POST", button.dataset.url, { target: "#keyboard", swap: "outerHTML", values: { name: button.dataset.rebind, keys } });
    }
    addEventListener("keydown", press, true);
    button.addEventListener("blur", () => button.dataset.waits && stop(), { once: true });
  });
})();
