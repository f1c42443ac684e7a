"use strict";
/* The network as the paper's figure 2 has it, with a picture flowing through: towers, maps, and the wires between them. */
{
  const { svg, canvas, paint, tiles, best, shortName, percent, fill } = lecture.draw;
  const WIDE = 1000, MIDDLE = 165, APART = 74, INPUT = 84;

  /** The layers with weights: the activation that each shows, its towers, and whether a tower of it reads the other. */
  lecture.stages = (layers) => {
    const weighty = layers.filter((layer) => layer.parameters);
    const isTwo = layers.some((layer) => layer.groups === 2);
    return weighty.map((layer, i) => {
      const until = i + 1 < weighty.length ? layers.indexOf(weighty[i + 1]) : layers.length;
      const following = layers.slice(layers.indexOf(layer), until);
      const shown = following.find((each) => each.kind === "relu" || each.kind === "tanh") ?? layer;
      const isLast = i === weighty.length - 1;
      return {
        name: layer.name, shown: shown.name, shape: layer.shape, isLast,
        towers: isTwo && !isLast ? 2 : 1, crosses: isTwo && i > 0 && (layer.groups ?? 1) === 1,
      };
    });
  };

  /** The address of a small picture: the strongest channel of a tower's maps, or its units as a strip. */
  function thumbnail(map, tower, towers) {
    const target = canvas(1, 1, ""), count = map.shape[0] / towers, first = tower * count;
    if (map.shape.length === 1) {
      const units = { data: map.data.subarray(first, first + count), shape: [1, Math.floor(count / 32) || 1, Math.min(32, count)] };
      tiles(target, units, { columns: 1 });
    } else {
      const places = map.shape[1] * map.shape[2];
      const total = (c) => map.data.subarray(c * places, (c + 1) * places).reduce((sum, x) => sum + x, 0);
      const strongest = Array.from({ length: count }, (_, i) => first + i).reduce((a, b) => (total(b) > total(a) ? b : a));
      tiles(target, map, { first: strongest, count: 1, columns: 1 });
    }
    return target.toDataURL();
  }

  /** A drawing of the network. `pick` is called with a touched stage; `numbers` are shown where towers read each other. */
  lecture.flow = ({ words, pick = null, numbers = {} }) => {
    const stages = lecture.stages(lecture.site.layers), gap = (WIDE - 150 - INPUT) / stages.length;
    const isTwo = stages.some((stage) => stage.towers === 2);
    const element = svg("svg", { class: "flow", viewBox: `0 0 ${WIDE} 330`, role: pick ? "group" : "img", "aria-label": words.label });
    const heights = (tower, towers) => (towers === 1 ? MIDDLE : MIDDLE + (tower ? APART : -APART));
    const sides = (stage) => (stage.shape.length === 1 ? { wide: 20, tall: 84 } : { wide: 34 + 1.6 * Math.min(30, stage.shape[1]), tall: 34 + 1.6 * Math.min(30, stage.shape[1]) });
    const centre = (i) => INPUT + 40 + gap * (i + 0.45);
    const text = (content, x, y, more = {}) => { const each = svg("text", { x, y, "text-anchor": "middle", ...more }); each.textContent = content; return each; };
    const image = (href, x, y, width, height, i) => svg("image", { href, x, y, width, height, preserveAspectRatio: "none", style: `animation-delay:${i * 90}ms` });

    function wires(i) {
      const stage = stages[i], before = stages[i - 1], to = centre(i) - sides(stage).wide / 2 - 3;
      const from = i ? centre(i - 1) + sides(before).wide / 2 + 7 : INPUT + 8;
      const lines = [];
      for (let target = 0; target < stage.towers; target++)
        for (let source = 0; source < (before?.towers ?? 1); source++) {
          const isAcross = stage.crosses && source !== target;
          if (stage.towers === 2 && before?.towers === 2 && source !== target && !isAcross) continue;
          lines.push(svg("line", { class: isAcross ? "wire across" : "wire", x1: from, x2: to, y1: heights(source, before?.towers ?? 1), y2: heights(target, stage.towers) }));
        }
      if (numbers[stage.name]) lines.push(text(numbers[stage.name], (from + to) / 2, stage.isLast ? MIDDLE + 34 : MIDDLE + 5, { class: "across" }));
      return lines;
    }

    function box(stage, i, result) {
      const { wide, tall } = sides(stage), x = centre(i) - wide / 2;
      const size = [`${stage.towers > 1 ? "2 × " : ""}${stage.shape[0] / stage.towers}`, stage.shape.slice(1).join(" × ")];
      const group = svg("g", pick ? { role: "button", tabindex: 0, "aria-label": fill(words.stage, { layer: stage.name, shape: stage.shape.join(" × ") }) } : {});
      for (let tower = 0; tower < stage.towers; tower++) {
        const y = heights(tower, stage.towers) - tall / 2;
        if (stage.shape.length > 1) for (const shift of [6, 3]) group.append(svg("rect", { class: "stack", x: x + shift, y: y - shift, width: wide, height: tall }));
        group.append(svg("rect", { class: "stack", x, y, width: wide, height: tall }));
        if (result && !stage.isLast) group.append(image(thumbnail(result.outputs[stage.shown], tower, stage.towers), x, y, wide, tall, i + 1));
      }
      const top = heights(0, stage.towers) - tall / 2 - 16, bottom = heights(stage.towers - 1, stage.towers) + tall / 2 + 16;
      group.append(text(stage.name, centre(i), top, { class: "strong" }), text(size[0], centre(i), bottom), text(size[1], centre(i), bottom + 15));
      if (pick) {
        group.addEventListener("click", () => pick(stage));
        group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(stage); } });
      }
      return group;
    }

    /** Draws it with the outputs of a forward pass over the network's part of a picture, or empty. */
    function draw(result = null, rgb = null) {
      element.replaceChildren();
      if (isTwo) for (const tower of [0, 1]) {
        const y = heights(tower, 2) - 66;
        element.append(svg("rect", { class: "device", x: INPUT + 14, y, width: centre(stages.length - 2) - INPUT + 24, height: 132, rx: 12 }));
        element.append(text(fill(words.device, { i: tower + 1 }), INPUT + 18, tower ? y + 147 : y - 6, { "text-anchor": "start", class: "strong" }));
      }
      stages.forEach((_, i) => element.append(...wires(i)));
      if (rgb) {
        const target = canvas(1, 1, "");
        paint(target, rgb, lecture.site.input_size);
        element.append(image(target.toDataURL(), 4, MIDDLE - INPUT / 2, INPUT, INPUT, 0));
      }
      element.append(text(`3 × ${lecture.site.input_size} × ${lecture.site.input_size}`, 4 + INPUT / 2, MIDDLE + INPUT / 2 + 16));
      stages.forEach((stage, i) => element.append(box(stage, i, result)));
      if (result) best(result.probabilities, 3).forEach((guess, i) => {
        const at = centre(stages.length - 1) + 20, y = MIDDLE - 22 + 22 * i;
        element.append(text(`${shortName(guess).slice(0, 14)} ${percent(result.probabilities[guess], 0)}`, at, y + 5, { "text-anchor": "start", class: i ? "" : "strong" }));
      });
    }
    draw();
    return { element, draw, keep: stages.map((stage) => stage.shown) };
  };
}
