// What every page needs: dialogs that arrive as fragments, toasts, refusals, things one can remove or add.
window.owui = (() => {
  const ui = JSON.parse(document.body.dataset.ui || "{}");
  const toasts = () => document.getElementById("toasts");

  function toast(templateId) {
    const template = document.getElementById(templateId);
    if (template && !toasts().querySelector(`[data-from="${templateId}"]`)) {
      const node = template.content.firstElementChild.cloneNode(true);
      node.dataset.from = templateId;
      toasts().append(node);
    }
  }

  function say(text) {
    const region = document.getElementById("announcer");
    if (!region || !text) return;
    const line = document.createElement("p");
    line.textContent = text;
    region.append(line);
    while (region.children.length > 4) region.firstElementChild.remove();
  }

  function load(node) {
    const dialogs = node.matches("dialog[data-modal]") ? [node] : node.querySelectorAll("dialog[data-modal]");
    for (const dialog of dialogs) if (!dialog.open) dialog.showModal();
  }

  function place(menu, anchor) {
    const box = anchor.getBoundingClientRect();
    const below = innerHeight - box.bottom > menu.offsetHeight + 12;
    menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - menu.offsetHeight - 4)}px`;
    menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - menu.offsetWidth - 8))}px`;
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    const remove = hit("[data-remove]");
    if (remove) {
      const gone = remove.closest(remove.dataset.remove);
      if (gone?.dataset.remember) localStorage.setItem(gone.dataset.remember, "closed");
      const next = gone?.nextElementSibling || gone?.previousElementSibling;
      gone?.remove();
      next?.querySelector("button")?.focus();
      return document.dispatchEvent(new CustomEvent("owui:removed"));
    }
    const add = hit("[data-add]");
    if (add) {
      const row = add.querySelector("template").content.firstElementChild.cloneNode(true);
      const list = document.querySelector(add.dataset.add);
      const same = list.querySelector(`[data-principal="${CSS.escape(row.dataset.principal)}"]`);
      if (!same) list.append(row);
      (same || row).querySelector("select").focus();
      add.remove();
    }
    const show = hit("[data-show]");
    if (show) document.getElementById(show.dataset.show).showModal();
    if (hit("[data-close]")) hit("dialog").close();
    if (event.target.matches("dialog") && event.target.open) event.target.close(); // the backdrop
    if (hit("[popover] :is(a, button):not([data-stay], [data-model])")) hit("[popover]").hidePopover();
  });

  document.addEventListener(
    "close",
    (event) => event.target.matches("dialog[data-modal]") && event.target.remove(),
    true,
  );
  // A refusal of ours names its place by HX-Retarget; anything else that failed gets a sentence of the page's own.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.xhr.status >= 400 && detail.xhr.getResponseHeader("HX-Retarget")) detail.shouldSwap = true;
    const dialog = detail.target?.id === "dialogs" && detail.target.querySelector("dialog[open]");
    if (dialog && detail.shouldSwap) dialog.close();
  });
  // A dialog whose form was taken is done, wherever the answer went.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.requestConfig?.verb === "post") detail.elt.closest("dialog[data-modal]")?.close();
  });
  // A switch that was refused goes back to what is true.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful && detail.elt.matches('[role="switch"]')) detail.elt.checked = !detail.elt.checked;
  });
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (!detail.xhr.getResponseHeader("HX-Retarget")) toast("toast-failed");
  });
  document.addEventListener("htmx:sendError", () => toast("toast-unreachable"));
  document.addEventListener("htmx:timeout", () => toast("toast-unreachable"));

  // Only for a page that says that the server is away; pages of the product only, not those of a shared link.
  if (document.getElementById("connection")) navigator.serviceWorker?.register("/service-worker.js");

  document.addEventListener("DOMContentLoaded", () => {
    for (const banner of document.querySelectorAll("[data-remember]"))
      if (localStorage.getItem(banner.dataset.remember)) banner.remove();
    htmx.onLoad(load);
    // Toasts that only inform leave by themselves; faults stay until they are dismissed.
    if (!toasts()) return;
    new MutationObserver((records) => {
      for (const record of records)
        for (const node of record.addedNodes)
          if (node.matches?.(".toast:not(.bad, .warn, [data-stay])")) setTimeout(() => node.remove(), 6000);
    }).observe(toasts(), { childList: true });
  });

  return { toast, say, place, ui, phone: matchMedia("(max-width: 720px)") };
})();
