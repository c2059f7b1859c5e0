// The direction of text, as the person chose it.
(() => {
  const area = document.getElementById("prompt");
  // As written: each paragraph by its own letters (models.css); otherwise all of the conversation.
  area.dir = (owui.ui.chatDirection || "auto").toLowerCase();
  if (area.dir !== "auto") document.getElementById("messages").dir = area.dir;
})();
