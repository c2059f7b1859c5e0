// Runs in a sandboxed frame without an origin: draws Mermaid and Vega and gives the page a picture back, nothing else.
(() => {
  const { mermaid: mermaidScript, vega: vegaScript } = document.currentScript.dataset;
  const loading = new Map();
  let count = 0;

  function load(url) {
    if (!url) return Promise.reject(new Error("not installed"));
    if (!loading.has(url)) {
      loading.set(url, new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = url;
        script.onload = done;
        script.onerror = () => failed(new Error("not loaded"));
        document.head.append(script);
      }));
    }
    return loading.get(url);
  }

  async function drawMermaid(source, dark) {
    await load(mermaidScript);
    mermaid.initialize({
      startOnLoad: false, securityLevel: "strict", suppressErrorRendering: true, maxTextSize: 50_000, maxEdges: 500,
      htmlLabels: false, flowchart: { htmlLabels: false }, class: { htmlLabels: false },
      theme: dark ? "dark" : "neutral", fontFamily: "system-ui, sans-serif",
    });
    return (await mermaid.render(`d${++count}`, source)).svg;
  }

  async function drawVega(source, dark) {
    const spec = JSON.parse(source);
    delete spec.usermeta;
    await load(vegaScript);
    const { view } = await vegaEmbed("#place", spec, {
      renderer: "svg", actions: false, tooltip: false, theme: dark ? "dark" : undefined,
      config: { background: "transparent", font: "system-ui, sans-serif" },
    });
    const svg = await view.toSVG();
    view.finalize();
    return svg;
  }

  // A picture for `<img>`: whole XML, a size of its own, and nothing that could act where somebody pastes it.
  function finish(markup) {
    const svg = new DOMParser().parseFromString(markup, "text/html").querySelector("svg");
    for (const node of svg.querySelectorAll("*")) {
      if (["script", "iframe", "object", "embed"].includes(node.localName)) node.remove();
      for (const { name, value } of [...node.attributes])
        if (/^on/i.test(name) || (/href$/i.test(name) && !/^(#|https?:|mailto:|data:image\/(png|jpeg|gif|webp))/i.test(value)))
          node.removeAttribute(name);
    }
    const box = svg.viewBox.baseVal;
    const width = Math.ceil(box?.width || svg.width.baseVal.value || 600);
    const height = Math.ceil(box?.height || svg.height.baseVal.value || 400);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.style.maxWidth = "";
    return { svg: new XMLSerializer().serializeToString(svg), width, height };
  }

  addEventListener("message", async ({ data, source: sender }) => {
    if (sender !== parent) return;
    let answer;
    try {
      const draw = data.kind === "mermaid" ? drawMermaid : drawVega;
      answer = finish(await draw(data.source, data.dark));
    } catch (error) {
      answer = { error: String(error?.message ?? error).slice(0, 300) };
    }
    document.getElementById("place").replaceChildren();
    parent.postMessage({ id: data.id, ...answer }, "*");
  });
  // Deferred until the page has its place to draw in.
  document.addEventListener("DOMContentLoaded", () => parent.postMessage({ ready: true }, "*"));
})();
