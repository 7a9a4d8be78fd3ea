"use strict";
const parts = [...document.querySelectorAll("article")];
const scrub = document.getElementById("scrub");
if (scrub) {
  const told = document.querySelector(".scrub output");
  const show = () => {
    parts.forEach((part, at) => { part.hidden = at + 1 != scrub.value; });
    told.textContent = parts[scrub.value - 1].dataset.end;
    scrub.setAttribute("aria-valuetext", told.textContent);
  };
  document.querySelector(".scrub").hidden = false;
  scrub.addEventListener("input", show);
  show();
  addEventListener("beforeprint", () => parts.forEach((part) => { part.hidden = false; }));
  addEventListener("afterprint", show);
}
// A page of the map leads to the first statement that rests on it; all of them are marked, with their quotes open.
document.querySelector(".map").addEventListener("click", (event) => {
  const cell = event.target.closest("a");
  if (!cell) return;
  document.querySelectorAll(".drawn").forEach((statement) => statement.classList.remove("drawn"));
  cell.dataset.quotes.split(" ").forEach((id) => {
    const quote = document.getElementById(id);
    quote.open = true;
    quote.closest("li").classList.add("drawn");
  });
});
