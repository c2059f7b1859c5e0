// Documents dropped anywhere on the page, folders included: three at a time, each with its progress in its own row.
(() => {
  const page = document.querySelector("[data-upload]");
  const rows = document.getElementById("documents");
  const chooser = document.getElementById("upload-files");
  const template = document.getElementById("upload-row");
  const PARALLEL = 3;
  const queue = [];
  let active = 0;

  function addRow(file, path) {
    const row = template.content.firstElementChild.cloneNode(true);
    row.querySelector("th").textContent = path;
    row.children[3].textContent = size(file.size);
    say(row, "waiting");
    rows.prepend(row);
    rows.closest("table").hidden = false;
    document.getElementById("no-documents").hidden = true;
    return row;
  }

  function size(bytes) {
    const [divisor, unit] = bytes < 1048576 ? [1024, "KB"] : [1048576, "MB"];
    return `${(bytes / divisor).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${unit}`;
  }

  function say(row, state, reason = "") {
    const line = row.querySelector(".state-line");
    const failed = state === "failed";
    line.textContent = line.dataset[state];
    line.classList.toggle("bad", failed);
    line.classList.toggle("toned", failed);
    row.querySelector("progress").hidden = failed;
    row.querySelector(".reason").hidden = !failed;
    row.querySelector(".reason").textContent = reason;
    row.querySelector("[data-again]").parentElement.hidden = !failed;
  }

  function next() {
    if (active >= PARALLEL || !queue.length) return;
    active += 1;
    sendOne(queue.shift());
    next();
  }

  function sendOne(job) {
    const { file, path, row } = job;
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append("path", path);
    body.append("file", file);
    request.open("POST", page.dataset.upload);
    const headers = { "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    say(row, "sending");
    request.upload.onprogress = (event) => {
      row.querySelector("progress").value = (100 * event.loaded) / event.total;
    };
    request.onloadend = () => {
      active -= 1;
      const answer = owui.parse(request.responseText);
      const added = answer.querySelector("tr");
      if (request.status >= 200 && request.status < 300 && added) {
        document.getElementById(added.id)?.remove();
        row.replaceWith(added);
        htmx.process(added);
      } else {
        const reason = request.status && request.status < 500 ? answer.querySelector(".toast > div, p") || answer : null;
        say(row, "failed", reason ? reason.textContent.trim().slice(0, 300) : "");
        row.querySelector("[data-again]").onclick = () => add(job);
      }
      next();
    };
    request.send(body);
  }

  function add(job) {
    say(job.row, "waiting");
    queue.push(job);
    next();
  }

  const take = (file, path = file.name) => file.name.startsWith(".") || add({ file, path, row: addRow(file, path) });

  async function walk(entry, prefix) {
    if (entry.isFile) return entry.file((file) => take(file, prefix + file.name));
    const reader = entry.createReader();
    for (;;) {
      // a reader gives at most a hundred entries a call
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) return undefined;
      for (const child of batch) await walk(child, `${prefix}${entry.name}/`);
    }
  }

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    page.classList.add("is-target");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || page.classList.remove("is-target"));
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    page.classList.remove("is-target");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.length) entries.forEach((entry) => walk(entry, ""));
    else [...event.dataTransfer.files].forEach((file) => take(file));
  });
  document.querySelector("[data-choose]").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    [...chooser.files].forEach((file) => take(file));
    chooser.value = "";
  });
  addEventListener("beforeunload", (event) => (active || queue.length) && event.preventDefault());
})();
