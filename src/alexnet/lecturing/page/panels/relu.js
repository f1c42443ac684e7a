"use strict";
/* ReLU against tanh: the curves with their slopes, the real activations of the network, and the race of figure 1. */
{
  const { make, svg, slider, choice, bars, percent, fixed, fill } = lecture.draw;
  const SILENT = 0.01; // slopes below let next to no error through
  const functions = { relu: (x) => Math.max(0, x), tanh: Math.tanh };
  const slopes = { relu: (x) => (x > 0 ? 1 : 0), tanh: (x) => 1 - Math.tanh(x) ** 2 };

  /** Share of sums whose slope is below `SILENT`, and the mean slope, for either function. */
  lecture.slopes = (sums, scale) => Object.fromEntries(Object.entries(slopes).map(([name, slope]) => {
    let silent = 0, total = 0;
    for (const sum of sums) {
      const s = slope(sum * scale);
      total += s;
      if (s < SILENT) silent++;
    }
    return [name, { silent: silent / sums.length, mean: total / sums.length }];
  }));

  lecture.panel("relu", (stage, words) => {
    const sum = lecture.site.layers.filter((layer) => layer.parameters).map((layer) => layer.name).slice(0, -1);
    let x = 2, layer = sum[0], scale = 1, sums = null;
    const curves = make("div"), read = make("p", { class: "read", role: "status" }), shares = make("div"), note = make("p", { class: "hint" }, words.note);
    const place = (v) => 200 + v * 38;

    function drawCurves() {
      const chart = svg("svg", { class: "chart", viewBox: "0 0 400 260", role: "img", "aria-label": words.curves });
      const line = (f, kind) => svg("path", { class: kind, d: Array.from({ length: 101 }, (_, i) => { const v = -5 + i / 10; return `${i ? "L" : "M"}${place(v)} ${200 - 38 * Math.min(5, f(v))}`; }).join("") });
      chart.append(svg("line", { class: "axis", x1: 0, x2: 400, y1: 200, y2: 200 }), svg("line", { class: "axis", x1: 200, x2: 200, y1: 5, y2: 255 }),
        line(functions.relu, "a"), line(functions.tanh, "b"), svg("line", { class: "cursor", x1: place(x), x2: place(x), y1: 5, y2: 255 }));
      const text = (label, at, y) => { const each = svg("text", { x: at, y, class: "strong" }); each.textContent = label; chart.append(each); };
      text("ReLU", 320, 60);
      text("tanh", 350, 155);
      curves.replaceChildren(chart);
      read.textContent = fill(words.at, { x: fixed(x, 1), relu: fixed(functions.relu(x)), relu_slope: slopes.relu(x), tanh: fixed(functions.tanh(x)), tanh_slope: fixed(slopes.tanh(x), 4) });
    }

    function drawShares() {
      if (!sums) return;
      const result = lecture.slopes(sums[layer].data, scale);
      shares.replaceChildren(bars(["relu", "tanh"].flatMap((name, i) => [
        { name: words[`${name}_silent`], share: result[name].silent, tone: i ? "warm" : "" },
        { name: words[`${name}_mean`], share: result[name].mean, text: fixed(result[name].mean), tone: i ? "warm" : "" },
      ]), words.saturation));
    }

    stage.append(make("div", { class: "split wide" },
      make("div", {}, make("h3", {}, words.curves), curves, slider({ label: words.sum, min: -5, max: 5, step: 0.1, value: x, show: (v) => fixed(v, 1), change: (v) => { x = v; drawCurves(); } }), read),
      make("div", {}, make("h3", {}, words.saturation), choice(words.layer, sum.map((name) => [name, name]), layer, (key) => { layer = key; drawShares(); }),
        slider({ label: words.scale, min: -2, max: 1, step: 0.1, value: 0, show: (v) => `× ${(10 ** v).toPrecision(2)}`, change: (v) => { scale = 10 ** v; drawShares(); } }), shares, note)),
    make("h3", {}, words.race), ...lecture.race(words.race_words), make("details", { class: "plain-details" }, make("summary", {}, words.race_all), make("div", { class: "scroll" }, make("table", { class: "plain" },
      make("thead", {}, make("tr", {}, words.race_heads.map((head) => make("th", {}, head)))),
      make("tbody", {}, words.race_rows.map((row) => make("tr", {}, row.map((cell, i) => make(i ? "td" : "th", {}, cell)))))))));
    drawCurves();
    return async ({ rgb }) => {
      ({ outputs: sums } = await lecture.run(lecture.pixels.input(rgb), {}, sum));
      drawShares();
    };
  });
}
