"use strict";
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// Shows the rows of #data, with search and menus. All text is set by textContent, so none is parsed as HTML. The URL's
// fragment holds the search, so that it can be linked: index.html#q=lab-17&lang=es
(() => {
  const { rows: entries, unit, labels } = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20, FOLDED = 700;
  const UNSEEN = new RegExp("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b-\\u200f" +
    "\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]", "g");
  const menus = [...document.querySelectorAll(".filters select")];
  const search = document.getElementById("q"), list = document.getElementById("rows");
  const more = document.getElementById("more"), found = document.getElementById("found");
  const values = (entry, menu) => [entry[menu.dataset.key]].flat().filter(Boolean);
  let matching = [], shown = 0;

  function haystack(entry) {
    const texts = [...entry.prompts, ...entry.panes].map((pane) => pane.text.slice(0, 2000));
    return [entry.id, entry.reason || "", entry.detail || "", ...entry.notes, ...texts].join("\n").toLowerCase();
  }

  // Invisible characters are shown by their code points.
  function write(target, text) {
    let end = 0;
    for (const match of text.matchAll(UNSEEN)) {
      target.append(text.slice(end, match.index));
      const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      target.append(element("span", "code", "U+" + code));
      end = match.index + 1;
    }
    target.append(text.slice(end));
  }

  function pane(data) {
    const box = element("div", "pane " + data.role);
    const heading = element("h4", "", data.title);
    heading.append(element("span", "soft", data.source));
    if (data.right !== null) {
      heading.append(element("span", "chip " + (data.right ? "better" : "worse"), data.right ? "right" : "wrong"));
    }
    const body = element("div", "text");
    body.dir = "auto";
    body.lang = data.lang;
    box.append(heading, body);
    const folded = data.text.length > FOLDED;
    write(body, folded ? data.text.slice(0, FOLDED) + " …" : data.text || "(no text)");
    if (!data.text) body.classList.add("soft");
    if (folded) box.append(unfold(body, data));
    return box;
  }

  function unfold(body, data) {
    const cut = data.cut ? " (" + data.cut.toLocaleString("en") + " more are not on this page)" : "";
    const label = "Show all " + data.text.length.toLocaleString("en") + " characters" + cut;
    const button = element("button", "", label);
    button.type = "button";
    let open = false;
    button.addEventListener("click", () => {
      open = !open;
      body.replaceChildren();
      write(body, open ? data.text : data.text.slice(0, FOLDED) + " …");
      button.textContent = open ? "Show less" : label;
    });
    return button;
  }

  function row(entry) {
    const box = element("article", "row");
    const header = element("header");
    const chips = entry.chips.map(([text, tone]) => element("span", ("chip " + tone).trim(), text));
    header.append(element("b", "", entry.id), ...chips, element("span", "soft", entry.source));
    box.append(header);
    if (entry.detail) box.append(element("p", "soft", entry.detail));
    const groups = [entry.prompts, entry.panes.slice(0, 2), entry.panes.slice(2)];
    for (const group of groups) {
      if (!group.length) continue;
      const panes = element("div", "panes");
      panes.append(...group.map(pane));
      box.append(panes);
    }
    return box;
  }

  function showMore() {
    const next = matching.slice(shown, shown + PAGE);
    list.append(...next.map(row));
    shown += next.length;
    more.hidden = shown >= matching.length;
    more.textContent = "Show " + Math.min(PAGE, matching.length - shown) + " more";
  }

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    matching = entries.filter((entry) =>
      words.every((word) => entry.haystack.includes(word)) &&
      menus.every((menu) => !menu.value || values(entry, menu).includes(menu.value)));
    found.textContent = matching.length + " of " + entries.length + " " + unit;
    list.replaceChildren();
    shown = 0;
    showMore();
  }

  function remember() {
    const state = new URLSearchParams();
    if (search.value) state.set("q", search.value);
    for (const menu of menus) if (menu.value) state.set(menu.id, menu.value);
    history.replaceState(null, "", "#" + (state.size ? state : "look"));
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    search.value = state.get("q") || "";
    for (const menu of menus) menu.value = state.get(menu.id) || "";
  }

  for (const entry of entries) entry.haystack = haystack(entry);
  for (const menu of menus) {
    const names = [...new Set(entries.flatMap((entry) => values(entry, menu)))].sort();
    for (const name of names) {
      const option = element("option", "", labels[name] || name);
      option.value = name;
      menu.append(option);
    }
    menu.addEventListener("change", () => { apply(); remember(); });
  }
  search.addEventListener("input", () => { apply(); remember(); });
  more.addEventListener("click", showMore);
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); apply(); } });
  recall();
  apply();
  if (location.hash.includes("=")) document.getElementById("look").scrollIntoView();
})();
