// A chosen picture is made small before it is sent: cut to a square of so many pixels.
(() => {
  async function shrink(file, size) {
    const image = await createImageBitmap(file);
    const side = Math.min(image.width, image.height);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.min(size, side);
    const [left, top] = [(image.width - side) / 2, (image.height - side) / 2];
    canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    return new File([blob], "picture.png", { type: "image/png" });
  }

  document.addEventListener("change", async (event) => {
    const input = event.target.closest("input[data-shrink]");
    if (!input?.files.length || input.files[0].name === "picture.png") return;
    try {
      const small = new DataTransfer();
      small.items.add(await shrink(input.files[0], Number(input.dataset.shrink)));
      input.files = small.files;
    } catch {
      // Not a picture that this browser can read: the server says so.
    }
  });
})();
