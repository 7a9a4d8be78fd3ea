"use strict";
const parts = [...document.querySelectorAll("article")];
const scrub = document.getElementById("scrub");
if (scrub) {
  const told = document.querySelector(".scrub output");
  const show = () => {
    parts.forEach((part, at) => { part.hidden = at + 1 != scrub.value; });
    told.textContent = parts[scrub.value - 1].dataset.pages;
  };
  document.querySelector(".scrub").hidden = false;
  scrub.addEventListener("input", show);
  show();
  addEventListener("beforeprint", () => parts.forEach((part) => { part.hidden = false; }));
  addEventListener("afterprint", show);
}
addEventListener("beforeprint", () => {
  document.querySelectorAll("#summary ~ ol details").forEach((quote) => { quote.open = true; });
});
