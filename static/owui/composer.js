// The composer: grows, sends on Enter, keeps the draft, takes files, turns send into stop.
(() => {
  const form = document.getElementById("composer");
  const area = document.getElementById("prompt");
  const chat = document.getElementById("chat");
  const chips = document.getElementById("composer-chips");
  const messages = document.getElementById("messages");
  const send = form.querySelector(".send");
  const refused = document.getElementById("composer-error");
  const canSend = !send.disabled;
  const draftKey = () => `draft:${location.pathname}`;
  let sentFrom = "";
  const running = () => messages.querySelector("[data-turn]");

  function refresh() {
    send.disabled = !canSend || !area.value.trim() || Boolean(chips.querySelector("[aria-busy]"));
    form.classList.toggle("is-running", Boolean(running()));
    chat.classList.toggle("is-new", !messages.firstElementChild);
    if (CSS.supports("field-sizing", "content")) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }

  function stop() {
    const article = running();
    if (article) htmx.ajax("POST", `${article.dataset.url}/stop`, { swap: "none" });
  }

  function refuse(text) {
    refused.replaceChildren(document.getElementById("composer-refused").content.cloneNode(true));
    refused.querySelector(".text").textContent = text;
  }

  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.defaultPrevented) return;
    if (owui.phone.matches && matchMedia("(pointer: coarse)").matches) return; // there Enter is the only new line
    event.preventDefault();
    if (!send.disabled && !running()) form.requestSubmit();
  });
  area.addEventListener("input", () => {
    sessionStorage.setItem(draftKey(), area.value);
    refresh();
  });
  form.querySelector(".stop").addEventListener("click", stop);
  form.addEventListener("submit", (event) => {
    if (send.disabled || running()) event.preventDefault();
  });

  form.addEventListener("htmx:beforeRequest", () => {
    sentFrom = draftKey(); // the answer may change the address
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
    if (target !== form || !detail.successful) return;
    refused.replaceChildren();
    sessionStorage.removeItem(sentFrom);
    area.value = "";
    for (const sent of chips.querySelectorAll('[name="file"]')) sent.closest("li").remove();
    const address = detail.xhr.getResponseHeader("HX-Push-Url") || detail.xhr.getResponseHeader("HX-Push");
    if (address?.startsWith("/c/")) begun(address);
    refresh();
    if (!owui.phone.matches) area.focus({ preventScroll: true });
  });

  document.addEventListener("click", (event) => {
    const suggestion = event.target.closest("[data-suggestion]");
    if (!suggestion) return;
    area.value = suggestion.dataset.suggestion;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  });

  // Files: chosen, dropped on the page or pasted. The server answers with the chip, or says why not.
  async function upload(file) {
    const chip = document.getElementById("file-chip").content.firstElementChild.cloneNode(true);
    chip.querySelector("span").textContent = file.name;
    chip.setAttribute("aria-busy", "true");
    chips.append(chip);
    refresh();
    const body = new FormData();
    body.append("file", file);
    const headers = { "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) };
    try {
      const response = await fetch(form.dataset.filesUrl, { method: "POST", body, headers });
      const html = await response.text();
      if (!response.ok) throw new Error(owui.parse(html).textContent.trim().slice(0, 200));
      chip.replaceWith(owui.parse(html));
    } catch (error) {
      chip.remove();
      refuse(`${file.name}: ${error.message}`);
    }
    refresh();
  }

  const picker = document.getElementById("composer-files");
  const take = (files) => picker && [...files].forEach(upload);
  picker?.addEventListener("change", () => {
    take(picker.files);
    picker.value = "";
  });
  area.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length || !picker) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
  const carriesFiles = (event) => picker && event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    form.classList.add("is-target");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || form.classList.remove("is-target"));
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    form.classList.remove("is-target");
    take(event.dataTransfer.files);
  });

  document.addEventListener("owui:removed", refresh);
  new MutationObserver(refresh).observe(messages, { childList: true, subtree: true, attributeFilter: ["data-turn"] });
  area.value ||= sessionStorage.getItem(draftKey()) || "";
  refresh();
  owui.stop = () => (running() ? (stop(), true) : false);
})();
