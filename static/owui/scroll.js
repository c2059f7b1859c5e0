// Follows the text only while the reader is at the foot; otherwise a pill tells that there is more below. What is drawn
// anew, or comes in above, leaves what one reads where it is.
(() => {
  const view = document.getElementById("scroll");
  const messages = document.getElementById("messages");
  const pill = document.getElementById("below");
  const label = pill.querySelector("span");
  let following = true;
  let kept = null; // what stays in its place while the list is drawn anew: its id and where it is

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

  const top = (node) => node.getBoundingClientRect().top;

  // The message before the one with which something is done, or the first one below what comes in above.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const isAbove = detail.target?.matches(".earlier");
    if (!isAbove && detail.target !== messages) return;
    const all = [...messages.querySelectorAll(".message")];
    const touched = all.indexOf(isAbove ? all[0] : detail.requestConfig.elt.closest(".message"));
    const still = touched < 0 ? null : all[Math.max(0, touched - 1)];
    kept = still && { id: still.id, top: top(still) };
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (!detail.target?.matches(".earlier") && detail.target !== messages) return;
    const same = kept && document.getElementById(kept.id);
    if (same) view.scrollTop += top(same) - kept.top;
    else toFoot();
    following = distance() < 40;
    mark(false);
  });
  label.textContent = label.dataset.plain;
  toFoot();
})();
