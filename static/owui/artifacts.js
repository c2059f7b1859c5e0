// A page that an answer holds opens in the panel, in a sandboxed frame. Nothing of it reaches this page.
(() => {
  const words = document.getElementById("prose-words")?.dataset;
  const messages = document.getElementById("messages");
  if (!words || !owui.dress) return;
  const written = new Set(); // answers that this page saw being written

  const open = (message) =>
    htmx.ajax("GET", `${message.dataset.url}/artifact`, { target: "#panel", swap: "innerHTML" });

  async function openUnasked(message) {
    if (!("artifacts" in words) || innerWidth <= 1100 || document.querySelector("#panel > *")) return;
    const active = document.activeElement;
    await open(message);
    active?.focus({ preventScroll: true }); // who writes the next question goes on writing
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-artifact]");
    if (button) open(button.closest(".message"));
    if (event.target.closest("[data-artifact-full]"))
      document.querySelector("#panel .artifact iframe").requestFullscreen();
  });

  new MutationObserver(() => {
    for (const message of messages.querySelectorAll(".message[data-turn]")) written.add(message.id);
    for (const id of written) {
      const message = document.getElementById(id);
      if (message?.dataset.turn) continue;
      written.delete(id);
      // prose.js dresses the last block a little later
      setTimeout(() => message?.querySelector("[data-artifact]") && openUnasked(message), 300);
    }
  }).observe(messages, { childList: true, subtree: true, attributeFilter: ["data-turn"] });

  owui.dress(".code", function artifact(block) {
    const kind = block.dataset.lang;
    const isDrawing = kind === "xml" && /^\s*(<\?xml[^>]*\?>\s*)?<svg[\s>]/i.test(block.querySelector("pre").textContent);
    if (!["html", "htm", "svg"].includes(kind) && !isDrawing) return;
    if (block.closest(".message.assistant")) block.querySelector(".code-copy").before(owui.dressing("artifact-open"));
  });
})();
