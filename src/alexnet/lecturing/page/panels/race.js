"use strict";
/* The race of the paper's figure 1, from this project's own runs: training error against epochs, ReLU and tanh. */
{
  const { make, svg, slider, choice, fixed, fill } = lecture.draw;

  /** [epochs, training error in %], read off docs/relu.png to half a point; the last of each are as docs/reference/results.md has them. */
  const RACES = {
    published: {
      rates: [0.003, 0.01], epochs: 40,
      relu: [[1, 60.5], [1.5, 48], [2, 41.5], [2.5, 38.5], [3, 36], [4, 31.5], [5, 28.5], [6, 27], [6.99, 25]],
      tanh: [[1, 64.5], [1.5, 57.5], [2, 54], [3, 50], [4, 46.5], [5, 45.5], [6, 43.5], [8, 41], [10, 39.5], [12, 37.5], [15, 36], [18, 34.5],
        [20, 34], [22, 33], [25, 31.5], [28, 30], [32, 29.5], [35, 28.5], [38, 28], [40, 26.8]],
    },
    he: {
      rates: [0.01, 0.03], epochs: 10,
      relu: [[1, 55.5], [1.5, 45.5], [2, 40.5], [2.5, 37], [3, 35.5], [4, 31.5], [5, 29.5], [6, 27.5], [7, 26], [7.35, 25]],
      tanh: [[1, 52.5], [1.5, 44.5], [2, 40.5], [2.5, 38], [3, 36.5], [4, 33.5], [5, 31.5], [6, 29.5], [7, 28.5], [8, 27], [9, 26], [9.95, 25]],
    },
  };

  /** The training error after some epochs, between the points on a straight line; null before the first. */
  function errorAt(points, epochs) {
    if (epochs < points[0][0]) return null;
    const next = points.findIndex(([at]) => at >= epochs);
    if (next < 1) return next ? points.at(-1)[1] : points[0][1];
    const [[a, low], [b, high]] = [points[next - 1], points[next]];
    return low + ((epochs - a) / (b - a)) * (high - low);
  }

  /** Elements of the race: its choice of first weights, the chart, and a slider that lets it run. */
  lecture.race = (words) => {
    let start = "published", epochs = 7;
    const holder = make("div"), read = make("p", { class: "read", role: "status" });
    const field = slider({ label: words.epochs, min: 0, max: 40, step: 0.25, value: epochs, show: (v) => fixed(v, 1), change: (v) => { epochs = v; draw(); } });

    function draw() {
      const race = RACES[start], x = (at) => 46 + (at / race.epochs) * 640, y = (error) => 240 - (error / 70) * 220;
      const chart = svg("svg", { class: "chart", viewBox: "0 0 760 280", role: "img", "aria-label": words.label });
      const text = (content, at, height, more = {}) => { const each = svg("text", { x: at, y: height, ...more }); each.textContent = content; chart.append(each); };
      for (const error of [0, 25, 50]) {
        chart.append(svg("line", { class: error === 25 ? "cursor" : "axis", x1: 46, x2: 686, y1: y(error), y2: y(error) }));
        text(`${error} %`, 40, y(error) + 4, { "text-anchor": "end" });
      }
      for (let at = 0; at <= race.epochs; at += race.epochs / 10) text(String(at), x(at), 258, { "text-anchor": "middle" });
      text(words.epochs, 686, 275, { "text-anchor": "end" });
      ["relu", "tanh"].forEach((name, i) => {
        const points = race[name].filter(([at]) => at <= epochs), now = errorAt(race[name], Math.min(epochs, race[name].at(-1)[0]));
        if (!points.length) return;
        if (epochs < race[name].at(-1)[0]) points.push([epochs, now]);
        chart.append(svg("path", { class: i ? "b" : "a", d: points.map(([at, error], j) => `${j ? "L" : "M"}${x(at)} ${y(error)}`).join("") }));
        text(`${words.names[name]}, ${fill(words.rate, { rate: race.rates[i] })}`, Math.min(x(points.at(-1)[0]) + 8, 600), y(points.at(-1)[1]) + (i ? -10 : 16), { class: "strong" });
      });
      holder.replaceChildren(chart);
      const say = (name) => { const error = errorAt(race[name], epochs); return error === null ? words.not_begun : `${fixed(error, 1)} %`; };
      read.textContent = fill(words.state, { epochs: fixed(epochs, 1), relu: say("relu"), tanh: say("tanh") });
    }
    const starts = choice(words.start, [["published", words.published], ["he", words.he]], start, (key) => {
      start = key;
      epochs = Math.min(epochs, RACES[key].epochs);
      field.field.max = RACES[key].epochs;
      field.set(epochs);
      draw();
    });
    draw();
    return [starts, field, make("div", { class: "scroll" }, holder), read];
  };
}
