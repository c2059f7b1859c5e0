// Follows the text only while the reader is at the foot; otherwise a pill tells that there is more below.
(() => {
  const view = document.getElementById("scroll");
  const messages = document.getElementById("messages");
  const pill = document.getElementById("below");
  const label = pill.querySelector("span");
  let following = true;

  const distance = () => view.scrollHeight - view.clientHeight - view.scrollTop;
  const toFoot = () => {
    view.scrollTop = view.scrollHeight;
  };

  function mark(hasNew) {
    pill.hidden = following;
    if (following) label.textContent = label.dataset.plain;
    else if (hasNew) label.textContent = label.dataset.more;
  }

  view.addEventListener(
    "scroll",
    () => {
      following = distance() < 40;
      mark(false);
    },
    { passive: true },
  );
  new ResizeObserver(() => {
    if (following && owui.ui.scrollOnResponseGeneration !== false) toFoot();
    else mark(Boolean(messages.querySelector("[data-turn]")));
  }).observe(messages);
  new ResizeObserver(() => following && toFoot()).observe(view);

  pill.addEventListener("click", () => {
    following = true;
    toFoot();
    mark(false);
    document.getElementById("prompt").focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== messages) return;
    following = true;
    toFoot();
    mark(false);
  });
  label.textContent = label.dataset.plain;
  toFoot();
})();
