// Changes a node into another one with the fewest touches: what stays the same keeps selection, focus and scroll.
(() => {
  function attributes(from, to) {
    for (const { name } of [...from.attributes])
      if (!to.hasAttribute(name) && !(name === "open" && from.localName === "details")) from.removeAttribute(name);
    for (const { name, value } of to.attributes)
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }

  const blank = (child) => child.nodeType === Node.TEXT_NODE && !child.nodeValue.trim();

  // The old child that `wanted` belongs to: the one in turn, or one further on that has its id.
  function counterpart(old, wanted) {
    if (!wanted.id || old.id === wanted.id) return old;
    let later = old.nextSibling;
    while (later && later.id !== wanted.id) later = later.nextSibling;
    while (later && old !== later) {
      const next = old.nextSibling;
      old.remove();
      old = next;
    }
    return old;
  }

  function children(from, to) {
    let old = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      if (!old || (blank(wanted) && old.nodeType === Node.ELEMENT_NODE)) {
        from.insertBefore(wanted, old);
        continue;
      }
      old = counterpart(old, wanted);
      const next = old.nextSibling;
      node(old, wanted);
      old = next;
    }
    while (old) {
      const next = old.nextSibling;
      old.remove();
      old = next;
    }
  }

  function node(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) {
      from.replaceWith(to);
    } else if (from.nodeType === Node.ELEMENT_NODE) {
      attributes(from, to);
      if (from.localName === "template") from.content.replaceChildren(to.content);
      else children(from, to);
    } else {
      from.nodeValue = to.nodeValue;
    }
  }

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    return template.content;
  }

  owui.parse = parse;
  owui.morphInner = (element, html) => children(element, parse(html));
  owui.morphOuter = (element, html) => {
    const wanted = parse(html).firstElementChild;
    const id = element.id;
    if (!wanted) return element.remove();
    node(element, wanted);
    return document.getElementById(id);
  };
})();
