// Reads a running answer to screen readers sentence by sentence, never token by token.
(() => {
  const END = /[.!?:…。！？](?=["'”’)\]]*(\s|$))/g;
  const progress = new WeakMap();

  function words(node) {
    if (node.matches(".code")) return node.querySelector(".code-lang")?.textContent || "code";
    return node.textContent.replace(/\s+/g, " ").trim();
  }

  function speak(article, last) {
    const state = progress.get(article) || { blocks: 0, tail: 0 };
    progress.set(article, state);
    const blocks = article.querySelector(".blocks");
    const tail = article.querySelector(".tail");
    for (; state.blocks < blocks.children.length; state.blocks += 1) {
      owui.say(words(blocks.children[state.blocks]).slice(state.tail));
      state.tail = 0;
    }
    if (!tail.firstElementChild?.matches("p, h3, h4, h5, h6, ul, ol")) return;
    const open = tail.textContent.replace(/\s+/g, " ").trim();
    let end = last ? open.length : state.tail;
    for (const found of open.slice(state.tail).matchAll(END)) end = Math.max(end, state.tail + found.index + 1);
    if (end > state.tail) owui.say(open.slice(state.tail, end).trim());
    state.tail = Math.max(state.tail, end);
  }

  // What stood there before the page attached is not read again.
  htmx.onLoad((node) => {
    const articles = node.matches("[data-turn]") ? [node] : node.querySelectorAll("[data-turn]");
    for (const article of articles)
      if (!progress.has(article)) progress.set(article, { blocks: article.querySelector(".blocks").children.length, tail: 0 });
  });
  document.addEventListener("owui:text", (event) => speak(event.target, !event.target.dataset.turn));
})();
