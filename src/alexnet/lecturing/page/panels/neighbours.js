"use strict";
/* Nearest neighbours: which pictures are alike for fc7, and which for their pixels. */
{
  const { make, canvas, paint, fill, fixed, latest } = lecture.draw;

  /** The Euclidean distance of two rows of numbers. */
  lecture.distance = (a, b) => Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0));

  /** The last hidden layer, fc7 after its activation: what the answer is made from. */
  lecture.hidden = () => lecture.stages(lecture.site.layers).at(-2).shown;

  lecture.panel("neighbours", (stage, words) => {
    const { pixels, site } = lecture, layer = lecture.hidden(), gallery = new Map();
    const rows = { hidden: make("ol", { class: "nearest" }), pixels: make("ol", { class: "nearest" }) };
    const read = make("p", { class: "read", role: "status" }, words.waiting);

    /** A picture and its mirror image, each as the network sees it and as fc7 describes it. */
    async function add(name, rgb) {
      for (const mirror of [false, true]) {
        const input = pixels.input(rgb, { ...pixels.centre(), mirror });
        const { outputs } = await lecture.run(input, {}, [layer]);
        const seen = pixels.seen(rgb), size = site.input_size, shown = new Uint8ClampedArray(seen.length);
        for (let y = 0; y < size; y++)
          for (let x = 0; x < size; x++) shown.set(seen.subarray(3 * (y * size + (mirror ? size - 1 - x : x)), 3 * (y * size + (mirror ? size - 1 - x : x)) + 3), 3 * (y * size + x));
        gallery.set(name + (mirror ? words.mirrored : ""), { shown, hidden: outputs[layer].data, pixels: Float32Array.from(shown, (byte) => byte / 255) });
      }
    }

    async function fillGallery() {
      const keys = Object.keys(lecture.photographs);
      for (const [i, key] of keys.entries()) {
        read.textContent = fill(words.progress, { done: i, all: keys.length });
        const { name, rgb } = await lecture.photograph(key);
        await add(name, rgb);
      }
    }

    function card(name, distance) {
      const target = canvas(1, 1, name);
      paint(target, gallery.get(name).shown, site.input_size);
      return make("li", {}, target, make("span", {}, name), make("b", {}, distance));
    }

    const show = latest(async ({ name, rgb }) => {
      if (!gallery.size) await fillGallery();
      if (!gallery.has(name)) await add(name, rgb);
      const own = gallery.get(name);
      for (const key of ["hidden", "pixels"]) {
        const near = [...gallery].filter(([other]) => other !== name).map(([other, each]) => [other, lecture.distance(own[key], each[key])]).sort((a, b) => a[1] - b[1]);
        rows[key].replaceChildren(...near.slice(0, 6).map(([other, distance]) => card(other, fixed(distance, 1))));
      }
      read.textContent = fill(words.found, { name, count: gallery.size - 1 });
    });

    stage.append(read, make("h3", {}, fill(words.by_hidden, { layer })), rows.hidden, make("h3", {}, words.by_pixels), rows.pixels, make("p", { class: "hint" }, words.hint));
    return show;
  });
}
