// Where no socket gets through, a page still is told what happens: the same frames as server-sent events, while an
// answer is being written and a little longer (its title and the questions one might ask next come after it). Where a
// proxy keeps events back as well, the page asks for each message once a second.
(() => {
  const LINGER = 15_000; // after the last answer
  const PATIENCE = 5_000; // for the first word of a stream
  const LATER = [2_000, 8_000]; // after an answer, where the page only asks
  let source = null;
  let followed = "";
  let openedAt = 0;
  let isReady = false;
  let busyAt = 0;
  let faults = 0;
  const asked = new Set();

  function close() {
    source?.close();
    source = null;
    isReady = false;
  }

  function open(articles, names) {
    close();
    followed = names;
    openedAt = Date.now();
    const turns = articles.map(({ dataset }) => `turn=${dataset.turn}.${dataset.seq || 0}`);
    const stream = (source = new EventSource(`/c/stream?${turns.join("&")}`));
    stream.addEventListener("ready", () => {
      isReady = true;
      faults = 0;
    });
    stream.addEventListener("over", ({ data }) => {
      close();
      faults = 99;
      if (data === "4401") owui.signedOut();
    });
    stream.onmessage = owui.receive;
    // Not as the browser would try again, from the beginning: the page is further by now.
    stream.onerror = () => {
      if (source !== stream) return;
      close();
      followed = "";
      faults += 1;
    };
  }

  async function refreshList() {
    if (document.querySelector("#sidebar :focus, .menu:popover-open")) return;
    await htmx.ajax("GET", "/c/search", { target: "#chat-list", swap: "innerHTML" });
    const link = document.querySelector(`#chat-list a[href="${CSS.escape(location.pathname)}"]`);
    if (link) owui.apply([["title", "chat-list", link.textContent.trim(), location.pathname]]);
  }

  // What came after an answer that the page could only ask for.
  function askLater(article) {
    const { id } = article;
    for (const wait of LATER)
      setTimeout(async () => {
        const same = document.getElementById(id);
        if (!same || same.dataset.turn) return;
        await owui.poll(same);
        await refreshList();
      }, wait);
  }

  // Called once a second while there is no socket.
  function tick(articles) {
    if (articles.length) busyAt = Date.now();
    const names = articles.map(({ dataset }) => dataset.turn).join();
    if (source && !isReady && Date.now() - openedAt > PATIENCE) {
      close();
      faults = 99;
    }
    if (faults < 3) {
      if (names && names !== followed) open(articles, names);
      else if (!names && Date.now() - busyAt > LINGER) close();
    }
    if (source && names === followed && (isReady || Date.now() - openedAt < 2_500)) return;
    for (const article of articles) {
      asked.add(article.id);
      owui.poll(article);
    }
    for (const id of asked) {
      const article = document.getElementById(id);
      if (article?.dataset.turn) continue;
      asked.delete(id);
      if (article && !isReady) askLater(article);
    }
  }

  function end() {
    close();
    followed = "";
    faults = 0;
  }

  owui.stream = { tick, end, again: () => (followed = ""), works: () => isReady };
})();
