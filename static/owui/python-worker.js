// Runs Python in a worker of a sandboxed frame. It knows the files it was given and reaches nothing else: the policy of
// its frame lets it fetch only these. What it prints goes out in pieces, not line by line, and not for ever.
const MOST = 200_000; // characters
const PIECE = 4_000;
const PAUSE = 100; // ms between pieces

const RUNNER = `
import base64, sys, traceback
from pyodide.code import eval_code_async

def _shown(value):
    for method, kind in (("_repr_png_", "image/png"), ("_repr_svg_", "image/svg+xml")):
        draw = getattr(type(value), method, None)
        if draw is not None and (data := draw(value)):
            data = data.encode() if isinstance(data, str) else data
            return "", f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return repr(value), ""

async def run(source):
    fault, result = "", ("", "")
    try:
        value = await eval_code_async(source, {"__name__": "__main__"}, filename="<code>")
        if value is not None:
            result = _shown(value)
    except SystemExit:
        pass
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != "<code>":
            trace = trace.tb_next
        fault = "".join(traceback.format_exception(type(error), error, trace))
    sys.stdout.flush()
    sys.stderr.flush()
    return fault, *result
run
`;

let [held, heldKind, sent, told] = ["", "out", 0, 0];

function flush() {
  if (held) postMessage({ kind: heldKind, text: held });
  held = "";
  told = performance.now();
}

function print(kind, text) {
  if (sent >= MOST) return;
  const room = MOST - sent;
  sent += text.length;
  if (kind !== heldKind) flush();
  heldKind = kind;
  held += text.slice(0, room);
  if (held.length > PIECE || performance.now() - told > PAUSE) flush();
  if (sent >= MOST) {
    flush();
    postMessage({ kind: "cut" });
  }
}

function writer(kind) {
  const decoder = new TextDecoder();
  return { write: (bytes) => (print(kind, decoder.decode(bytes, { stream: true })), bytes.length) };
}

async function start(files) {
  const load = self.fetch.bind(self);
  // Pyodide asks for its program by the name it was built with; here it has another one.
  self.fetch = (what, how) => load(String(what?.url ?? what).endsWith("/pyodide.asm.wasm") ? files.program : what, how);
  const [{ loadPyodide }, { default: createPyodideModule }] = await Promise.all([import(files.main), import(files.module)]);
  const python = await loadPyodide({
    createPyodideModule,
    indexURL: files.main.replace(/[^/]*$/, ""),
    stdLibURL: files.library,
    lockFileURL: files.lock,
  });
  python.setStdout(writer("out"));
  python.setStderr(writer("fault"));
  python.setStdin({ error: true });
  return python;
}

onmessage = async ({ data }) => {
  let python;
  try {
    python = await start(data.files);
  } catch (error) {
    return postMessage({ kind: "broken", text: String(error) });
  }
  postMessage({ kind: "running" });
  try {
    const run = python.runPython(RUNNER);
    const [fault, result, picture] = (await run(data.source)).toJs();
    flush();
    postMessage({ kind: "done", fault: fault.slice(-MOST), result: result.slice(0, MOST), picture });
  } catch (error) {
    flush();
    postMessage({ kind: "done", fault: String(error).slice(-MOST), result: "", picture: "" });
  }
};
