// Theme and table of contents. Runs before the body is parsed, so that the page never flashes in the wrong theme.
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

  document.documentElement.classList.add("js");
  show(remembered());
  document.addEventListener("DOMContentLoaded", () => {
    startThemeButton();
    startContents();
  });
})();
