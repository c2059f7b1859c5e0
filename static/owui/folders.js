// Dragging chats and folders in the sidebar, and files of chats onto it. "Move to…" in the menus is the keyboard's way.
(() => {
  const sidebar = document.getElementById("sidebar");
  const importAt = sidebar.dataset.import;
  let moved = null;

  const target = () => sidebar.querySelector(".is-target");
  const carriesFiles = (event) => importAt && event.dataTransfer?.types.includes("Files");

  // Where it would land: a folder, or the loose list for out of all folders. Not where it lies already, nor in itself.
  function place(event) {
    const found = event.target.closest("[data-drop]");
    if (!moved || !found || moved.closest("[data-drop]") === found || moved.parentElement === found) return null;
    if (moved.dataset.field === "parent" && moved.parentElement.contains(found)) return null;
    return found;
  }

  function mark(node) {
    if (target() !== node) target()?.classList.remove("is-target");
    node?.classList.add("is-target");
  }

  function end() {
    moved?.classList.remove("is-moved");
    moved = null;
    mark(null);
    sidebar.classList.remove("is-target");
  }

  sidebar.addEventListener("dragstart", (event) => {
    moved = event.target.closest?.("[data-move]") || null;
    if (!moved) return;
    moved.classList.add("is-moved");
    event.dataTransfer.effectAllowed = "move";
  });
  sidebar.addEventListener("dragend", end);

  sidebar.addEventListener("dragover", (event) => {
    if (moved) {
      const found = place(event);
      mark(found);
      if (found) event.preventDefault();
    } else if (carriesFiles(event)) {
      event.preventDefault();
      event.stopPropagation(); // else the composer would take it for an attachment
      sidebar.classList.add("is-target");
    }
  });
  sidebar.addEventListener("dragleave", (event) => {
    if (!sidebar.contains(event.relatedTarget)) sidebar.classList.remove("is-target"), mark(null);
  });

  sidebar.addEventListener("drop", (event) => {
    const { dataset } = moved || {};
    const found = place(event);
    const files = carriesFiles(event) ? event.dataTransfer.files : null;
    if (!moved && !files) return;
    event.preventDefault();
    event.stopPropagation();
    end();
    if (files) choose(files);
    else if (found)
      htmx.ajax("POST", dataset.move, { target: "#dialogs", values: { [dataset.field]: found.dataset.drop } });
  });

  // A dropped file waits in the dialog: nothing is imported before somebody says so.
  async function choose(files) {
    await htmx.ajax("GET", importAt, { target: "#dialogs" });
    const field = document.getElementById("import-file");
    if (!field) return;
    const one = new DataTransfer();
    one.items.add(files[0]);
    field.files = one.files;
    check(field);
  }

  // Said before hundreds of megabytes go over the line for nothing.
  function check(field) {
    const file = field.files[0];
    field.setCustomValidity(file && file.size > Number(field.dataset.most) ? field.dataset.tooBig : "");
    if (file) field.reportValidity();
  }

  // The background of a folder, as large as a page needs it.
  async function shrink(field) {
    const [file] = field.files;
    const image = file && file.name !== "background.webp" ? await createImageBitmap(file).catch(() => null) : null;
    if (!image) return; // no picture that this browser can read: the server says so
    const scale = Math.min(1, 1600 / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    for (const quality of [0.8, 0.5, 0.3]) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", quality));
      const one = new DataTransfer();
      one.items.add(new File([blob], "background.webp", { type: blob.type }));
      field.files = one.files;
      if (blob.size < 350_000) return;
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "import-file") check(event.target);
    if (event.target.id === "folder-background") shrink(event.target);
  });
})();
