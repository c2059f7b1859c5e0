// The controls panel. Before the first question there is no chat to keep them: the composer takes them along.
(() => {
  const panel = document.getElementById("panel");
  const form = document.getElementById("composer");
  const button = document.querySelector("[data-controls]");
  if (!button) return;
  const chat = () => (/^\/c\/[0-9a-f-]{36}$/.test(location.pathname) ? location.pathname : "");
  const isOpen = () => Boolean(document.getElementById("controls"));

  function kept(value) {
    let field = form.querySelector('[name="params"]');
    if (!field && value !== undefined) {
      field = Object.assign(document.createElement("input"), { type: "hidden", name: "params" });
      form.append(field);
    }
    if (value !== undefined) field.value = value;
    return field?.value || "";
  }

  button.addEventListener("click", () => {
    if (isOpen()) return panel.querySelector("[data-panel-close]").click();
    button.focus();
    const path = chat() ? `${chat()}/controls` : `/c/new/controls?params=${encodeURIComponent(kept())}`;
    return htmx.ajax("GET", path, { target: panel, swap: "innerHTML" });
  });
  document.body.addEventListener("owui:params", ({ detail }) => {
    kept(JSON.stringify(detail.params));
  });
  // The chat is there now and has them.
  form.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful || !detail.xhr.getResponseHeader("HX-Push-Url")) return;
    form.querySelector('[name="params"]')?.remove();
    const open = document.querySelector("#controls form");
    if (!open) return;
    open.setAttribute("hx-post", `${detail.xhr.getResponseHeader("HX-Push-Url")}/controls`);
    htmx.process(open);
  });
  // What is taken off the chat is not attached to the next question either.
  panel.addEventListener("htmx:afterRequest", ({ detail }) => {
    const id = detail.successful && detail.requestConfig?.elt?.dataset.detach;
    if (!id) return;
    for (const field of document.querySelectorAll(`#composer-chips input[value="${CSS.escape(id)}"]`)) field.closest("li").remove();
  });
  new MutationObserver(() => button.setAttribute("aria-expanded", String(isOpen()))).observe(panel, { childList: true });
})();
