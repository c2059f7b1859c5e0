// A model that cannot look at pictures: said before they are sent.
(() => {
  const { chips, form } = owui.composer;
  const note = document.getElementById("composer-note");
  let looked = "";

  async function check() {
    const model = chips.querySelector('[name="at"]')?.value || form.querySelector('[name="model"]')?.value;
    if (!model || !chips.querySelector('[name="picture"]')) return void note.replaceChildren();
    const address = `${form.dataset.seesUrl}?model=${encodeURIComponent(model)}`;
    return htmx.ajax("GET", address, { target: note, swap: "innerHTML" });
  }

  new MutationObserver(() => {
    const now = [...chips.querySelectorAll('[name="at"], [name="picture"]')].map((one) => one.value).join();
    if (now !== looked) check();
    looked = now;
  }).observe(chips, { childList: true });
  document.addEventListener("owui:picture", check);
  document.addEventListener("change", ({ target }) => target.name === "model" && check());
})();
