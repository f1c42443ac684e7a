"use strict";

// Light and dark: the system decides until the button is pressed.
const button = document.getElementById("theme");
button.hidden = false;
button.addEventListener("click", () => {
  const root = document.documentElement;
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});

// Hover values of the line charts: the nearest point of every line, under one vertical cursor.
const tip = document.getElementById("tip");
const shape = (kind, parent, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
};
const row = (text, kind) => {
  const element = tip.appendChild(document.createElement("div"));
  element.className = kind;
  element.textContent = text;
};
const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));

for (const svg of document.querySelectorAll("svg[data-lines]")) {
  const lines = JSON.parse(svg.dataset.lines);
  const { width, height } = svg.viewBox.baseVal;
  const cursor = shape("g", svg, { class: "cursor" });
  const clear = () => { cursor.replaceChildren(); tip.hidden = true; };

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const hits = lines.map((line) => ({ line, at: nearest(line.points, x) }));
    const focus = nearest(hits.map((hit) => hit.at), x);
    clear();
    shape("line", cursor, { x1: focus[0], x2: focus[0], y1: 10, y2: height - 42, class: "hair" });
    tip.replaceChildren();
    row(`${svg.dataset.x} ${focus[2]}`, "head");
    for (const { line, at } of hits) {
      if (Math.abs(at[0] - focus[0]) > 12) continue;
      shape("circle", cursor, { cx: at[0], cy: at[1], r: 4, class: `dot ${line.hue}` });
      row(line.label ? `${line.label}  ${at[3]}` : at[3], `key ${line.hue}`);
    }
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${event.clientY + 16}px`;
  });
  svg.addEventListener("pointerleave", clear);
}
