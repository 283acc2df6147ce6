// Sort the table by its heads and filter its rows. Without this script it is a plain table.
"use strict";

(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    keys: [...row.cells].map((cell) =>
      "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent.trim(),
    ),
  }));
  const names = new Intl.Collator();

  // Empty cells come last in both directions.
  const compare = (one, other, down) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    const order = typeof one === "number" ? one - other : names.compare(one, other);
    return down ? -order : order;
  };

  const sort = (head, at) => {
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = head.ariaSort === first ? second : first;
    for (const one of heads) one.ariaSort = one === head ? order : "none";
    rows.sort((one, other) => compare(one.keys[at], other.keys[at], order === "descending"));
    body.append(...rows.map(({ row }) => row));
  };

  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head, at));
    head.replaceChildren(button);
    head.ariaSort = "none";
  });
  const liked = heads.findIndex((head) => head.textContent === "likes");
  if (liked >= 0) heads[liked].ariaSort = "descending";

  const field = document.getElementById("filter");
  const shown = document.getElementById("shown");
  field.closest("[hidden]").hidden = false;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) count += 1;
    }
    const all = rows.length.toLocaleString("en");
    shown.textContent = words.length ? `${count.toLocaleString("en")} of ${all} rows` : "";
  });
})();
