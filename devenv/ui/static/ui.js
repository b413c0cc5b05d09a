// The page's own script: server-sent events, copying, keys. It builds nothing: what it puts in was made by the server.
"use strict";
(() => {
  const streams = new Map();

  const nodesOf = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content;
  };

  const apply = ({ target, how, html }) => {
    if (how === "go") {
      window.location.assign(html);
      return;
    }
    const place = document.getElementById(target);
    if (!place) return;
    const content = nodesOf(html);
    const open = how === "replace" ? [...place.querySelectorAll("details[open][id]")].map((each) => each.id) : [];
    const held = place.contains(document.activeElement) ? document.activeElement.id : "";
    if (how === "replace") place.replaceWith(content);
    else if (how === "inside") place.replaceChildren(content);
    else if (how === "append") {
      const last = Math.abs(place.scrollHeight - place.clientHeight - place.scrollTop) < 40;
      place.append(content);
      const most = Number(place.dataset.most || 0);
      while (most && place.childElementCount > most) place.firstElementChild.remove();
      if (last) place.scrollTop = place.scrollHeight;
    } else if (how === "prepend") {
      place.prepend(content);
      const most = Number(place.dataset.most || 0);
      while (most && place.childElementCount > most) place.lastElementChild.remove();
    }
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (held) document.getElementById(held)?.focus({ preventScroll: true });
    const changed = how === "replace" ? document.getElementById(target) : place;
    if (changed) {
      window.htmx?.process(changed);
      follow(changed);
    }
  };

  const follow = (root) => {
    const found = root.matches?.("[data-stream]") ? [root] : [];
    for (const node of [...found, ...root.querySelectorAll("[data-stream]")]) {
      const address = node.dataset.stream;
      if (streams.has(address)) continue;
      const source = new EventSource(address);
      streams.set(address, source);
      source.onopen = () => document.body.classList.remove("lost");
      source.onmessage = (event) => apply(JSON.parse(event.data));
      source.addEventListener("end", () => source.close());
      source.onerror = () => {
        if (source.readyState !== EventSource.CLOSED) document.body.classList.add("lost");
      };
    }
  };

  const copy = async (button) => {
    const place = document.getElementById(button.dataset.copy);
    if (!place) return;
    try {
      await navigator.clipboard.writeText(place.textContent.trim());
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(place);
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  // A digit opens a page, a slash goes to the first field; neither while something is typed.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "/") {
      const field = document.querySelector("main input[type=text], main input[type=search], main input:not([type])");
      if (field) {
        event.preventDefault();
        field.focus();
      }
    } else if (/^[1-9]$/.test(event.key)) {
      document.querySelectorAll("nav.pages a")[Number(event.key) - 1]?.click();
    }
  });

  // What belongs to a choice is asked for again when the choice changes.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  const begin = () => follow(document.body);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
  window.addEventListener("pagehide", () => streams.forEach((source) => source.close()));
})();
