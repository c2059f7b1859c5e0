// Pictures on their way into a message, made smaller in the browser: to the width and height that the person or the
// house set, and never larger than models make use of. What is small enough goes as it is, and so does what moves.
(() => {
  const LARGEST_SIDE = 2048;
  const THUMB = 96;

  function drawn(image, scale) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  const blob = (canvas, type) => new Promise((done) => canvas.toBlob(done, type, 0.9));
  const within = (most, side) => (Number(most) ? Number(most) / side : 1);

  // A PNG stays one: it may be a drawing with fine lines. WebP, which is transparent too, where that is no gain.
  async function encoded(canvas, file, most) {
    if (file.type === "image/jpeg") return blob(canvas, "image/jpeg");
    const exact = file.type === "image/png" ? await blob(canvas, "image/png") : null;
    return exact && exact.size <= Math.min(file.size, most) ? exact : blob(canvas, "image/webp");
  }

  async function picture(file, image, { pictureBytes, pictureWidth, pictureHeight }) {
    const { width, height } = image;
    const side = LARGEST_SIDE / Math.max(width, height);
    const scale = Math.min(1, side, within(pictureWidth, width), within(pictureHeight, height));
    const most = Number(pictureBytes);
    if (file.type === "image/gif" || (scale === 1 && file.size <= most)) return file;
    const made = await encoded(drawn(image, scale), file, most);
    return made ? new File([made], file.name, { type: made.type }) : file;
  }

  const thumb = (image) =>
    drawn(image, Math.min(1, THUMB / Math.max(image.width, image.height))).toDataURL("image/webp", 0.8);

  owui.shrink = { picture, thumb };
})();
