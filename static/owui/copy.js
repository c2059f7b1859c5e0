// Copying: a code block, a whole message, a value in the page. The button says that it is done.
(() => {
  const done = document.getElementById("announcer").dataset.copied;

  async function copy(button, text, html) {
    try {
      if (html && window.ClipboardItem) {
        const item = { "text/plain": new Blob([text], { type: "text/plain" }), "text/html": new Blob([html], { type: "text/html" }) };
        await navigator.clipboard.write([new ClipboardItem(item)]);
      } else {
        await navigator.clipboard.writeText(text);
      }
    } catch {
      fallback(text);
    }
    const label = button.dataset.done || done;
    owui.say(label);
    if (button.dataset.busy) return;
    button.dataset.busy = "1";
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
    for (const extra of prose.querySelectorAll(".code-head, .cite, .math-source")) {
      const before = extra.previousSibling;
      if (extra.matches(".cite") && before?.nodeType === Node.TEXT_NODE) before.nodeValue = before.nodeValue.replace(/[\s\u2060]+$/, "");
      extra.remove();
    }
    const html = prose.innerHTML;
    prose.className = "vh";
    document.body.append(prose); // innerText needs a place in the page to know where lines break
    const text = prose.innerText.trim();
    prose.remove();
    return [text, html];
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".code-copy, [data-copy-message], [data-copy-from]");
    if (!button) return;
    if (button.dataset.copyMessage) copy(button, ...message(button.dataset.copyMessage));
    else if (button.dataset.copyFrom) copy(button, document.querySelector(button.dataset.copyFrom).textContent.trim());
    else copy(button, button.closest(".code").querySelector("pre").textContent);
  });
})();
