// Administrators pull a model that nobody offers yet: the name stands in the search field of the model list.
(() => {
  const button = document.getElementById("model-pull");
  if (!button) return;
  let name = "";
  let pulling = false;

  document.getElementById("model-menu").addEventListener("owui:filtered", ({ detail }) => {
    if (pulling) return;
    name = detail.text;
    button.hidden = !name || detail.found > 0 || /\s/.test(name);
    button.textContent = button.dataset.text.replace("…", name);
  });

  function show(line) {
    if (line.error) throw new Error(line.error);
    const part = line.total ? ` ${Math.floor((100 * (line.completed || 0)) / line.total)} %` : "";
    button.textContent = `${name}: ${line.status || ""}${part}`;
  }

  async function pull() {
    const response = await fetch("/ollama/api/pull", { method: "POST", body: JSON.stringify({ model: name }), headers: { "Content-Type": "application/json" } });
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail || response.statusText);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part.trim()) show(JSON.parse(part));
    }
  }

  button.addEventListener("click", async () => {
    if (pulling) return;
    pulling = true;
    try {
      await pull();
      button.textContent = button.dataset.done;
    } catch (error) {
      button.textContent = `${button.dataset.failed} ${error.message}`;
    }
    owui.say(button.textContent);
    pulling = false;
  });
})();
