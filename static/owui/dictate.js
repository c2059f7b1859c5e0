// Dictation by the browser's own speech recognition. Where the administrator did not allow more, only on the device.
(() => {
  const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;
  const button = document.getElementById("dictate");
  if (!Recognition || !button) return;
  const { area, refuse, form } = owui.composer;
  const anywhere = button.dataset.dictation === "web";
  const lang = document.documentElement.lang || navigator.language;
  let ear = null;

  async function understands() {
    if (anywhere) return true;
    try {
      return (await Recognition.available({ langs: [lang], processLocally: true })) === "available";
    } catch {
      return false; // a browser that cannot say so listens elsewhere
    }
  }

  function show(on) {
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("is-on", on);
    if (on) owui.say(button.dataset.listening);
  }

  function stop() {
    ear?.stop();
  }

  // What is said goes where the cursor was, and may still change while the browser thinks about it.
  function listen() {
    const before = area.value.slice(0, area.selectionStart);
    const after = area.value.slice(area.selectionEnd);
    const gap = before && !/\s$/.test(before) ? " " : "";
    ear = new Recognition();
    ear.lang = lang;
    ear.continuous = true;
    ear.interimResults = true;
    if (!anywhere) ear.processLocally = true;
    ear.onresult = ({ results }) => {
      const said = [...results].map((result) => result[0].transcript).join("").trim();
      area.value = `${before}${gap}${said}${after}`;
      const end = before.length + gap.length + said.length;
      area.setSelectionRange(end, end);
      area.dispatchEvent(new Event("input", { bubbles: true }));
    };
    ear.onerror = ({ error }) => {
      if (error === "not-allowed" || error === "audio-capture") refuse(button.dataset.refused);
      else if (!["aborted", "no-speech"].includes(error)) refuse(button.dataset.failed);
    };
    ear.onend = () => {
      ear = null;
      show(false);
      area.focus();
    };
    ear.start();
    show(true);
  }

  button.addEventListener("click", () => (ear ? stop() : listen()));
  form.addEventListener("submit", () => {
    if (ear) ear.onresult = null; // what was understood is sent; the rest comes too late
    ear?.abort();
  });
  area.addEventListener("keydown", (event) => event.key === "Escape" && stop());
  understands().then((yes) => (button.hidden = !yes));
})();
