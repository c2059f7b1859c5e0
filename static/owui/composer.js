// The composer: grows, sends, turns send into stop. `owui.composer` is what pickers, files, drafts and queue build on.
(() => {
  const form = document.getElementById("composer");
  const area = document.getElementById("prompt");
  const chat = document.getElementById("chat");
  const chips = document.getElementById("composer-chips");
  const messages = document.getElementById("messages");
  const suggestions = document.getElementById("suggestions");
  const send = form.querySelector(".send");
  const refused = document.getElementById("composer-error");
  const canSend = !send.disabled;
  const running = () => messages.querySelector("[data-turn]");
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`owui:${name}`, { detail }));
  let wasRunning = false;
  let sentFrom = "";
  let waiting = null; // a text that goes instead of the one in the field

  const reads = "reader" in form.dataset; // somebody else's chat
  const ready = () => canSend && area.value.trim() && !chips.querySelector("[aria-busy]");

  function refresh() {
    const now = Boolean(running());
    send.disabled = !ready();
    form.classList.toggle("is-running", now);
    form.classList.toggle("has-text", Boolean(area.value.trim()));
    chat.classList.toggle("is-new", !messages.firstElementChild);
    if (chips.querySelector('[name="picture"]')) form.setAttribute("hx-encoding", "multipart/form-data");
    else form.removeAttribute("hx-encoding");
    if (wasRunning !== now) tell(now ? "busy" : "idle");
    wasRunning = now;
    if (CSS.supports("field-sizing", "content")) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }

  function setText(text) {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  }

  function stop() {
    const article = running();
    if (article && !reads) htmx.ajax("POST", `${article.dataset.url}/stop`, { swap: "none" });
  }

  function refuse(text) {
    refused.replaceChildren(document.getElementById("composer-refused").content.cloneNode(true));
    refused.querySelector(".text").textContent = text;
  }

  // Sends a text that is not in the field.
  function post(text) {
    waiting = text;
    form.requestSubmit();
  }

  function editLast() {
    const all = messages.querySelectorAll('.message.user [hx-get$="/edit"]');
    all[all.length - 1]?.click();
    return all.length > 0;
  }

  area.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    if (event.key === "ArrowUp" && !area.value && !event.shiftKey && editLast()) return void event.preventDefault();
    if (event.key !== "Enter" || event.shiftKey) return;
    const command = event.ctrlKey || event.metaKey;
    if ("ctrlEnter" in form.dataset && !command) return;
    // On phones Enter is the only new line there is.
    if (!command && owui.phone.matches && matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (!send.disabled) form.requestSubmit();
  });
  area.addEventListener("input", () => {
    refresh();
    const asked = area.value.trim().toLowerCase();
    for (const one of suggestions?.children || []) one.hidden = !one.textContent.toLowerCase().includes(asked);
  });
  form.querySelector(".stop").addEventListener("click", stop);
  form.addEventListener("submit", (event) => {
    if (waiting === null && !send.disabled && running()) tell("queue");
    if (running() || (waiting === null && send.disabled) || form.matches(".htmx-request")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (waiting !== null) tell("refused", waiting);
      waiting = null;
    }
  }, true);
  form.addEventListener("htmx:configRequest", ({ detail, target }) => {
    if (target !== form) return;
    sentFrom = location.pathname; // the answer may change the address
    if (waiting !== null) detail.formData.set("text", waiting);
    const other = detail.formData.get("at"); // @: another model for this message
    if (other) detail.formData.set("model", other);
    detail.formData.delete("at");
  });

  // The first message made the chat: from now on the form posts there, and the list shows it.
  async function begun(address) {
    form.setAttribute("hx-post", `${address}/messages`);
    form.setAttribute("action", `${address}/messages`);
    htmx.process(form);
    await htmx.ajax("GET", "/c/search", { target: "#chat-list", swap: "innerHTML" });
    const link = document.querySelector(`#chat-list a[href="${CSS.escape(address)}"]`);
    if (!link || location.pathname !== address) return;
    link.setAttribute("aria-current", "page");
    document.getElementById("chat-title").textContent = link.textContent;
    document.title = `${link.textContent} – ${document.title.split(" – ").pop()}`;
  }

  // The text leaves the field only when the server has it.
  form.addEventListener("htmx:afterRequest", ({ detail, target }) => {
    if (target !== form) return;
    const fromQueue = waiting;
    waiting = null;
    if (!detail.successful) return void (fromQueue !== null && tell("refused", fromQueue));
    refused.replaceChildren();
    if (fromQueue === null) area.value = "";
    for (const sent of chips.querySelectorAll('[name="file"], [name="picture"], [name="at"]')) sent.closest("li").remove();
    for (const failed of chips.querySelectorAll(".bad")) failed.remove();
    const address = detail.xhr.getResponseHeader("HX-Push-Url") || detail.xhr.getResponseHeader("HX-Push");
    if (address?.startsWith("/c/")) begun(address);
    tell("sent", sentFrom);
    refresh();
    if (!owui.phone.matches && fromQueue === null) area.focus({ preventScroll: true });
  });

  document.addEventListener("click", (event) => {
    const suggestion = event.target.closest("[data-suggestion]");
    if (suggestion) setText(suggestion.dataset.suggestion);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.name !== "model" || !chat.classList.contains("is-new") || !suggestions) return;
    const address = `${form.dataset.suggestionsUrl}?model=${encodeURIComponent(target.value)}`;
    htmx.ajax("GET", address, { target: suggestions, swap: "innerHTML" });
  });

  document.addEventListener("owui:removed", refresh);
  new MutationObserver(refresh).observe(messages, { childList: true, subtree: true, attributeFilter: ["data-turn"] });
  refresh();
  owui.composer = { form, area, chips, running, ready, refresh, setText, refuse, post, stop };
  owui.stop = () => (running() && !reads ? (stop(), true) : false);
})();
