// Reading an answer aloud with the browser's own voice: nothing leaves this machine.
(() => {
  const voice = window.speechSynthesis;
  let stop = null;

  function end() {
    voice.cancel();
    stop?.remove();
    stop = null;
  }

  // Long texts in pieces: some browsers fall silent in the middle of a long one.
  function pieces(text) {
    return text.match(/[^.!?。！？\n]{1,220}(?:[.!?。！？\n]+|\s|$)/g) || [text];
  }

  function words(article) {
    const prose = article.querySelector(":scope > .prose").cloneNode(true);
    for (const mute of prose.querySelectorAll(".code, .cite, .math-source, math")) mute.remove();
    return prose.textContent.replace(/[ \t]+/g, " ").trim();
  }

  function speak(button) {
    const article = document.getElementById(button.dataset.speak);
    if (!voice) return owui.say(button.dataset.none);
    end();
    stop = document.createElement("button");
    stop.type = "button";
    stop.className = "button small";
    stop.dataset.speakStop = "";
    stop.textContent = button.dataset.stop;
    article.querySelector(".message-foot").after(stop);
    const shown = stop;
    const parts = pieces(words(article));
    parts.forEach((part, index) => {
      const said = new SpeechSynthesisUtterance(part);
      if (article.lang || document.documentElement.lang) said.lang = article.lang || document.documentElement.lang;
      if (index === parts.length - 1) said.onend = () => shown === stop && end();
      voice.speak(said);
    });
    stop.focus();
    return undefined;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-speak]");
    if (button) speak(button);
    if (event.target.closest("[data-speak-stop]")) end();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && stop && end());
  addEventListener("pagehide", () => voice?.cancel());
})();
