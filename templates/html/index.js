"use strict";
const body = document.querySelector("tbody");
const rows = [...body.rows];
const heads = [...document.querySelectorAll("th")];
const told = document.querySelector("[role=status]");
heads.forEach((head, column) => head.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") != "ascending";
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const of = (row) => row.cells[column].firstChild?.textContent ?? "";
  const order = (a, b) => of(a).localeCompare(of(b), undefined, { numeric: true });
  body.append(...rows.sort((a, b) => (up ? order(a, b) : order(b, a))));
}));
document.getElementById("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  let n = 0;
  rows.forEach((row) => {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    n += !row.hidden;
  });
  told.textContent = `${n} of ${rows.length}`;
});
