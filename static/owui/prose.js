// Finished blocks get what only a script can do: buttons at tables and code, drawn diagrams, pictures one can enlarge.
// Other files say what with `owui.dress(selector, function)`; what is still being written is left alone.
(() => {
  const FINISHED = '[id$="-blocks"]';
  const LONG = 15; // lines of code from which folding is worth a button
  const dressers = [];
  let timer = 0;

  function run() {
    timer = 0;
    for (const [selector, dress] of dressers)
      for (const node of document.querySelectorAll(`${FINISHED} ${selector}:not([data-dressed~="${dress.name}"])`)) {
        // A block that is drawn anew loses this mark with everything that was put into it.
        node.dataset.dressed = `${node.dataset.dressed ?? ""} ${dress.name}`.trim();
        dress(node);
      }
  }

  const soon = () => (timer ||= setTimeout(run, 120));

  owui.dress = (selector, dress) => {
    dressers.push([selector, dress]);
    soon();
  };
  owui.dressing = (id) => document.getElementById(id).content.cloneNode(true);

  function fold(block) {
    const lines = block.querySelector("pre").textContent.split("\n").length;
    if (lines > LONG) block.querySelector(".code-copy").before(owui.dressing("code-fold"));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-code-fold]");
    if (!button) return;
    const folded = button.closest(".code").classList.toggle("is-folded");
    button.setAttribute("aria-expanded", String(!folded));
    button.textContent = folded ? button.dataset.more : button.dataset.less;
  });

  const messages = document.getElementById("messages");
  if (!messages) return;
  new MutationObserver(soon).observe(messages, { childList: true, subtree: true });
  owui.dress(".code", fold);
})();
