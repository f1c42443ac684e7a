// The page: takes pictures, has them named one after the other, and shows a card for each.

import { Card, percent } from "./card.js";

const byId = (id) => document.getElementById(id);
const say = (text) => { byId("status").textContent = text; };
const TOGETHER = 2; // pictures that are asked for at a time
const MOST = 100; // pictures that are taken at once

/** Asks the person for the service's token; whoever asks meanwhile shares the answer. */
function door(isWrong) {
  const box = byId("door");
  if (isWrong) byId("door-why").textContent = "The service does not take that token. Try another one.";
  if (!box.open) box.showModal();
  return new Promise((enter) => box.addEventListener("close", () => {
    enter(byId("token").value);
  }, { once: true }));
}

const { Engine } = await import(`./${document.documentElement.dataset.engine}.js`);
const engine = new Engine({
  door,
  tell: say,
  progress(part) {
    byId("progress").hidden = part === 1;
    byId("progress").value = part;
  },
});
const queue = [];
let running = 0, models = [], model = null;

function accuracy({ error }) {
  if (!error) return "How often it is wrong was not measured.";
  const pictures = error.pictures.toLocaleString("en");
  return `Of ${pictures} pictures of the split ${error.split}, its first guess was wrong for ${percent(error.top1)} `
    + `(95 % interval ${percent(error.low)} to ${percent(error.high)}).`;
}

function choose(chosen) {
  model = chosen;
  const offers = engine.offers(model);
  byId("network").textContent = `${model.name} · ${model.variant} · ${model.classes.length.toLocaleString("en")} classes`;
  byId("accuracy").textContent = accuracy(model);
  byId("ten").hidden = !offers.views.includes(10);
  byId("classes").replaceChildren(...model.classes.map((label) => new Option(label, label)));
}

const options = () => ({ views: byId("views").checked && !byId("ten").hidden ? 10 : 1 });

function ask(card) {
  queue.push(card);
  work();
}

async function work() {
  while (running < TOGETHER && queue.length && model) {
    const card = queue.shift();
    running += 1;
    say(queue.length ? `Looking; ${queue.length} more to come …` : "Looking …");
    card.name(engine, model, options()).then(say).finally(() => {
      running -= 1;
      work();
    });
  }
}

function take(files) {
  const pictures = [...files].slice(0, MOST);
  if (!pictures.length) return;
  const cards = pictures.map((file) => new Card(file));
  byId("answers").prepend(...cards.map((card) => card.element));
  cards.forEach(ask);
  if (files.length > MOST) say(`The first ${MOST} of ${files.length} pictures are named; give the others afterwards.`);
}

function again() {
  for (const element of byId("answers").children) if (element.card.isPicture) ask(element.card);
}

for (const input of document.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // the same file may be given again
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (!event.dataTransfer.files.length) say("That was no file. Save the picture first, then drop it here.");
  take(event.dataTransfer.files);
});
byId("ask").addEventListener("submit", (event) => event.preventDefault());
byId("views").addEventListener("change", again);
byId("model").addEventListener("change", (event) => {
  choose(models[event.target.selectedIndex]);
  again();
});

byId("place").textContent = engine.place;
try {
  models = await engine.models();
  byId("model").replaceChildren(...models.map(({ name }) => new Option(name)));
  byId("which").hidden = models.length === 1;
  choose(models[0]);
  say("Ready.");
  work();
  const given = await engine.given?.();
  if (given) take([given]);
} catch (error) {
  say(error.message);
  byId("status").classList.add("trouble");
}
