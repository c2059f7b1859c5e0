// Puts the text of a prompt or skill where the cursor is. What is missing in it is asked for in a dialog first.
(() => {
  const { area, refuse, form } = owui.composer;

  const clipboard = async () => {
    try {
      return await navigator.clipboard.readText();
    } catch {
      return ""; // not allowed, or nothing that is text
    }
  };

  function answers(dialog) {
    const found = new Map();
    for (const control of dialog.querySelectorAll("[name]"))
      found.set(control.name, control.type === "checkbox" ? String(control.checked) : control.value);
    return found;
  }

  function asked(html) {
    const place = document.getElementById("dialogs");
    place.replaceChildren(owui.parse(html));
    const dialog = place.querySelector("dialog");
    dialog.showModal();
    dialog.querySelector(".dialog-body [name]")?.focus();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        resolve(dialog.returnValue === "take" ? answers(dialog) : null);
        dialog.remove();
        area.focus();
      });
    });
  }

  async function takeText(address) {
    const from = area.selectionStart; // a dialog takes it away with the focus
    const to = area.selectionEnd;
    let found;
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(response.statusText);
      found = await response.json();
    } catch {
      return refuse(form.dataset.failed);
    }
    const values = found.dialog ? await asked(found.dialog) : new Map();
    if (!values) return undefined;
    if (found.parts.some((part) => part.name === "CLIPBOARD")) values.set("CLIPBOARD", await clipboard());
    const text = found.parts.map((part) => (typeof part === "string" ? part : (values.get(part.name) ?? ""))).join("");
    area.setRangeText(text, from, to);
    area.setSelectionRange(from + text.length, from + text.length);
    area.dispatchEvent(new Event("input", { bubbles: true }));
    return area.focus();
  }

  owui.takeText = takeText;
})();
