// A number in the text: hover or focus shows what it stands on, a click opens the passage in the panel.
(() => {
  const card = document.getElementById("cite-card");
  const SELECTOR = ".cite [data-cite]";
  let timer = 0;

  const sourceOf = (button) =>
    button.closest(".message").querySelector(`[data-source="${CSS.escape(button.dataset.cite)}"] + template`);

  function show(button) {
    const source = sourceOf(button);
    if (!source) return;
    card.replaceChildren(source.content.cloneNode(true));
    card.showPopover();
    owui.place(card, button);
    button.setAttribute("aria-describedby", card.id);
  }

  function hide() {
    clearTimeout(timer);
    if (card.matches(":popover-open")) card.hidePopover();
    document.querySelector(`[aria-describedby="${card.id}"]`)?.removeAttribute("aria-describedby");
  }

  document.addEventListener("mouseover", (event) => {
    const button = event.target.closest(SELECTOR);
    hide();
    if (button) timer = setTimeout(show, 120, button);
  });
  document.addEventListener("focusin", (event) => {
    hide();
    if (event.target.matches(SELECTOR) && event.target.matches(":focus-visible")) show(event.target);
  });
  document.getElementById("scroll").addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

  document.addEventListener("click", (event) => {
    const button = event.target.closest(`${SELECTOR}, [data-source]`);
    if (!button) return;
    hide();
    if (document.querySelector("#chat[data-temporary]")) return show(button); // stored nowhere: the card is all there is
    const number = button.dataset.cite || button.dataset.source;
    document.querySelector(".cite [aria-current]")?.removeAttribute("aria-current");
    if (button.dataset.cite) button.setAttribute("aria-current", "true");
    button.focus({ preventScroll: true }); // where the focus returns to when the panel closes
    htmx.ajax("GET", `${button.closest(".message").dataset.url}/sources/${number}`, { target: "#panel", swap: "innerHTML" });
  });
})();
