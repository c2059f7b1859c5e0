// What is new: dots and rings in the list, and telling the server what has been looked at.
(() => {
  const list = document.getElementById("chat-list");
  const open = () => /^\/c\/([0-9a-f-]{36})$/.exec(location.pathname)?.[1];
  const headers = () => ({ "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) });
  let unseen = "";
  let timer = 0;

  const item = (chat) => document.getElementById(`chat-item-${chat}`);

  function show(node, state) {
    node.querySelector(".chat-state")?.remove();
    if (!state) return;
    const made = document.getElementById(`chat-state-${state}`).content.firstElementChild.cloneNode(true);
    node.querySelector("a").after(made);
  }

  // Told after a moment: answers that end together are looked at together.
  function seen() {
    if (document.hidden || !unseen) return;
    const chat = unseen;
    unseen = "";
    fetch(`/c/${chat}/read`, { method: "POST", headers: headers(), keepalive: true }).catch(() => {});
  }

  owui.mark = (chat, state) => {
    const here = chat === open();
    if (here && state === "ended") {
      unseen = chat;
      setTimeout(seen, 800);
    }
    const node = item(chat);
    if (node) return show(node, state === "ended" ? (here && !document.hidden ? "" : "unread") : state);
    // A chat that another window began: the list has it from the server. Further down than it goes, nothing is shown.
    if (state === "running" && !here) {
      clearTimeout(timer);
      timer = setTimeout(() => htmx.ajax("GET", "/c/search", { target: "#chat-list", swap: "innerHTML" }), 600);
    }
    return undefined;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !unseen) return;
    const node = item(unseen);
    if (node) show(node, "");
    seen();
  });

  // Shift and Delete: gone at once, by mouse or keyboard, for whoever tidies many.
  document.getElementById("chat-menu").addEventListener("click", (event) => {
    const remove = event.target.closest('[data-path="delete"]');
    if (remove) remove.dataset.verb = event.shiftKey ? "post" : "get";
  }, true);
})();
