// The sidebar, the menus of its chats and folders, and the panel on the right.
(() => {
  const root = document.documentElement;
  const sidebar = document.getElementById("sidebar");
  const main = document.getElementById("main");
  const panel = document.getElementById("panel");
  let opener = null;
  let menuButton = null;

  function toggleSidebar() {
    if (owui.phone.matches) return sheet(root.dataset.sheet !== "open");
    const closed = root.dataset.sidebar !== "closed";
    if (closed) root.dataset.sidebar = "closed";
    else delete root.dataset.sidebar;
    localStorage.setItem("owui-sidebar", closed ? "closed" : "");
    const next = closed ? ".sidebar-open" : "#sidebar [data-sidebar-toggle]";
    document.querySelector(next)?.focus({ preventScroll: true });
  }

  function sheet(open) {
    if (open) root.dataset.sheet = "open";
    else delete root.dataset.sheet;
    main.inert = panel.inert = open;
    const next = open ? "#sidebar [data-sidebar-toggle]" : ".sidebar-open";
    // the sheet is invisible until its transition has begun
    requestAnimationFrame(() => document.querySelector(next)?.focus({ preventScroll: true }));
  }

  function closePanel() {
    if (!panel.firstElementChild) return false;
    panel.replaceChildren();
    document.querySelector(".cite [aria-current]")?.removeAttribute("aria-current");
    if (opener?.isConnected) opener.focus();
    opener = null;
    return true;
  }

  function openMenu(button) {
    const menu = document.getElementById(button.dataset.menu);
    menuButton = button;
    for (const choice of menu.querySelectorAll("[data-if]")) choice.hidden = choice.dataset.if !== button.dataset.state;
    menu.showPopover();
    owui.place(menu, button);
    button.setAttribute("aria-expanded", "true");
    menu.querySelector("button:not([hidden])").focus();
  }

  function act(button, verb, address) {
    if (verb === "go") return location.assign(address); // a file: the page stays
    if (verb === "open") return window.open(address, "_blank", "noopener");
    if (verb === "copy") return owui.copy(button, text(address));
    return htmx.ajax(verb.toUpperCase(), address, { target: "#dialogs" });
  }

  async function text(address) {
    const response = await fetch(address, { headers: { "HX-Request": "true" } });
    if (!response.ok) throw new Error(response.statusText);
    return response.text();
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    if (hit("[data-sidebar-toggle]")) toggleSidebar();
    if (hit("[data-panel-close]")) closePanel();
    const item = hit("[data-menu]");
    if (item) openMenu(item);
    const action = hit(".menu :is([data-path], [data-at])");
    // Of the thing itself, or of its id somewhere else.
    const address = action?.dataset.at
      ? action.dataset.at + menuButton.dataset.base.split("/").pop()
      : `${menuButton?.dataset.base}/${action?.dataset.path}`;
    if (action) act(action, action.dataset.verb, address);
    if (hit("#chat-list a") && owui.phone.matches) sheet(false);
  });

  for (const menu of document.querySelectorAll("#chat-menu, #folder-menu"))
    menu.addEventListener("toggle", (event) => {
      if (event.newState === "open") return;
      menuButton.setAttribute("aria-expanded", "false");
      if (document.activeElement === document.body) menuButton.focus();
    });

  for (const list of document.querySelectorAll(".menu"))
    list.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      const items = [...list.querySelectorAll("a, button:not([hidden])")];
      const step = event.key === "ArrowDown" ? 1 : -1;
      items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target === panel) opener = document.activeElement;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== panel) return;
    panel.scrollTop = 0;
    panel.querySelector("h2")?.focus({ preventScroll: true });
    panel.querySelector("mark")?.scrollIntoView({ block: "center" });
  });

  owui.toggleSidebar = toggleSidebar;
  owui.closeFloating = () => {
    if (root.dataset.sheet === "open") return sheet(false), true;
    return closePanel();
  };
})();
