// The playground asks as a program does, by the REST interface, and shows what comes as it comes.
(() => {
  const form = document.getElementById("playground");
  if (!form) return;
  const $ = (name) => document.getElementById(`playground-${name}`);
  const list = $("messages");
  const headers = { "Content-Type": "application/json", ...JSON.parse(document.body.getAttribute("hx-headers")) };
  let coming = null;

  function add(role, content) {
    const row = $("message").content.firstElementChild.cloneNode(true);
    row.querySelector("select").value = role;
    row.querySelector("textarea").value = content;
    list.append(row);
    return row;
  }

  const mode = () => form.elements.mode.value;

  function address() {
    if (mode() === "chat") return "/api/chat/completions";
    const kind = form.elements.model.selectedOptions[0].dataset.kind;
    return kind === "ollama" ? "/ollama/v1/completions" : "/openai/completions";
  }

  // What goes out: empty fields are left to the model. Null when the further fields are no JSON.
  function body() {
    const out = { model: form.elements.model.value, stream: true };
    for (const field of form.querySelectorAll('input[type="number"]')) if (field.value) out[field.name] = Number(field.value);
    const more = form.elements.more;
    try {
      Object.assign(out, JSON.parse(more.value || "{}"));
    } catch {
      $("state").textContent = more.dataset.fault;
      more.focus();
      return null;
    }
    if (mode() === "completion") return { ...out, prompt: form.elements.prompt.value };
    const rows = [...list.children].map((row) => ({
      role: row.querySelector("select").value,
      content: row.querySelector("textarea").value,
    }));
    return { ...out, messages: rows.filter((row) => row.content.trim()) };
  }

  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
    }
  }

  function told(usage, started, first) {
    const seconds = (performance.now() - started) / 1000;
    const parts = [`${seconds.toFixed(1)} s`];
    if (first) parts.push(`↦ ${((first - started) / 1000).toFixed(2)} s`);
    if (usage?.completion_tokens) parts.push(`${usage.prompt_tokens} + ${usage.completion_tokens} tokens`);
    return parts.join(" · ");
  }

  async function run() {
    const sent = body();
    if (!sent) return;
    $("sent").textContent = `POST ${address()}\n${JSON.stringify(sent, null, 2)}`;
    $("answer").textContent = $("state").textContent = "";
    $("keep").hidden = true;
    $("stop").hidden = false;
    coming = new AbortController();
    const started = performance.now();
    let [first, usage] = [0, null];
    try {
      const options = { method: "POST", headers, body: JSON.stringify(sent), signal: coming.signal };
      const response = await fetch(address(), options);
      if (!response.ok) {
        const { detail, error } = await response.json().catch(() => ({}));
        throw new Error(detail || error?.message || `${response.status}`);
      }
      for await (const event of events(response)) {
        if (event.error) throw new Error(event.error.message || event.error);
        const [choice] = event.choices || [];
        const text = choice?.delta?.content ?? choice?.text ?? "";
        usage = event.usage || usage;
        if (!text) continue;
        first ||= performance.now();
        $("answer").append(text);
      }
      $("state").textContent = told(usage, started, first);
    } catch (error) {
      if (error.name !== "AbortError") $("state").textContent = `${form.dataset.broken} ${error.message}`;
    } finally {
      coming = null;
      $("stop").hidden = true;
      $("keep").hidden = mode() !== "chat" || !$("answer").textContent;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!coming) run();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("change", ({ target }) => {
    if (target.name === "mode") for (const part of form.querySelectorAll("[data-mode]")) part.hidden = part.dataset.mode !== mode();
  });
  $("stop").addEventListener("click", () => coming?.abort());
  $("add").addEventListener("click", () => add("user", "").querySelector("textarea").focus());
  $("keep").addEventListener("click", () => {
    add("assistant", $("answer").textContent);
    $("keep").hidden = true;
    add("user", "").querySelector("textarea").focus();
  });
  add("system", "");
  add("user", "");
})();
