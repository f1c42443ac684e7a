"use strict";
/* Three panels of history: the unit of 1943, ImageNet's numbers, and errors by year and depth. */
{
  const { make, svg, choice, slider, bars, whole, fill, guesses, best, shortName, percent } = lecture.draw;

  lecture.panel("history", (stage, words) => {
    const inputs = [1, 1, 0], weights = [1, 1, 1];
    let threshold = 2;
    const output = make("p", { class: "read", role: "status" });
    const table = make("table", { class: "plain" });
    function update() {
      const sum = inputs.reduce((total, input, i) => total + input * weights[i], 0);
      output.textContent = fill(sum >= threshold ? words.fires : words.silent, { sum, threshold });
      output.dataset.fires = String(sum >= threshold);
      table.replaceChildren(make("thead", {}, make("tr", {}, words.heads.map((head) => make("th", { class: "number" }, head)))),
        make("tbody", {}, Array.from({ length: 8 }, (_, i) => {
          const bits = [i >> 2, (i >> 1) & 1, i & 1], total = bits.reduce((sum, bit, j) => sum + bit * weights[j], 0);
          return make("tr", { class: bits.join() === inputs.join() ? "chosen" : "" },
            [...bits, total >= threshold ? 1 : 0].map((cell) => make("td", { class: "number" }, String(cell))));
        })));
    }
    const toggles = inputs.map((input, i) => choice(fill(words.input, { i: i + 1 }), [[0, "0"], [1, "1"]], input, (value) => { inputs[i] = Number(value); update(); }));
    stage.append(
      make("ol", { class: "timeline" }, words.events.map(([year, text]) => make("li", {}, make("b", {}, year), make("span", {}, text)))),
      make("h3", {}, words.unit),
      make("div", { class: "split" },
        make("div", { class: "sliders" },
          toggles.map((toggle, i) => make("div", { class: "controls" }, make("span", {}, fill(words.input, { i: i + 1 })), toggle)),
          weights.map((weight, i) => slider({ label: fill(words.weight, { i: i + 1 }), min: -2, max: 2, step: 1, value: weight, change: (value) => { weights[i] = value; update(); } })),
          slider({ label: words.threshold, min: -2, max: 4, step: 1, value: threshold, change: (value) => { threshold = value; update(); } }), output),
        table));
    update();
  });

  lecture.panel("imagenet", (stage, words) => {
    const counts = words.counts.map(([name, count]) => ({ name, count })), most = counts[0].count;
    const answers = make("div"), verdict = make("p", { class: "read", role: "status" });
    const names = lecture.site.classes.map((_, i) => i).sort((a, b) => shortName(a).localeCompare(shortName(b)));
    const select = make("select", { "aria-label": words.truth, onchange: () => judge() }, make("option", { value: "" }, words.choose), names.map((i) => make("option", { value: i }, shortName(i))));
    let probabilities = null;
    function judge() {
      if (!probabilities || !select.value) return;
      const five = best(probabilities, 5), truth = Number(select.value), place = five.indexOf(truth);
      verdict.textContent = fill(place === 0 ? words.both : place > 0 ? words.only_five : words.none, { truth: shortName(truth) });
    }
    stage.append(
      bars(counts.map(({ name, count }) => ({ name, share: count / most, text: whole(count) })), words.sizes, "wordy"),
      make("h3", {}, words.judge), make("div", { class: "split" }, answers,
        make("div", {}, make("label", {}, `${words.truth} `, select), verdict, make("p", { class: "hint" }, words.hint))));
    return async ({ rgb }) => {
      ({ probabilities } = await lecture.run(lecture.pixels.input(rgb)));
      answers.replaceChildren(guesses(probabilities, words.five));
      judge();
    };
  });

  lecture.panel("depth", (stage, words) => {
    let what = "error";
    const holder = make("div", { class: "scroll" }), read = make("p", { class: "read", role: "status" }, words.hint);
    const draw = () => {
      const width = 760, height = 300, base = 250, wide = width / words.entries.length;
      const most = what === "error" ? 30 : 160;
      const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words[what] });
      words.entries.forEach(([year, name, error, layers, note], i) => {
        const value = what === "error" ? error : layers, tall = (value / most) * 220;
        const kind = name === "AlexNet" ? "us" : layers ? "bar" : "hand";
        const bar = svg("rect", { class: kind, x: i * wide + 10, width: wide - 20, y: base - tall, height: Math.max(1, tall), rx: 4, tabindex: 0, role: "button", "aria-label": `${name} ${year}: ${error} %, ${layers}` });
        const tell = () => { read.textContent = `${name}, ${year}: ${note}`; };
        bar.addEventListener("pointerenter", tell);
        bar.addEventListener("focus", tell);
        bar.addEventListener("click", tell);
        const label = (text, y, more = "") => { const each = svg("text", { x: i * wide + wide / 2, y, "text-anchor": "middle", class: more }); each.textContent = text; return each; };
        chart.append(bar, label(what === "error" ? `${error} %` : layers ? `${layers}` : words.hand, base - tall - 8, "strong"), label(name, base + 20), label(year, base + 38));
      });
      holder.replaceChildren(chart);
    };
    stage.append(choice(words.what, [["error", words.error], ["layers", words.layers]], what, (key) => { what = key; draw(); }), holder, read);
    draw();
  });
}
