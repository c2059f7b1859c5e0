// What other tabs of the person did: a branch of the open chat, or the list of chats, is drawn anew when this page has
// not got it already. What is being written here is waited for.
(() => {
  const SETTLE = 700; // the tab that did it gets its own answer first
  const waiting = new Map();
  const isHere = (chat) => !chat || location.pathname.endsWith(chat);
  const isBusy = (target) => target.querySelector(".edit-form") || document.querySelector(".htmx-request");

  // Several news of one place are one look at it: it is drawn anew if any of them is not here yet.
  async function draw(target, news) {
    const missed = [...news.values()].find(({ mark, chat }) => isHere(chat) && !document.querySelector(mark));
    if (!missed) return;
    const { address, chat } = missed;
    const response = await fetch(address, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    if (response.ok && isHere(chat)) htmx.swap(target, await response.text(), { swapStyle: "innerHTML" });
  }

  function look() {
    for (const [target, news] of [...waiting]) {
      if (isBusy(target)) continue;
      waiting.delete(target);
      draw(target, news).catch(() => {}); // the next news, or a reload, brings it
    }
    if (waiting.size) setTimeout(look, SETTLE);
  }

  owui.stale = (target, address, mark, chat) => {
    if (!isHere(chat)) return;
    if (!waiting.size) setTimeout(look, SETTLE);
    if (!waiting.has(target)) waiting.set(target, new Map());
    waiting.get(target).set(address + mark, { address, mark, chat });
  };

  // A question that follows something this page has never shown: asked in a tab that missed what another one did.
  document.addEventListener("htmx:afterRequest", ({ detail, target }) => {
    const follows = target.id === "composer" && detail.successful && detail.xhr.getResponseHeader("X-Follows");
    if (!follows || document.getElementById(`message-${follows}`)) return;
    owui.stale(document.getElementById("messages"), detail.requestConfig.path, `#message-${CSS.escape(follows)}`, "");
  });
})();
