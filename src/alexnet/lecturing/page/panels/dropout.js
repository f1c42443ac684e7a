"use strict";
/* Dropout: a coin for every unit of fc6 and fc7, the half strength at test time, and what many tosses agree on. */
{
  const { make, button, slider, canvas, guesses, best, bars, fill, percent, shortName, whole, shade } = lecture.draw;

  lecture.panel("dropout", (stage, words) => {
    const { site } = lecture, drops = site.layers.filter((layer) => layer.kind === "drop");
    if (!drops.length) { stage.append(make("p", { class: "off" }, words.absent)); return null; }
    const sources = drops.map((drop) => site.layers.slice(0, site.layers.indexOf(drop)).findLast((layer) => layer.kind === "relu" || layer.kind === "fc"));
    let rate = 0.5, input = null, units = null, usual = null;
    const grid = canvas(64, 64, words.grid, { class: "map" }), count = make("p", { class: "read", role: "status" });
    const tossed = make("div"), half = make("div"), many = make("div");
    const toss = () => Object.fromEntries(drops.map((drop) => [drop.name, Uint8Array.from({ length: lecture.engine.size(drop.shape) }, () => (Math.random() < rate ? 0 : 1))]));
    const full = (number) => Object.fromEntries(drops.map((drop) => [drop.name, new Float32Array(lecture.engine.size(drop.shape)).fill(number)]));

    function drawGrid(mask) {
      const side = Math.ceil(Math.sqrt(units.length)), most = units.reduce((a, b) => Math.max(a, b), 1e-9);
      grid.width = grid.height = side;
      const context = grid.getContext("2d"), image = context.createImageData(side, side);
      units.forEach((unit, i) => image.data.set(mask[i] ? [...shade(unit / most), 255] : [189, 74, 22, unit > 0 ? 255 : 70], 4 * i));
      context.putImageData(image, 0, 0);
      const silent = mask.reduce((sum, bit) => sum + (bit ? 0 : 1), 0), active = units.reduce((sum, unit) => sum + (unit > 0 ? 1 : 0), 0);
      count.textContent = fill(words.silenced, { silent: whole(silent), all: whole(mask.length), active: whole(active) });
    }

    async function once() {
      const masks = toss();
      drawGrid(masks[drops[0].name]);
      const { probabilities } = await lecture.run(input, { masks });
      tossed.replaceChildren(guesses(probabilities, words.tossed, best(usual, 5), usual));
    }
    async function atTest() {
      const { probabilities } = await lecture.run(input, { masks: full(1 - rate) });
      half.replaceChildren(guesses(probabilities, words.half, best(usual, 5), usual));
    }
    async function twenty() {
      const votes = new Map(), sum = new Float64Array(usual.length), tosses = 20;
      for (let i = 0; i < tosses; i++) {
        const { probabilities } = await lecture.run(input, { masks: toss() });
        const [first] = best(probabilities, 1);
        votes.set(first, (votes.get(first) ?? 0) + 1);
        probabilities.forEach((p, j) => { sum[j] += p / tosses; });
      }
      const ranked = [...votes].sort((a, b) => b[1] - a[1]).slice(0, 5);
      many.replaceChildren(make("div", { class: "split" },
        make("div", {}, make("h3", {}, words.votes), bars(ranked.map(([i, n]) => ({ name: shortName(i), share: n / tosses, text: fill(words.of, { n, all: tosses }) })), words.votes)),
        make("div", {}, make("h3", {}, words.mean), guesses(sum, words.mean))));
    }

    stage.append(...[make("div", { class: "sliders" }, slider({ label: words.rate, min: 0, max: 0.9, step: 0.05, value: rate, show: (v) => percent(v, 0), change: (v) => { rate = v; if (input) { once(); atTest(); } } })),
      make("div", { class: "controls" }, button(words.toss, once, { id: "toss" }), button(words.twenty, twenty)),
      make("div", { class: "split" }, make("figure", {}, make("div", { class: "shown" }, grid), make("figcaption", {}, fill(words.grid_hint, { layer: sources[0].name }))),
        make("div", {}, count, make("h3", {}, words.tossed), tossed, make("h3", {}, words.half), half, make("p", { class: "hint" }, words.mark))),
      drops[0].scale < 1 ? make("p", { class: "hint" }, fill(words.own, { share: percent(1 - drops[0].scale, 0) })) : null, many].filter(Boolean));
    return async ({ rgb }) => {
      input = lecture.pixels.input(rgb);
      many.replaceChildren();
      const { probabilities, outputs } = await lecture.run(input, {}, [sources[0].name]);
      [usual, units] = [probabilities, outputs[sources[0].name].data];
      await once();
      await atTest();
    };
  });
}
