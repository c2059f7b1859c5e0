// The socket carries ready fragments. It attaches to every element with data-turn, goes on after a break from the
// number it saw last; while there is no socket, stream.js takes its place.
(() => {
  const line = document.getElementById("connection");
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/chat`;
  let socket = null;
  let wait = 500;
  let retry = 0;
  let lostSince = Date.now();
  let answered = Date.now();
  let worked = false;
  let over = false;
  let tries = 0;
  let lookedAt = 0;

  const ALONE = 15_000;
  const SIGNED_OUT = 4401;
  const TOO_MANY = 4429;
  const GOES_ON_ELSEWHERE = 1012; // the server process is being stopped; another one, or its next, takes over

  const isOpen = () => socket?.readyState === WebSocket.OPEN;
  // Answers of temporary chats have no turn on the server.
  const running = () => document.querySelectorAll('[data-turn]:not([data-turn=""])');
  const send = (value) => isOpen() && socket.send(JSON.stringify(value));

  function attach(element) {
    if (!element.dataset.turn) return;
    if (isOpen()) send({ type: "attach", turn: element.dataset.turn, seq: Number(element.dataset.seq || 0) });
    else owui.stream.again();
  }

  function receive(event) {
    answered = Date.now();
    const frame = JSON.parse(event.data);
    if (frame.type === "chat") return owui.apply(frame.ops);
    if (!frame.turn) return undefined;
    const article = document.querySelector(`[data-turn="${CSS.escape(frame.turn)}"]`);
    if (!article) return undefined;
    if (frame.error) return poll(article); // the turn is over or gone: the message knows how it ended
    const seq = Number(article.dataset.seq || 0);
    if (frame.seq <= seq) return undefined;
    if (frame.after !== undefined && frame.after !== seq) return attach(article); // drawn anew meanwhile
    article.dataset.seq = frame.seq;
    owui.apply(frame.ops);
    article.dispatchEvent(new CustomEvent("owui:text", { bubbles: true }));
    return undefined;
  }

  function signedOut() {
    over = true;
    owui.stream.end();
    line.textContent = line.dataset.signedOut;
    line.hidden = false;
  }

  function open() {
    clearTimeout(retry);
    if (over) return;
    if (socket && socket.readyState <= WebSocket.OPEN) return;
    socket = new WebSocket(address);
    socket.onopen = () => {
      wait = 500;
      worked = true;
      owui.stream.end();
      lostSince = 0;
      answered = Date.now();
      line.hidden = true;
      running().forEach(attach);
    };
    socket.onmessage = receive;
    socket.onclose = ({ code }) => {
      lostSince ||= Date.now();
      if (code === SIGNED_OUT) return signedOut();
      if (code === TOO_MANY) wait = 10000;
      // not all pages of a server at the same moment
      if (code === GOES_ON_ELSEWHERE) wait = 200 + Math.random() * 1300;
      // a proxy that never let one through is asked now and then
      tries += 1;
      if (!worked && tries > 4) wait = 60000;
      retry = setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, 10000);
    };
  }

  // The server answers, and still no socket: from now on this is such a place.
  function lookAround() {
    if (Date.now() - lookedAt < ALONE) return;
    lookedAt = Date.now();
    fetch("/health").then(({ ok }) => (worked = worked && !ok), () => {});
  }

  // It may not be read any more, or was deleted elsewhere: what is here stays, and nothing more is waited for.
  function lost(article, reason) {
    for (const name of ["data-turn", "data-seq", "aria-busy"]) article.removeAttribute(name);
    const note = Object.assign(document.createElement("p"), { className: "quiet small", textContent: reason });
    article.querySelector('[id$="-error"]')?.replaceChildren(note);
  }

  async function poll(article) {
    if (article.dataset.polling) return;
    article.dataset.polling = "1";
    try {
      const response = await fetch(article.dataset.url, { headers: { "HX-Request": "true" } });
      const html = await response.text();
      // a sign-in page or a proxy's notice is not this message
      if (response.ok && article.isConnected && owui.parse(html).firstElementChild?.id === article.id) {
        const changed = owui.morphOuter(article, html);
        htmx.process(changed);
        changed.dispatchEvent(new CustomEvent("owui:text", { bubbles: true }));
      } else if (response.status === 404 && article.isConnected) lost(article, owui.parse(html).textContent.trim());
    } catch {
      // no server at all: the line at the top says so
    }
    delete article.dataset.polling;
  }

  setInterval(() => {
    if (isOpen() || over) return;
    if (Date.now() - lostSince < 1000) return;
    // where a proxy lets no socket through, doing without is the normal way: nothing to warn about
    if (line.hidden && worked) line.textContent = line.dataset.text;
    line.hidden = !worked || owui.stream.works();
    if (worked && Date.now() - lostSince > ALONE) lookAround();
    owui.stream.tick([...running()]);
  }, 1000);
  setInterval(() => {
    if (isOpen() && Date.now() - answered > 60000) socket.close(); // half-open: two pings stayed without an answer
    else send({ type: "ping" });
  }, 25000);
  addEventListener("online", open);
  document.addEventListener("visibilitychange", () => document.hidden || open());

  Object.assign(owui, { receive, poll, signedOut });
  open();
  htmx.onLoad((node) => {
    if (node.matches("[data-turn]")) attach(node);
    node.querySelectorAll("[data-turn]").forEach(attach);
  });
})();
