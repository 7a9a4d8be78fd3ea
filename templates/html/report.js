"use strict";
const parts = [...document.querySelectorAll("article")];
const scrub = document.getElementById("scrub");
if (scrub) {
  const told = document.querySelector(".scrub output");
  const show = () => {
    document.querySelector(".now")?.classList.remove("now");
    const part = parts[scrub.value - 1];
    part.classList.add("now");
    told.textContent = part.dataset.end;
    scrub.setAttribute("aria-valuetext", part.dataset.end);
  };
  scrub.addEventListener("input", show);
  show();
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
