// Rows of banners: one more, one less, another order. Without script there is an empty row, and an emptied one goes.
(() => {
  const box = document.querySelector("[data-banners]");
  if (!box) return;
  const add = box.querySelector("[data-banner-add]");
  const rows = () => [...box.querySelectorAll(".banner-row")];
  const blank = rows().at(-1);
  const inner = (row, name) => row.querySelector(`[data-banner-${name}]`);

  function number() {
    rows().forEach((row, at, all) => {
      row.querySelector("legend").textContent = `${box.dataset.banners} ${at + 1}`;
      row.querySelector(".banner-tools").hidden = false;
      inner(row, "up").disabled = at === 0;
      inner(row, "down").disabled = at === all.length - 1;
    });
  }

  box.addEventListener("click", ({ target }) => {
    const row = target.closest(".banner-row");
    if (target === add) {
      const fresh = blank.cloneNode(true);
      add.before(fresh);
      number();
      fresh.querySelector("select").focus();
    } else if (target.matches("[data-banner-remove]")) {
      const beside = row.nextElementSibling?.querySelector("select") || add;
      row.remove();
      number();
      beside.focus();
    } else if (target.matches("[data-banner-up], [data-banner-down]")) {
      const isUp = target.matches("[data-banner-up]");
      if (isUp) row.previousElementSibling.before(row);
      else row.nextElementSibling.after(row);
      number();
      (target.disabled ? inner(row, isUp ? "down" : "up") : target).focus();
    }
  });

  blank.remove();
  add.hidden = false;
  number();
})();
