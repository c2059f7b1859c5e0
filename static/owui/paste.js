// Files for a message: chosen, dropped anywhere on the page, or pasted. Pictures wait here and go with the question;
// everything else is uploaded at once, with progress and the reason of a fault in its chip.
(() => {
  const { area, chips, form, refresh } = owui.composer;
  const chooser = document.getElementById("composer-files");
  if (!chooser) return; // the person may not attach files
  const told = form.dataset;
  const LONG_TEXT = 1000;

  function addChip(file) {
    const chip = document.getElementById("file-chip").content.firstElementChild.cloneNode(true);
    chip.querySelector("span").textContent = file.name;
    const remove = chip.querySelector("button");
    remove.setAttribute("aria-label", `${remove.getAttribute("aria-label").trim()} ${file.name}`);
    chips.append(chip);
    return chip;
  }

  function fail(chip, reason) {
    chip.removeAttribute("aria-busy");
    chip.classList.add("bad");
    chip.querySelector("progress")?.remove();
    const text = chip.querySelector("span");
    text.textContent += ` – ${reason}`;
    text.title = text.textContent;
    owui.say(text.textContent);
    refresh();
  }

  // The server says the same, only later.
  function objection(file) {
    const endings = told.endings ? told.endings.split(",") : [];
    if (endings.length && !endings.some((one) => file.name.toLowerCase().endsWith(one))) return told.wrongType;
    return Number(told.megabytes) && file.size > Number(told.megabytes) * 1048576 ? told.tooLarge : "";
  }

  const count = () => chips.querySelectorAll(".file-chip:not(.bad)").length;

  function post(address, name, value, chip) {
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append(name, value);
    request.open("POST", address);
    const headers = { "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (name === "file") chip.querySelector("progress").value = (100 * event.loaded) / event.total;
    };
    request.onloadend = () => {
      if (!chip.isConnected) return; // removed meanwhile
      const answer = owui.parse(request.responseText);
      if (request.status >= 200 && request.status < 300) {
        chip.replaceWith(answer);
        htmx.process(chips);
      } else fail(chip, (request.status && answer.textContent.trim().slice(0, 200)) || told.failed);
      refresh();
    };
    chip.querySelector("button").addEventListener("click", () => request.abort());
    request.send(body);
  }

  async function keepPicture(file, image, chip) {
    const kept = await owui.shrink.picture(file, image, told);
    if (kept.size > Number(told.pictureBytes)) return fail(chip, told.tooLarge);
    const field = Object.assign(document.createElement("input"), { type: "file", name: "picture", hidden: true });
    const carrier = new DataTransfer();
    carrier.items.add(kept);
    field.files = carrier.files;
    const shown = Object.assign(document.createElement("img"), { src: owui.shrink.thumb(image), alt: "" });
    chip.querySelector("progress").remove();
    chip.querySelector(".icon").replaceWith(shown);
    chip.classList.add("picture-chip");
    chip.append(field);
    chip.removeAttribute("aria-busy");
    refresh();
    return document.dispatchEvent(new CustomEvent("owui:picture"));
  }

  async function take(file) {
    const chip = addChip(file);
    if (Number(told.files) && count() > Number(told.files)) return fail(chip, told.tooMany);
    chip.setAttribute("aria-busy", "true");
    refresh();
    const isPicture = told.pictureTypes.split(",").includes(file.type);
    const image = isPicture ? await createImageBitmap(file).catch(() => null) : null;
    if (image) return keepPicture(file, image, chip);
    const reason = objection(file);
    return reason ? fail(chip, reason) : post(told.filesUrl, "file", file, chip);
  }

  // A web page: the server fetches it, which has no progress to show.
  function web(address) {
    const chip = addChip({ name: address });
    chip.setAttribute("aria-busy", "true");
    chip.querySelector("progress").removeAttribute("value");
    refresh();
    post(told.webUrl, "url", address, chip);
  }
  owui.files = { web };
  if (told.loadUrl) web(told.loadUrl);

  const takeAll = (files) => [...files].forEach(take);
  chooser.addEventListener("change", () => {
    takeAll(chooser.files);
    chooser.value = "";
  });
  area.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    const text = event.clipboardData.getData("text/plain");
    // Office programs add a picture of the text they copy.
    if (!text && files.length) takeAll(files);
    else if ("largeText" in told && text.length > LONG_TEXT)
      take(new File([text], `${told.pasted}.txt`, { type: "text/plain" }));
    else return;
    event.preventDefault();
  });
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    form.classList.add("is-target");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || form.classList.remove("is-target"));
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    form.classList.remove("is-target");
    takeAll(event.dataTransfer.files);
  });
})();
