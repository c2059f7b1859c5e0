// On a phone a finger that comes in from the edge opens the sidebar, and one that goes back to it closes it.
(() => {
  const EDGE = 28; // where a finger must begin
  const FAR = 60; // how far it must go
  const root = document.documentElement;
  let from = null;

  const isOpen = () => root.dataset.sheet === "open";
  // towards the middle of the page, whichever side the sidebar is on
  const inwards = (x) => (root.dir === "rtl" ? innerWidth - x : x);

  document.addEventListener("touchstart", ({ touches }) => {
    const [finger] = touches;
    const isOurs = owui.phone.matches && touches.length === 1 && (isOpen() || inwards(finger.clientX) < EDGE);
    from = isOurs && !document.querySelector("dialog[open]") ? finger : null;
  }, { passive: true });
  document.addEventListener("touchend", ({ changedTouches }) => {
    if (!from) return;
    const [finger] = changedTouches;
    const [way, beside] = [inwards(finger.clientX) - inwards(from.clientX), Math.abs(finger.clientY - from.clientY)];
    from = null;
    if (Math.abs(way) > FAR && beside < Math.abs(way) / 2 && way > 0 !== isOpen()) owui.toggleSidebar();
  }, { passive: true });
})();
