// Keys that work everywhere. The list behind "?" is components/_help_dialog.html; keep both in step.
(() => {
  const mac = /Mac|iP(hone|ad)/.test(navigator.platform);
  const click = (selector) => document.querySelector(selector)?.click();

  function search() {
    const field = document.getElementById("chat-search");
    if (!field.checkVisibility({ visibilityProperty: true })) owui.toggleSidebar();
    requestAnimationFrame(() => {
      field.focus();
      field.select();
    });
  }

  function copyLast() {
    const all = document.querySelectorAll(".message.assistant [data-copy-message]");
    all[all.length - 1]?.click();
  }

  const withCommand = { k: search };
  const withShift = { o: () => click('[data-key="new"]'), s: () => owui.toggleSidebar(), c: copyLast };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const command = mac ? event.metaKey : event.ctrlKey;
    const key = event.key.toLowerCase();
    const action = command && !event.altKey ? (event.shiftKey ? withShift : withCommand)[key] : null;
    if (action) {
      event.preventDefault();
      return action();
    }
    if (key === "escape") {
      if (event.shiftKey) return document.getElementById("prompt")?.focus();
      if (document.querySelector(".menu:popover-open")) return undefined;
      if (event.target.id === "chat-search" && event.target.value) {
        event.target.value = "";
        return htmx.trigger(event.target, "search");
      }
      return owui.closeFloating() || owui.stop?.();
    }
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key === "?" && !typing && !command) {
      event.preventDefault();
      document.getElementById("help-dialog").showModal();
    }
    return undefined;
  });
})();
