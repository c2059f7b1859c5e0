// Copying: a code block, a whole message, a value in the page. The button says that it is done.
(() => {
  const done = document.getElementById("announcer").dataset.copied;

  async function copy(button, text, html) {
    try {
      if (typeof text !== "string") {
        // A promise: what is copied is still on its way, and the browser allows writing only at the click itself.
        const blob = text.then((words) => new Blob([words], { type: "text/plain" }));
        if (!window.ClipboardItem) throw new Error("no clipboard");
        await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
      } else if (html && window.ClipboardItem) {
        const item = { "text/plain": new Blob([text], { type: "text/plain" }), "text/html": new Blob([html], { type: "text/html" }) };
        await navigator.clipboard.write([new ClipboardItem(item)]);
      } else {
        await navigator.clipboard.writeText(text);
      }
    } catch {
      try {
        fallback(await text);
      } catch {
        return owui.toast("toast-unreachable");
      }
    }
    copied(button);
  }

  function copied(button) {
    const label = button.dataset.done || done;
    owui.say(label);
    if (button.dataset.busy) return;
    button.dataset.busy = "1";
    if (button.closest("[popover]")) return;
    const icon = button.querySelector("use");
    const before = icon ? icon.getAttribute("href") : button.textContent;
    if (icon) icon.setAttribute("href", before.replace(/#.*/, "#check"));
    else button.textContent = label;
    setTimeout(() => {
      if (icon) icon.setAttribute("href", before);
      else button.textContent = before;
      delete button.dataset.busy;
    }, 1400);
  }

  // Plain http has no clipboard interface.
  function fallback(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "vh";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  function message(id) {
    const prose = document.getElementById(id).querySelector(":scope > .prose").cloneNode(true);
    for (const extra of prose.querySelectorAll(".code-head, .code-form, .code-output, .cite, .math-source, .figure-tools, .diagram")) {
      const before = extra.previousSibling;
      if (extra.matches(".cite") && before?.nodeType === Node.TEXT_NODE) before.nodeValue = before.nodeValue.replace(/[\s\u2060]+$/, "");
      extra.remove();
    }
    for (const source of prose.querySelectorAll("pre[hidden]")) source.hidden = false;
    const html = prose.innerHTML;
    prose.className = "vh";
    document.body.append(prose); // innerText needs a place in the page to know where lines break
    const text = prose.innerText.trim();
    prose.remove();
    return [text, html];
  }

  // The Markdown as it is stored; the server knows what the house puts under copies.
  async function source(id) {
    const response = await fetch(`${document.getElementById(id).dataset.url}/text`);
    if (!response.ok) throw new Error(response.statusText);
    return response.text();
  }

  // Formatted, with the note of the house below.
  function formatted(id) {
    const [text, html] = message(id);
    const note = document.getElementById("message-menu")?.dataset.note;
    if (!note || !document.getElementById(id).matches(".assistant")) return [text, html];
    const line = document.createElement("p");
    line.textContent = note;
    return [`${text}\n\n${note}`, html + line.outerHTML];
  }
  Object.assign(owui, { copy, copied });

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".code-copy, [data-copy-message], [data-copy-from]");
    if (!button) return;
    const { copyMessage, format } = button.dataset;
    if (copyMessage && format === "markdown") copy(button, source(copyMessage));
    else if (copyMessage) copy(button, ...formatted(copyMessage));
    else if (button.dataset.copyFrom) copy(button, document.querySelector(button.dataset.copyFrom).textContent.trim());
    else copy(button, button.closest(".code").querySelector("pre").textContent);
  });
})();
