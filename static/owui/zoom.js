// Pictures and diagrams, large: wheel, pinch or buttons change the size, dragging moves them, the keyboard does both.
(() => {
  const dialog = document.getElementById("zoom");
  if (!dialog) return;
  const stage = dialog.querySelector(".zoom-stage");
  const words = document.getElementById("prose-words").dataset;
  const pointers = new Map();
  let image = null;
  let [scale, x, y, spread] = [1, 0, 0, 0];

  function draw() {
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }

  function zoom(factor, atX = innerWidth / 2, atY = innerHeight / 2) {
    const box = stage.getBoundingClientRect();
    const next = Math.min(12, Math.max(0.25, scale * factor));
    const [left, top] = [atX - box.left - box.width / 2, atY - box.top - box.height / 2];
    x = left - ((left - x) * next) / scale;
    y = top - ((top - y) * next) / scale;
    scale = next;
    draw();
  }

  function fit() {
    [scale, x, y] = [1, 0, 0];
    draw();
  }

  function open(source) {
    image = new Image();
    image.src = source.currentSrc || source.src;
    image.alt = source.alt;
    image.draggable = false;
    stage.replaceChildren(image);
    stage.classList.toggle("is-diagram", source.matches(".diagram img"));
    fit();
    dialog.showModal();
    stage.focus();
  }

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    spread = 0;
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 1) {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      return draw();
    }
    const [one, two] = [...pointers.values()];
    const wide = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    if (spread) zoom(wide / spread, (one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2);
    spread = wide;
  });
  for (const end of ["pointerup", "pointercancel"])
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      spread = 0;
    });

  const keys = {
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit,
    ArrowLeft: () => (x += 60), ArrowRight: () => (x -= 60), ArrowUp: () => (y += 60), ArrowDown: () => (y -= 60),
  };
  dialog.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    draw();
  });
  dialog.addEventListener("close", () => stage.replaceChildren());

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) return { in: () => zoom(1.25), out: () => zoom(0.8), fit }[button.dataset.zoom]();
    const picture = event.target.closest("img[data-zoomable]");
    if (picture) open(picture);
  });
  document.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || !event.target.matches?.("img[data-zoomable]")) return;
    event.preventDefault();
    open(event.target);
  });

  owui.zoomable = (picture) => {
    picture.dataset.zoomable = "";
    picture.tabIndex = 0;
    picture.setAttribute("role", "button");
    picture.setAttribute("aria-label", [picture.alt, words.enlarge].filter(Boolean).join(". "));
  };
  owui.dress?.("img", function picture(node) {
    if (!node.closest("a, .diagram")) owui.zoomable(node);
  });
})();
