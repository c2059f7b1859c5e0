// Passkeys: asks the server what to ask, the browser for its answer, and brings that back. A form with data-passkey:
// "add" makes one, "enter" signs in with one. Hidden until it is clear that this browser can do it.
(() => {
  if (!window.PublicKeyCredential) return;

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  async function post(url, body) {
    const headers = { "Content-Type": "application/json", ...JSON.parse(document.body.getAttribute("hx-headers")) };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const found = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refusal(found.detail || "");
    return found;
  }

  // A text that the server wrote for people; whatever the browser itself says is too technical to show.
  class Refusal extends Error {}

  const named = (list) => (list || []).map((entry) => ({ ...entry, id: toBytes(entry.id) }));

  async function make(options) {
    const key = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        user: { ...options.user, id: toBytes(options.user.id) },
        excludeCredentials: named(options.excludeCredentials),
      },
    });
    return plain(key, { attestationObject: toText(key.response.attestationObject) });
  }

  async function show(options) {
    const publicKey = { ...options, challenge: toBytes(options.challenge), allowCredentials: named(options.allowCredentials) };
    const key = await navigator.credentials.get({ publicKey });
    const user = key.response.userHandle;
    return plain(key, {
      authenticatorData: toText(key.response.authenticatorData),
      signature: toText(key.response.signature),
      userHandle: user ? toText(user) : null,
    });
  }

  const plain = (key, response) => ({
    id: key.id,
    rawId: toText(key.rawId),
    type: key.type,
    clientExtensionResults: key.getClientExtensionResults(),
    response: { clientDataJSON: toText(key.response.clientDataJSON), ...response },
  });

  async function run(form) {
    const { question, answer, passkey, failed, next } = form.dataset;
    const error = form.querySelector("[role=alert]");
    const button = form.querySelector("button");
    error.textContent = "";
    button.disabled = true;
    try {
      const asked = await post(question, {});
      const credential = await (passkey === "add" ? make : show)(asked.options);
      const name = form.elements.name?.value;
      const done = await post(answer, { challenge_token: asked.challenge_token, credential, name, next });
      if (done.codes?.length) return codes(form, done.codes);
      if (passkey === "add") location.reload();
      else location.assign(done.location);
    } catch (problem) {
      error.textContent = (problem instanceof Refusal && problem.message) || failed;
    } finally {
      button.disabled = false;
    }
  }

  // The first recovery codes are shown this once, before the page is loaded again.
  function codes(form, list) {
    const box = document.getElementById("passkey-codes");
    for (const text of list) {
      const line = document.createElement("li");
      line.append(Object.assign(document.createElement("code"), { textContent: text }));
      box.querySelector(".codes").append(line);
    }
    box.hidden = false;
    form.hidden = true;
    box.querySelector("a").focus();
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(form);
    });
  }
})();
