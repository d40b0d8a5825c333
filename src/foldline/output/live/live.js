// Puts the parts of the page that the server sends in the place of older ones. It asks nothing else of anybody.
"use strict";

const events = new EventSource("events");
events.onopen = () => document.body.classList.remove("lost");
events.onerror = () => document.body.classList.add("lost");
events.onmessage = (event) => {
  for (const [place, inside] of Object.entries(JSON.parse(event.data))) show(place, inside);
};

function show(place, inside) {
  if (place === "title") {
    document.title = inside;
    return;
  }
  const part = document.querySelector(place);
  const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  part.innerHTML = inside; // made by core/pages, which escapes what comes from configs and data
  part.querySelectorAll(".scroll").forEach((each, number) => {
    each.scrollLeft = scrolled[number] ?? 0;
  });
}
