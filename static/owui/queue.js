// What is sent while an answer is being written waits above the input, and goes as one message when the answer is there.
(() => {
  const { area, form, running, setText, post, stop } = owui.composer;
  const list = document.getElementById("queue");
  const key = () => `queue:${form.dataset.person}:${location.pathname}`;
  let held = false; // after a stop or a fault people decide themselves
  let inOne = null; // what is on its way
  let chosen = null; // goes alone, before the others

  const texts = () => [...list.querySelectorAll(".text")].map((one) => one.textContent);

  function save() {
    if (list.children.length) sessionStorage.setItem(key(), JSON.stringify(texts()));
    else sessionStorage.removeItem(key());
  }

  function add(text, { first = false } = {}) {
    const item = document.getElementById("queued").content.firstElementChild.cloneNode(true);
    item.querySelector(".text").textContent = text;
    list[first ? "prepend" : "append"](item);
    save();
    return item;
  }

  function flush() {
    if (running() || inOne !== null || !list.children.length) return;
    const going = chosen?.isConnected ? [chosen] : [...list.children];
    inOne = going.map((item) => item.querySelector(".text").textContent).join("\n\n");
    going.forEach((item) => item.remove());
    chosen = null;
    save();
    post(inOne);
  }

  function sendNow(item) {
    chosen = item;
    held = false;
    if (running()) stop();
    else flush();
  }

  document.addEventListener("owui:queue", () => {
    const item = add(area.value.trim());
    setText("");
    if (!("queueOn" in form.dataset)) sendNow(item);
    else owui.say(`${list.getAttribute("aria-label")}: ${list.children.length}`);
  });
  document.addEventListener("owui:busy", () => {
    held = false;
  });
  document.addEventListener("owui:idle", () => {
    const answers = document.querySelectorAll(".message.assistant");
    if (!chosen && answers[answers.length - 1]?.querySelector(".note.bad")) held = true;
    // The foot of the answer is drawn first.
    if (!held) setTimeout(flush, 50);
  });
  document.addEventListener("owui:sent", () => {
    inOne = null;
  });
  document.addEventListener("owui:refused", () => {
    if (inOne !== null) add(inOne, { first: true });
    inOne = null;
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-queue]");
    if (!button) return;
    const item = button.closest("li");
    const what = button.dataset.queue;
    if (what === "now") return sendNow(item);
    if (what === "edit") setText([item.querySelector(".text").textContent, area.value].filter(Boolean).join("\n\n"));
    item.remove();
    area.focus();
    save();
  });
  try {
    for (const text of JSON.parse(sessionStorage.getItem(key())) || []) add(text);
  } catch {
    sessionStorage.removeItem(key());
  }
  if (!running()) held = true; // a reload sends nothing by itself
})();
