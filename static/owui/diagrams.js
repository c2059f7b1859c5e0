// Mermaid and Vega blocks become pictures. They are drawn in a sandboxed frame, one after the other; what comes back is
// shown as an image, in which nothing runs. The frame and its scripts come with the first diagram that is in view.
(() => {
  const words = document.getElementById("prose-words")?.dataset;
  if (!words || !owui.dress) return;
  const KINDS = { mermaid: "mermaid", vega: "vega", "vega-lite": "vega", vegalite: "vega" };
  const PATIENCE = 20_000;
  const queue = [];
  const light = matchMedia("(prefers-color-scheme: light)");
  let [room, ready, busy, timer] = [null, false, null, 0];

  const isDark = () => (document.documentElement.dataset.theme || (light.matches ? "light" : "dark")) === "dark";

  function kindOf(block) {
    const kind = KINDS[block.dataset.lang];
    if (kind || block.dataset.lang !== "json") return kind;
    return /"\$schema"\s*:\s*"[^"]*\/vega(-lite)?\//.test(block.querySelector("pre").textContent) ? "vega" : null;
  }

  function enter() {
    room = document.createElement("iframe");
    room.className = "diagram-room";
    room.setAttribute("sandbox", "allow-scripts");
    room.setAttribute("aria-hidden", "true");
    room.tabIndex = -1;
    room.src = words.room;
    document.body.append(room);
    ready = false;
  }

  function next() {
    if (busy || !queue.length) return;
    if (!room) enter();
    if (!timer) timer = setTimeout(() => settle({ error: "" }, true), PATIENCE);
    if (!ready) return;
    busy = queue.shift();
    const source = busy.querySelector("pre").textContent;
    room.contentWindow.postMessage({ id: 1, kind: kindOf(busy), source, dark: isDark() }, "*");
  }

  // A diagram that takes for ever is thrown out together with the room it was drawn in.
  function settle(answer, late = false) {
    clearTimeout(timer);
    timer = 0;
    const block = busy ?? queue.shift();
    busy = null;
    if (late) {
      room.remove();
      room = null;
    }
    if (block?.isConnected) (answer.svg ? show : fail)(block, answer);
    next();
  }

  function show(block, { svg, width, height }) {
    const picture = new Image(width, height);
    picture.alt = words.name;
    picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    owui.zoomable(picture);
    const old = block.querySelector(".diagram");
    if (old) return old.replaceChildren(picture);
    const frame = document.createElement("div");
    frame.className = "diagram";
    frame.append(picture);
    block.querySelector(".code-head").after(frame);
    block.querySelector(".code-copy").before(owui.dressing("diagram-tools"));
    block.querySelector("pre").hidden = true;
  }

  function fail(block, { error }) {
    const note = owui.dressing("diagram-failed");
    note.querySelector("[data-reason]").textContent = error.split("\n")[0];
    block.querySelector(".code-head").after(note);
  }

  addEventListener("message", ({ data, source }) => {
    if (!room || source !== room.contentWindow) return;
    if (data.ready) ready = true;
    else if (busy) settle(data);
    next();
  });

  async function png(picture) {
    const canvas = document.createElement("canvas");
    const scale = Math.min(2, 8_000 / Math.max(picture.width, picture.height));
    [canvas.width, canvas.height] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(document.body).backgroundColor;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-diagram]");
    if (!button) return;
    const block = button.closest(".code");
    const picture = block.querySelector(".diagram img");
    if (button.dataset.diagram === "svg") {
      owui.copy(button, decodeURIComponent(picture.src.replace(/^[^,]*,/, "")));
    } else if (button.dataset.diagram === "png") {
      await png(picture).then(() => owui.copied(button), () => owui.toast("toast-failed"));
    } else {
      const source = block.querySelector("pre");
      source.hidden = !source.hidden;
      block.querySelector(".diagram").hidden = !source.hidden;
      button.textContent = source.hidden ? button.dataset.more : button.dataset.less;
    }
  });

  const inView = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) {
        inView.unobserve(target);
        queue.push(target);
      }
    next();
  }, { rootMargin: "600px" });

  function again() {
    for (const frame of document.querySelectorAll(".diagram")) inView.observe(frame.closest(".code"));
  }
  light.addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  owui.dress(".code", function diagram(block) {
    if (kindOf(block)) inView.observe(block);
  });
})();
