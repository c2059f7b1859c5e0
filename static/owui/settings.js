// The settings page: what was saved is said, the browser's permission for notices is asked for, its voices are listed.
(() => {
  // Told where it happened, and to screen readers.
  document.addEventListener("htmx:afterRequest", ({ detail, target }) => {
    const text = detail.successful && target.closest?.("[data-saved]")?.dataset.saved;
    if (!text) return;
    const title = target.closest("section").querySelector("h2");
    let mark = title.querySelector(".saved");
    if (!mark) title.append((mark = Object.assign(document.createElement("span"), { className: "saved" })));
    mark.textContent = text;
    owui.say(text);
    clearTimeout(mark.timer);
    mark.timer = setTimeout(() => mark.remove(), 2500);
  });

  // Where one is, in the list of sections.
  const ways = new Map([...document.querySelectorAll(".jump a")].map((way) => [way.hash.slice(1), way]));
  const here = (id) => {
    for (const [name, way] of ways) {
      if (name === id) way.setAttribute("aria-current", "true");
      else way.removeAttribute("aria-current");
    }
  };
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) target.classList.toggle("is-seen", isIntersecting);
    const first = document.querySelector(".page-section.is-seen");
    if (first) here(first.id);
  }, { rootMargin: "-10% 0px -80% 0px" });
  // The last ones may be too short to come up there.
  addEventListener("hashchange", () => setTimeout(here, 100, location.hash.slice(1)));
  for (const section of document.querySelectorAll(".page-section[id]")) watch.observe(section);

  const notice = document.querySelector('input[value="notificationEnabled"]');
  const blocked = document.getElementById("notices-blocked");

  function refuse(text) {
    blocked.textContent = text || "";
    blocked.hidden = !text;
    return Boolean(text);
  }

  async function permitted() {
    if (!window.isSecureContext || !("Notification" in window)) return !refuse(blocked.dataset.none);
    if ((await Notification.requestPermission()) !== "granted") return !refuse(blocked.dataset.no);
    return !refuse("");
  }

  // The switch is saved only when the browser agrees: one that is on and does nothing would be a lie.
  notice?.addEventListener("change", async (event) => {
    if (!notice.checked || event.detail?.agreed) return void refuse("");
    event.stopPropagation();
    if (await permitted()) notice.dispatchEvent(new CustomEvent("change", { bubbles: true, detail: { agreed: true } }));
    else notice.checked = false;
  });
  if (notice?.checked && window.Notification?.permission !== "granted") refuse(blocked.dataset.no);

  const voices = document.querySelector('select[name="audio.tts.voice"]');
  const rate = document.querySelector('select[name="audio.tts.playbackRate"]');
  const speech = window.speechSynthesis;

  function list() {
    for (const voice of speech.getVoices()) {
      if ([...voices.options].some((option) => option.value === voice.name)) continue;
      voices.add(new Option(`${voice.name} (${voice.lang})`, voice.name));
    }
  }

  document.getElementById("speech-try")?.addEventListener("click", ({ currentTarget }) => {
    const said = new SpeechSynthesisUtterance(currentTarget.dataset.text);
    said.voice = speech.getVoices().find((voice) => voice.name === voices.value) || null;
    said.lang = said.voice?.lang || document.documentElement.lang;
    said.rate = Number(rate.value) || 1;
    speech.cancel();
    speech.speak(said);
  });
  if (voices && speech) {
    list();
    speech.addEventListener?.("voiceschanged", list);
  }
})();
