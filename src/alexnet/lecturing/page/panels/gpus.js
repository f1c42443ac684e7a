"use strict";
/* Two towers: what crosses the wire, and what is left of an answer when one tower is switched off. */
{
  const { make, choice, guesses, best, bars, fill, whole, percent } = lecture.draw;
  const PARTS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"];

  /** For each layer that reads the other tower: the layer it reads, and how many numbers come over the wire. */
  lecture.wires = (layers) => {
    const weighty = layers.filter((layer) => layer.parameters), rows = [];
    weighty.forEach((layer, i) => {
      if (!i || (layer.groups ?? 1) > 1) return;
      const source = layers[layers.indexOf(layer) - 1];
      rows.push({ layer: layer.name, source: source.name, numbers: source.shape.reduce((a, b) => a * b, 1) / 2 });
    });
    return rows;
  };

  /** What `forward` takes to switch tower "1" or "2" off. */
  lecture.silentTower = (tower) => Object.fromEntries(PARTS.filter((name) => lecture.layer(name)).map((name) => [name, tower === "1" ? [0, 0.5] : [0.5, 1]]));

  lecture.panel("gpus", (stage, words) => {
    const { site } = lecture, isTwo = site.layers.some((layer) => (layer.groups ?? 1) === 2);
    if (!isTwo) { stage.append(make("p", { class: "off" }, fill(words.absent, { variant: site.variant }))); return null; }
    let off = "none", input = null, whole_ = null;
    const answers = make("div"), read = make("p", { class: "read", role: "status" });
    const rows = lecture.wires(site.layers), total = rows.reduce((sum, row) => sum + row.numbers, 0);
    const flow = lecture.flow({ words: words.flow, numbers: Object.fromEntries(rows.map((row) => [row.layer, whole(row.numbers)])) });
    const update = lecture.draw.latest(async () => {
      const result = await lecture.run(input, off === "none" ? {} : { silent: lecture.silentTower(off) }, flow.keep), { probabilities } = result;
      flow.draw(result, lecture.pixels.seen(lecture.picture.rgb));
      answers.replaceChildren(guesses(probabilities, words.answers, best(whole_, 5), whole_));
      const [first] = best(probabilities, 1);
      read.textContent = fill(off === "none" ? words.both : words.off, { tower: off, guess: lecture.draw.shortName(first), share: percent(probabilities[first]) });
    });
    stage.append(choice(words.towers, [["none", words.all], ["1", words.first], ["2", words.second]], off, (key) => { off = key; update(); }),
      make("figure", {}, make("div", { class: "scroll" }, flow.element), make("figcaption", {}, words.flow_hint)),
      make("div", { class: "split wide" }, make("div", {}, answers, read, make("p", { class: "hint" }, words.mark)),
        make("div", {}, make("h3", {}, words.wire), make("div", { class: "scroll" }, make("table", { class: "plain" },
          make("thead", {}, make("tr", {}, words.heads.map((head, i) => make("th", { class: i > 1 ? "number" : "" }, head)))),
          make("tbody", {}, rows.map((row) => make("tr", {}, make("th", {}, row.layer), make("td", {}, row.source), make("td", { class: "number" }, whole(row.numbers))))),
          make("tfoot", {}, make("tr", {}, make("th", {}, words.total), make("td"), make("td", { class: "number", "data-wire": total }, make("b", {}, whole(total))))))),
        make("p", { class: "hint" }, fill(words.kilobytes, { kb: Math.round((4 * total) / 1000) })))));
    return async ({ rgb }) => {
      input = lecture.pixels.input(rgb);
      ({ probabilities: whole_ } = await lecture.run(input));
      update();
    };
  });
}
