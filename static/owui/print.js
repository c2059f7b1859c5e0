// The page of a chat for paper: prints itself once everything on it is drawn.
(() => {
  const LONGEST = 3000;
  const pause = (wait) => new Promise((done) => setTimeout(done, wait));

  // What stands folded on a screen stands open on paper.
  for (const fold of document.querySelectorAll("details")) fold.open = true;

  // Diagrams are drawn when they come into view.
  async function draw(frame) {
    const until = Date.now() + LONGEST;
    frame.scrollIntoView({ block: "center" });
    while (frame.isConnected && !frame.querySelector("img") && Date.now() < until) await pause(100);
  }

  async function ready() {
    await document.fonts.ready;
    await pause(200);
    for (const frame of document.querySelectorAll(".diagram")) await draw(frame);
    scrollTo(0, 0);
    print();
  }

  document.getElementById("print-now").addEventListener("click", () => print());
  addEventListener("load", ready);
})();
