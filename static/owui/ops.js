// The operations a socket frame may carry: [name, id of the target, …]. Their fragments are the ones pages are made of.
(() => {
  // What comes in by the socket is treated like what htmx swaps in: attributes work, onLoad handlers run.
  function adopt(node) {
    htmx.process(node);
    htmx.trigger(node, "htmx:load", { elt: node });
  }

  const blank = (node) => node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();

  // Where more text goes: into the one element that says so, or else behind the last text that is not only space.
  function openText(target) {
    const marked = target.querySelector("[data-grow]");
    let node = marked ? marked.lastChild : target;
    while (node?.nodeType === Node.ELEMENT_NODE) {
      node = node.lastChild;
      while (node && blank(node)) node = node.previousSibling;
    }
    return node ?? (marked ?? target).appendChild(document.createTextNode(""));
  }

  const actions = {
    append: (target, html) => {
      const added = owui.parse(html);
      const nodes = [...added.children];
      target.append(added);
      nodes.forEach(adopt);
    },
    // Another tab asked: shown here if the same chat is open. The tab that asks has its own copy on the way.
    "append-new": (target, html, chat) => {
      if (!location.pathname.endsWith(chat) || document.querySelector("#composer.htmx-request")) return;
      for (const node of [...owui.parse(html).children])
        if (!document.getElementById(node.id)) {
          target.append(node);
          adopt(node);
        }
    },
    // More text of what is still open, code or prose: not a word of it is sent twice, and a selection in it stays.
    grow: (target, html) => {
      const fresh = document.createElement("template");
      fresh.innerHTML = html; // spaces count here
      openText(target).appendData(fresh.content.textContent);
    },
    prepend: (target, html) => {
      target.prepend(owui.parse(html));
      htmx.process(target);
    },
    replace: (target, html) => {
      owui.morphInner(target, html);
      htmx.process(target);
    },
    outer: (target, html) => {
      if (target.querySelector(".edit-form")) return; // somebody writes in it: told when it is saved
      const changed = owui.morphOuter(target, html);
      if (changed) adopt(changed);
    },
    // A chat has got its title: in the list, and over the conversation where it is open.
    title: (list, text, chat) => {
      const item = list.querySelector(`a[href$="${CSS.escape(chat)}"]`);
      const button = item?.closest("li")?.querySelector("[data-menu]");
      button?.setAttribute("aria-label", button.getAttribute("aria-label").replace(item.textContent.trim(), text));
      if (item) item.textContent = item.title = text;
      document.querySelectorAll(`.line-list a[href="/c/${CSS.escape(chat)}"]`).forEach((link) => (link.textContent = text));
      if (!location.pathname.endsWith(chat)) return;
      document.getElementById("chat-title").textContent = text;
      document.title = `${text} – ${document.title.split(" – ").pop()}`;
    },
    // A chat goes on, or went on without being looked at: `reading.js` shows it in the list.
    mark: (_list, chat, state, how) => {
      owui.mark?.(chat, state);
      if (state === "ended") owui.ended?.(chat, how);
    },
    stale: (target, ...news) => owui.stale(target, ...news),
    remove: (target) => target.remove(),
    attr: (target, name, value) => (value === null ? target.removeAttribute(name) : target.setAttribute(name, value)),
  };

  function apply(ops) {
    for (const [op, id, ...rest] of ops) {
      const target = document.getElementById(id);
      if (target && actions[op]) actions[op](target, ...rest);
    }
  }

  owui.apply = apply;
})();
