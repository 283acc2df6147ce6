// Show what a link leads to in its place. Without this script it is a page of its own.
"use strict";

(() => {
  for (const link of document.querySelectorAll("a[data-insert]")) {
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      link.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(link.href);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const part = page.querySelector("[data-part]");
        if (!answer.ok || !part) throw new Error(answer.status);
        const heading = document.createElement("h3");
        heading.textContent = link.textContent;
        heading.tabIndex = -1;
        link.replaceWith(heading, document.importNode(part, true));
        heading.focus();
      } catch {
        location.assign(link.href);
      }
    });
  }
})();
