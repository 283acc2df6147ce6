// The page works without this script. It completes conditions, and folds on a small screen what is long.
"use strict";

(() => {
  const box = document.getElementById("q");
  const MOST = 12;

  // Facets stand above the rows on a small screen: folded, the rows are seen first.
  if (matchMedia("(max-width: 56rem)").matches) {
    for (const facets of document.querySelectorAll("details.facets")) facets.open = false;
  }
  if (!box) return;

  const list = document.createElement("ul");
  list.className = "offers";
  list.id = "q-offers";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  box.after(list);
  const status = document.createElement("span");
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  list.after(status);
  for (const [name, value] of [
    ["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"],
  ]) box.setAttribute(name, value);

  let fields = null; // asked for once
  let offers = [];
  let chosen = -1;
  let asked = 0; // the number of the last question: answers to earlier ones come too late

  const ask = async (address) => {
    const answer = await fetch(address);
    return answer.ok ? answer.json() : [];
  };

  const begins = (text, start) => text.toLowerCase().startsWith(start.toLowerCase());

  // What is being typed before the caret: the value of a field, or the name of one.
  const typed = () => {
    const before = box.value.slice(0, box.selectionStart);
    const value = before.match(/([A-Za-z_]\w*)(:|\s*=\s*')('?)([^,:']*)$/);
    if (value && !(value[2] === ":" && !value[3] && /\s/.test(value[4]))) {
      return { field: value[1], begin: value[4], quoted: value[2] !== ":" || value[3] === "'" };
    }
    const name = before.match(/(?:^|[\s(,])([A-Za-z_][\w.]*)$/);
    return name ? { begin: name[1] } : null;
  };

  const namesFor = async (begin) => {
    fields ??= ask("/api/v1/fields");
    const known = await fields;
    const found = known.flatMap((one) => [one.name, ...(one.short_names ?? [])].map((name) => ({
      text: name,
      meaning: name === one.name ? one.meaning : `short for ${one.name}`,
    })));
    return found.filter((one) => begins(one.text, begin) && one.text !== begin);
  };

  const valuesFor = async ({ field, begin, quoted }) => {
    const found = await ask(`/api/v1/values?${new URLSearchParams({ field, begin })}`);
    return found.filter((text) => text !== begin).map((text) => ({
      text: quoted ? text.replaceAll("'", "''") + "'" : /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`,
      shown: text,
      meaning: "",
    }));
  };

  const close = () => {
    offers = [];
    chosen = -1;
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  const mark = (number) => {
    chosen = number;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === number)));
    if (number < 0) return box.removeAttribute("aria-activedescendant");
    box.setAttribute("aria-activedescendant", list.children[number].id);
    list.children[number].scrollIntoView({ block: "nearest" });
  };

  const take = (number) => {
    const place = typed();
    const at = box.selectionStart;
    if (!place) return close();
    const start = at - place.begin.length;
    box.setRangeText(offers[number].text, start, at, "end");
    close();
    box.focus();
  };

  const offer = async () => {
    const number = ++asked;
    const place = typed();
    if (!place) return close();
    const found = await (place.field ? valuesFor(place) : namesFor(place.begin)).catch(() => []);
    if (number !== asked) return;
    offers = found.slice(0, MOST);
    list.replaceChildren(...offers.map((one, at) => {
      const item = document.createElement("li");
      item.id = `q-offer-${at}`;
      item.setAttribute("role", "option");
      for (const [kind, text] of [["name", one.shown ?? one.text], ["meaning", one.meaning]]) {
        const part = document.createElement("span");
        part.className = kind;
        part.textContent = text;
        item.append(part);
      }
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(at);
      });
      return item;
    }));
    if (!offers.length) return close();
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    status.textContent = `${offers.length} completions`;
    mark(-1);
  };

  box.addEventListener("input", offer);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const count = offers.length + 1; // one of them is the text itself
      mark(((chosen + 1 + step + count) % count) - 1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      event.preventDefault();
      take(chosen);
    }
  });
})();
