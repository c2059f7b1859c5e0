// Answers that end where nobody looks: told in the corner and, for whoever wants that, outside the page and by a sound.
(() => {
  const LOOKED = "owui-looked-at"; // between windows: the chat whose end somebody has just seen
  const SHOWN = 10000;
  const waiting = new Map();
  const open = () => /^\/c\/([0-9a-f-]{36})$/.exec(location.pathname)?.[1];
  const seen = (chat) => chat === open() && !document.hidden;

  // Several models may end in one chat at about the same time; another window may show it.
  owui.ended = (chat, how) => {
    if (how === "stopped") return;
    if (seen(chat)) return void localStorage.setItem(LOOKED, `${chat} ${Date.now()}`);
    clearTimeout(waiting.get(chat));
    waiting.set(chat, setTimeout(() => tell(chat, how), 400));
  };

  function tell(chat, how) {
    waiting.delete(chat);
    const [other, at] = (localStorage.getItem(LOOKED) || "").split(" ");
    if (seen(chat) || (other === chat && Date.now() - Number(at) < 3000)) return;
    const template = document.getElementById(how === "done" ? "toast-done" : "toast-broken");
    const title = document.querySelector(`#chat-list a[href$="${CSS.escape(chat)}"]`)?.textContent.trim();
    if (chat !== open()) toast(template, chat, title);
    if (document.hidden || !document.hasFocus()) outside(template.dataset.title, chat, title);
    if (owui.ui.notificationSound) sound();
  }

  function toast(template, chat, title) {
    const node = template.content.firstElementChild.cloneNode(true);
    const link = node.querySelector("a");
    link.href = `/c/${chat}`;
    if (title) link.textContent = title;
    node.dataset.chat = chat;
    document.querySelector(`.toast[data-chat="${CSS.escape(chat)}"]`)?.remove();
    document.getElementById("toasts").append(node);
    // Its time begins when somebody is there to read it, and stands still while they reach for it.
    const leave = () => (document.hidden || node.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : node.remove());
    setTimeout(leave, SHOWN);
  }

  function outside(title, chat, body) {
    if (!owui.ui.notificationEnabled || window.Notification?.permission !== "granted") return;
    try {
      // The same tag in all windows: one notice, whoever tells it.
      const notice = new Notification(title, { body: body || "", tag: `chat-${chat}` });
      notice.onclick = () => {
        window.focus();
        notice.close();
        location.assign(`/c/${chat}`);
      };
    } catch {
      // phones notify only by a service worker, which this page has none of
    }
  }

  function sound() {
    const locks = navigator.locks;
    if (!locks) return void play();
    locks.request("owui-sound", { ifAvailable: true }, (lock) => lock && play()); // one window of several
  }

  // Two soft notes, made here: nothing to load.
  async function play() {
    const audio = new AudioContext();
    if (audio.state === "suspended") await Promise.race([audio.resume(), new Promise((done) => setTimeout(done, 200))]);
    [659, 880].forEach((pitch, place) => {
      const at = audio.currentTime + place * 0.14;
      const note = audio.createOscillator();
      const volume = audio.createGain();
      note.frequency.value = pitch;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.12, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.4);
      note.connect(volume).connect(audio.destination);
      note.start(at);
      note.stop(at + 0.45);
    });
    await new Promise((done) => setTimeout(done, 900));
    await audio.close();
  }

  document.addEventListener("visibilitychange", () => document.querySelector(`.toast[data-chat="${open()}"]`)?.remove());
})();
