// One block of code of an answer, changed where it stands. The rest of the answer is not touched.
(() => {
  const template = document.getElementById("code-edit");
  if (!template || !owui.dress) return;

  const ofMessage = (message) =>
    [...document.querySelectorAll(`#${message.id}-blocks .code`)].filter((block) => !block.closest(".fold"));

  function open(block) {
    if (block.querySelector("form")) return;
    const pre = block.querySelector("pre");
    const form = owui.dressing("code-form").firstElementChild;
    const area = form.querySelector("textarea");
    area.value = pre.textContent.replace(/\n$/, "");
    area.rows = Math.min(24, area.value.split("\n").length + 1);
    block.append(form);
    block.classList.add("is-edited");
    area.focus();
    area.setSelectionRange(0, 0);
    area.scrollTop = 0;
  }

  function close(block) {
    block.querySelector("form").remove();
    block.classList.remove("is-edited");
    block.querySelector("[data-code-edit]").focus();
  }

  async function save(form) {
    const block = form.closest(".code");
    const message = block.closest(".message");
    const number = ofMessage(message).indexOf(block);
    const former = block.querySelector("pre").textContent;
    const code = form.querySelector("textarea").value;
    if (code === former.replace(/\n$/, "")) return close(block);
    await htmx.ajax("POST", `${message.dataset.url}/code`, {
      target: `#${message.id}`, swap: "outerHTML", values: { number, former, code },
    }).catch(() => {}); // said by the page
    if (form.isConnected) return undefined; // refused: what was typed is still there
    // prose.js puts the buttons into the new block a little later
    setTimeout(() => {
      const now = document.getElementById(message.id);
      if (now && document.activeElement === document.body) ofMessage(now)[number]?.querySelector("[data-code-edit]")?.focus();
    }, 300);
    return undefined;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-code-edit], [data-code-cancel]");
    if (!button) return;
    if ("codeEdit" in button.dataset) open(button.closest(".code"));
    else close(button.closest(".code"));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".code-form")) return;
    event.preventDefault();
    save(event.target);
  });
  document.getElementById("messages").addEventListener("keydown", (event) => {
    const form = event.target.closest?.(".code-form");
    if (!form || event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault(); // on the way up, the page's own meaning of this key would stop an answer
      close(form.closest(".code"));
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  owui.dress(".code", function changed(block) {
    if (!block.closest(".message.assistant") || block.closest(".fold")) return;
    block.querySelector(".code-copy").before(owui.dressing("code-edit"));
  });
})();
