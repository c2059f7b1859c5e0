// A temporary chat: the conversation is here and nowhere else. Each question takes it along; the answer comes as lines
// of the same operations that a socket carries.
(() => {
  const form = document.getElementById("composer");
  const area = document.getElementById("prompt");
  const messages = document.getElementById("messages");
  const save = document.getElementById("temporary-save");
  const headers = () => ({ "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) });
  const said = [];
  let coming = null;

  const article = () => messages.lastElementChild;

  function toast(html) {
    document.getElementById("toasts").append(owui.parse(html));
  }

  // Stopped, or the line broke: what had come stays.
  function close(text) {
    const last = article();
    if (!last?.matches("[data-turn]")) return;
    last.removeAttribute("data-turn");
    last.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = "quiet small";
    note.textContent = form.dataset[text];
    last.querySelector('[id$="-error"]').append(note);
  }

  async function* lines(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
  }

  async function ask() {
    const body = new FormData(form);
    const question = area.value;
    body.set("messages", JSON.stringify(said));
    if (body.get("at")) body.set("model", body.get("at")); // another model for this message
    coming = new AbortController();
    form.classList.add("is-running");
    if (save) save.hidden = true; // until its words are there
    let text = "";
    let state = "";
    try {
      const response = await fetch(form.action, { method: "POST", body, headers: headers(), signal: coming.signal });
      if (!response.ok) {
        if (response.headers.get("X-Error-Code") === "model") document.getElementById("model-lost").hidden = false;
        return toast(await response.text());
      }
      area.value = "";
      area.dispatchEvent(new Event("input", { bubbles: true }));
      document.dispatchEvent(new CustomEvent("owui:sent", { detail: location.pathname }));
      said.push({ role: "user", content: question });
      for await (const line of lines(response)) {
        owui.apply(line.ops);
        text += line.text || "";
        state = line.state || state;
        article().dispatchEvent(new CustomEvent("owui:text", { bubbles: true }));
      }
      if (!state) close("broken");
    } catch (error) {
      if (error.name === "AbortError") close("stopped");
      else if (said.length && article()?.matches("[data-turn]")) close("broken");
      else owui.toast("toast-unreachable");
    } finally {
      coming = null;
      // Stopped before its first word it is an answer all the same: what is saved is what is shown.
      if (said.at(-1)?.role === "user") said.push({ role: "assistant", content: text, model: body.get("model") });
      if (save) save.hidden = !said.length;
      area.dispatchEvent(new Event("input", { bubbles: true }));
      area.focus({ preventScroll: true });
    }
    return undefined;
  }

  const stop = () => (coming ? (coming.abort(), true) : false);

  // Before anybody else hears of it: nothing of this chat goes where chats are stored.
  addEventListener("submit", (event) => {
    if (event.target !== form) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!document.getElementById("model")?.value) owui.openModels?.();
    else if (!coming && area.value.trim()) ask();
  }, true);
  form.querySelector(".stop").addEventListener("click", (event) => {
    event.stopImmediatePropagation();
    stop();
  }, true);
  owui.stop = stop;

  save?.addEventListener("click", async () => {
    const body = new FormData();
    body.set("messages", JSON.stringify(said));
    const response = await fetch(form.dataset.saveUrl, { method: "POST", body, headers: headers() });
    if (!response.ok) return toast(await response.text());
    const { url } = await response.json();
    return location.assign(url);
  });
})();
