// Python of an answer, run in this browser when somebody asks for it: in a sandboxed frame of its own, which is thrown
// away afterwards, and with it all that ran in it.
(() => {
  const words = document.getElementById("python-words")?.dataset;
  if (!words || !owui.dress) return;
  const PYTHON = new Set(["python", "py", "python3"]);
  const START = 120_000; // ms until Python is there, over a slow line
  const MOST_NEWS = 4_000; // of a well-behaved worker a hundredth
  const PICTURE = /^data:image\/(png|svg\+xml);base64,[\w+/=]{1,8000000}$/;
  const runs = new Map(); // frame: run

  function start(block) {
    block.querySelector(".code-output")?.remove();
    const output = owui.dressing("code-output").firstElementChild;
    block.querySelector("pre").after(output);
    block.querySelector("[data-code-run]").disabled = true;
    const frame = document.createElement("iframe");
    frame.className = "diagram-room";
    frame.setAttribute("sandbox", "allow-scripts");
    frame.setAttribute("aria-hidden", "true");
    frame.tabIndex = -1;
    frame.src = words.room;
    const run = { block, output, frame, news: 0, source: block.querySelector("pre").textContent };
    run.timer = setTimeout(() => end(run, "broken"), START);
    runs.set(frame, run);
    document.body.append(frame);
    tell(run, "starting");
    output.querySelector("[data-code-stop]").focus();
  }

  function tell(run, state) {
    const line = run.output.querySelector("[data-state]");
    line.textContent = words[state];
    run.output.dataset.is = state;
    owui.say(words[state]);
  }

  function write(run, text, isFault) {
    const pre = run.output.querySelector("pre");
    pre.hidden = false;
    const last = pre.lastElementChild;
    if (last && last.matches(".fault") === isFault) return last.append(text);
    const piece = document.createElement("span");
    piece.classList.toggle("fault", isFault);
    piece.append(text);
    return pre.append(piece);
  }

  function end(run, state) {
    clearTimeout(run.timer);
    runs.delete(run.frame);
    run.frame.remove();
    const button = run.block.querySelector("[data-code-run]");
    if (button) button.disabled = false;
    const stop = run.output.querySelector("[data-code-stop]");
    const hadFocus = document.activeElement === stop;
    stop.remove();
    if (hadFocus) button?.focus();
    tell(run, state);
  }

  function finish(run, { fault, result, picture }) {
    if (fault) write(run, String(fault), true);
    if (result) write(run, String(result), false);
    if (PICTURE.test(picture)) {
      const image = new Image();
      image.alt = words.picture;
      image.src = picture;
      run.output.append(image);
      owui.zoomable(image);
    }
    run.output.querySelector(".hint").hidden = !/ModuleNotFoundError/.test(fault);
    end(run, fault ? "failed" : "done");
  }

  addEventListener("message", ({ data, source }) => {
    const run = [...runs.values()].find(({ frame }) => frame.contentWindow === source);
    if (!run || !data) return;
    run.news += 1;
    if (!run.output.isConnected) end(run, "stopped"); // the answer was drawn anew
    else if (run.news > MOST_NEWS) end(run, "late");
    else if (data.kind === "ready") source.postMessage({ source: run.source }, "*");
    else if (data.kind === "running") {
      clearTimeout(run.timer);
      run.timer = setTimeout(() => end(run, "late"), words.limit * 1000);
      tell(run, "running");
    } else if (data.kind === "out" || data.kind === "fault") write(run, String(data.text), data.kind === "fault");
    else if (data.kind === "cut") write(run, `\n${words.cut}\n`, false);
    else if (data.kind === "done") finish(run, { ...data, fault: String(data.fault), result: String(data.result) });
    else if (data.kind === "broken") end(run, "broken");
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-code-run], [data-code-stop], [data-code-clear]");
    if (!button) return;
    const block = button.closest(".code");
    const run = [...runs.values()].find((one) => one.block === block);
    if ("codeRun" in button.dataset) {
      if (!run) start(block);
    } else if ("codeStop" in button.dataset) {
      if (run) end(run, "stopped");
    } else {
      if (run) end(run, "stopped");
      block.querySelector(".code-output").remove();
      block.querySelector("[data-code-run]").focus();
    }
  });

  owui.dress(".code", function runnable(block) {
    if (!PYTHON.has(block.dataset.lang) || !block.closest(".message.assistant")) return;
    block.querySelector(".code-copy").before(owui.dressing("code-run"));
  });
})();
