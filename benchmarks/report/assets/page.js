// Theme, contents, and what opens on demand. Runs before the body is parsed, so that the page never flashes in the wrong theme.
"use strict";
(() => {
  const THEMES = ["system", "light", "dark"];
  const KEY = "prm-report-theme";

  /** The theme chosen before; "system" if none was, or if the browser stores nothing for files. */
  function remembered() {
    try {
      const name = localStorage.getItem(KEY);
      return THEMES.includes(name) ? name : "system";
    } catch {
      return "system";
    }
  }

  function remember(name) {
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // the choice lasts until the page is closed
    }
  }

  function show(name) {
    document.documentElement.dataset.theme = name;
  }

  function startThemeButton() {
    const button = document.getElementById("theme");
    const label = () => (button.textContent = `Theme: ${document.documentElement.dataset.theme}`);
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
      show(next);
      remember(next);
      label();
    });
    label();
  }

  /** Mark the entry of the section in view. */
  function startContents() {
    const links = new Map([...document.querySelectorAll(".toc a")].map((link) => [link.hash.slice(1), link]));
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) mark(links, entry.target.id);
      }
    }, { rootMargin: "-8% 0px -85% 0px" });
    for (const id of links.keys()) observer.observe(document.getElementById(id));
  }

  function mark(links, id) {
    for (const [other, link] of links) {
      if (other === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const nav = document.querySelector(".toc");
    nav.scrollLeft = links.get(id).offsetLeft - nav.clientWidth / 3; // on a narrow screen the entries form one line
    const top = links.get(id).closest(".toc > ol > li");
    for (const item of document.querySelectorAll(".toc > ol > li")) item.classList.toggle("here", item === top);
  }

  // ---- on demand

  /** Build the tables of a part that was opened, unless they are there. */
  function buildTables(part) {
    for (const place of part.querySelectorAll(":scope > [data-table]")) {
      const [header, rows] = tables()[place.dataset.table];
      delete place.dataset.table;
      place.replaceChildren(table(header, rows));
    }
  }

  let held = null;
  const tables = () => (held ??= JSON.parse(document.getElementById("tables").textContent));

  function table(header, rows) {
    const whole = element("table", "plain");
    whole.createTHead().append(row(header, () => "col"));
    whole.createTBody().append(...rows.map((cells) => row(cells, (place) => (place === 0 ? "row" : null))));
    return whole;
  }

  /** A row of text; `scopeOf` says of which cells it is the heading of what. */
  function row(cells, scopeOf) {
    const whole = document.createElement("tr");
    cells.forEach((text, place) => {
      const scope = scopeOf(place);
      const cell = whole.appendChild(document.createElement(scope ? "th" : "td"));
      if (scope) cell.scope = scope;
      cell.textContent = text;
    });
    return whole;
  }

  function element(tag, name) {
    return Object.assign(document.createElement(tag), { className: name });
  }

  /** Open the part that the address names, so that a link to it shows something. */
  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const part = target?.closest("details");
    if (!part || part.open) return;
    part.open = true;
    target.scrollIntoView();
  }

  function startUnfolding() {
    const button = document.getElementById("unfold");
    const parts = [...document.querySelectorAll("details.part")];
    const areOpen = () => parts.every((part) => part.open);
    const label = () => (button.textContent = areOpen() ? "Close all" : "Open all");
    button.hidden = parts.length === 0;
    button.addEventListener("click", () => {
      const isOpen = !areOpen();
      for (const part of parts) part.open = isOpen;
      label();
    });
    document.addEventListener("toggle", (event) => {
      if (event.target.open) buildTables(event.target);
      label();
    }, true);
    for (const part of document.querySelectorAll("details[open]")) buildTables(part);
    addEventListener("hashchange", openTarget);
    openTarget();
    label();
  }

  document.documentElement.classList.add("js");
  show(remembered());
  document.addEventListener("DOMContentLoaded", () => {
    startThemeButton();
    startContents();
    startUnfolding();
  });
})();
