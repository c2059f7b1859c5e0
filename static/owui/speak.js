// Reading an answer aloud with the browser's own voice, as the person chose it: nothing leaves this machine.
(() => {
  const voice = window.speechSynthesis;
  const began = new WeakSet(); // answers that were being written on this page
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

  function utterance(text, article) {
    const said = new SpeechSynthesisUtterance(text);
    const chosen = voice.getVoices().find((one) => one.name === owui.ui["audio.tts.voice"]);
    said.lang = chosen?.lang || article.lang || document.documentElement.lang;
    if (chosen) said.voice = chosen;
    said.rate = Number(owui.ui["audio.tts.playbackRate"]) || 1;
    return said;
  }

  function speak(article, texts) {
    end();
    stop = document.createElement("button");
    stop.type = "button";
    stop.className = "button small";
    stop.dataset.speakStop = "";
    stop.textContent = texts.stop;
    article.querySelector(".message-foot").after(stop);
    const shown = stop;
    const parts = pieces(words(article));
    parts.forEach((part, index) => {
      const said = utterance(part, article);
      if (index === parts.length - 1) said.onend = () => shown === stop && end();
      voice.speak(said);
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-speak]");
    if (button && !voice) owui.say(button.dataset.none);
    else if (button) {
      speak(document.getElementById(button.dataset.speak), button.dataset);
      stop.focus();
    }
    if (event.target.closest("[data-speak-stop]")) end();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && stop && end());
  addEventListener("pagehide", () => voice?.cancel());

  // Each answer as soon as it is whole, for whoever wants that; not one that was stopped, or that somebody else reads.
  const auto = document.getElementById("chat").dataset;
  if (!voice || !("speaks" in auto) || !owui.ui.responseAutoPlayback) return;
  htmx.onLoad((node) => {
    for (const one of node.matches("[data-turn]") ? [node] : node.querySelectorAll("[data-turn]")) began.add(one);
  });
  document.addEventListener("owui:text", ({ target }) => {
    if (target.dataset.turn || !began.delete(target) || document.hidden) return;
    if (document.getElementById(`${target.id}-error`)?.childElementCount) return;
    speak(target, { stop: auto.speakStopText });
  });
})();
