"use strict";
/* The paper's tables, what averaging several networks gives, and what came after. */
{
  const { make, choice, bars, fill, slider, percent } = lecture.draw;

  /** The chance that most of `count` independent networks are right, each with probability `right`; ties by a coin. */
  lecture.majority = (count, right) => {
    let chance = 0;
    for (let k = 0, ways = 1; k <= count; ways = (ways * (count - k)) / ++k) {
      const exactly = ways * right ** k * (1 - right) ** (count - k);
      chance += 2 * k > count ? exactly : 2 * k === count ? exactly / 2 : 0;
    }
    return chance;
  };

  lecture.panel("results", (stage, words) => {
    let year = "2012", count = 5, right = 0.6;
    const table = make("div"), vote = make("p", { class: "read", role: "status" });
    function draw() {
      table.replaceChildren(make("div", { class: "split wide" }, [1, 2].map((column) => make("div", {}, make("h3", {}, words.kinds[column - 1]),
        bars(words.tables[year].filter((row) => row[column] !== null).map((row) => ({ name: row[0], share: row[column] / 60, text: `${row[column].toFixed(1)} %`, tone: row[3] ? "warm" : "gray" })), words.kinds[column - 1])))),
      make("p", { class: "hint" }, words.notes[year]));
    }
    function drawVote() {
      vote.textContent = fill(words.vote, { count, alone: percent(1 - right), together: percent(1 - lecture.majority(count, right)) });
    }
    stage.append(choice(words.year, Object.keys(words.tables).map((key) => [key, words.years[key]]), year, (key) => { year = key; draw(); }), table,
      make("h3", {}, words.majority), make("div", { class: "sliders" },
        slider({ label: words.networks, min: 1, max: 15, step: 2, value: count, change: (v) => { count = v; drawVote(); } }),
        slider({ label: words.each, min: 0, max: 1, step: 0.05, value: 1 - right, show: (v) => percent(v, 0), change: (v) => { right = 1 - v; drawVote(); } })), vote, make("p", { class: "hint" }, words.caution));
    draw();
    drawVote();
  });

  lecture.panel("after", (stage, words) => {
    stage.append(make("p", {}, words.guess), make("div", { class: "cards" }, words.parts.map(([part, fate, text]) => {
      const card = make("button", { type: "button", "aria-expanded": "false" }, make("b", {}, part), make("span", { class: "soft" }, words.closed));
      card.addEventListener("click", () => {
        const isOpen = card.getAttribute("aria-expanded") === "true";
        card.setAttribute("aria-expanded", String(!isOpen));
        card.lastChild.textContent = isOpen ? words.closed : `${words.fates[fate]} ${text}`;
      });
      return card;
    })), make("ol", { class: "timeline" }, words.events.map(([when, text]) => make("li", {}, make("b", {}, when), make("span", {}, text)))));
  });
}
