// In a sandboxed frame without an origin: starts one worker for one program, and passes on what it says.
(() => {
  const { worker, ...files } = document.currentScript.dataset;
  const whole = (path) => new URL(path, document.baseURI).href;
  for (const name of Object.keys(files)) files[name] = whole(files[name]);

  addEventListener("message", ({ data, source }) => {
    if (source !== parent || typeof data?.source !== "string") return;
    // A frame without an origin may start no worker by an address, only one that it wrote itself.
    const starter = new Blob([`importScripts(${JSON.stringify(whole(worker))});`], { type: "text/javascript" });
    const running = new Worker(URL.createObjectURL(starter));
    running.onmessage = (event) => parent.postMessage(event.data, "*");
    running.onerror = (event) => parent.postMessage({ kind: "broken", text: event.message ?? "" }, "*");
    running.postMessage({ files, source: data.source });
  });
  parent.postMessage({ kind: "ready" }, "*");
})();
