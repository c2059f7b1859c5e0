// The menu of a message, which comes when it is asked for, and the questions that one might ask next.
(() => {
  const menu = document.getElementById("message-menu");
  let opener = null;

  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target === menu) opener = detail.elt;
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== menu || !opener?.isConnected) return;
    menu.showPopover();
    owui.place(menu, opener);
    opener.setAttribute("aria-expanded", "true");
    menu.querySelector("button, input").focus();
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open" || !opener) return;
    opener.setAttribute("aria-expanded", "false");
    if (document.activeElement === document.body) opener.focus();
  });
  // Enter in its field sends, and is done with the menu.
  menu.addEventListener("submit", () => menu.hidePopover());

  // Sent at once, unless something is written in the composer already, or the person wants to look at it first.
  document.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-follow-up]");
    if (!chip) return;
    const area = document.getElementById("prompt");
    const written = area.value.trim();
    area.value = written ? `${area.value.trimEnd()}\n${chip.textContent.trim()}` : chip.textContent.trim();
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
    const form = document.getElementById("composer");
    if (!written && chip.dataset.followUp === "send" && !form.querySelector(".send").disabled) form.requestSubmit();
  });
})();
