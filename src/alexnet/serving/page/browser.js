// The engine that runs the network in the browser, by ONNX Runtime Web; the folder beside it holds everything.

const GRAY = 128;
const TOGETHER = 16; // covered copies that go through the network at a time
const SMALLEST = 1e-7;
// The scale of `alexnet explain`: from dark violet over red to yellow.
const STOPS = [0, 0.35, 0.7, 1], HEAT = [[60, 10, 110], [150, 30, 90], [240, 120, 30], [255, 235, 80]];

/** Names pictures here; `progress` is told which part of the network is loaded. */
export class Engine {
  place = "Pictures stay in this browser. Ten views, Grad-CAM, the layers and the most similar training pictures are on the page of alexnet serve.";
  #facts;
  #session;
  #last = Promise.resolve(); // one picture after the other

  constructor({ progress }) {
    this.progress = progress;
  }

  async models() {
    if (location.protocol === "file:") {
      throw new Error("A browser loads no network from a file: run “python -m http.server” in this folder and open http://localhost:8000.");
    }
    document.getElementById("runtime").hidden = false;
    this.#facts = await (await fetched("network.json")).json();
    await new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src: "ort.wasm.min.js", onload: resolve });
      script.onerror = () => reject(new Error("ort.wasm.min.js is missing from the folder."));
      document.head.append(script);
    });
    ort.env.wasm.wasmPaths = new URL("./", location.href).href;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    this.#session = await ort.InferenceSession.create(await this.#network());
    return [this.#facts];
  }

  offers() {
    return { views: [1], explain: ["occlusion"], neighbours: false, activations: [], correct: false };
  }

  async predict(file, model, { top = 5 }) {
    const probabilities = await this.#run(await pixels(file, model));
    const best = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, top);
    return { guesses: best.map((i) => ({ class: String(i), label: model.classes[i], probability: probabilities[i] })) };
  }

  /** Covers the picture in gray at one place after another: `alexnet explain --fill gray`, with half as many places a side. */
  async explain(file, model, { class: name, progress }) {
    const { stored_size: stored, input_size: seen } = model, edge = Math.floor((stored - seen) / 2), label = Number(name);
    const square = await squared(file, model), one = 3 * stored * stored;
    const side = Math.max(2, Math.round(seen / 7)), stride = Math.max(1, Math.floor(side / 2));
    const starts = [];
    for (let start = stride - side; start < seen; start += stride) starts.push(start);
    const places = starts.flatMap((top) => starts.map((left) => [top, left]));
    const whole = evidence(await this.#run(tensor(square, 1, stored, stored)), 0, label, model.classes.length);
    const falls = new Float64Array(seen * seen), times = new Float64Array(seen * seen);
    const within = (start) => [Math.max(0, start), Math.min(seen, start + side)];
    for (let first = 0; first < places.length; first += TOGETHER) {
      const some = places.slice(first, first + TOGETHER), covered = new Uint8Array(some.length * one);
      some.forEach(([top, left], number) => {
        covered.set(square, number * one);
        const [[high, low], [from, to]] = [within(top), within(left)];
        for (let y = high; y < low; y++) {
          const row = number * one + 3 * ((y + edge) * stored + edge);
          covered.fill(GRAY, row + 3 * from, row + 3 * to);
        }
      });
      const answers = await this.#run(tensor(covered, some.length, stored, stored));
      some.forEach(([top, left], number) => {
        const fall = whole - evidence(answers, number, label, model.classes.length);
        const [[high, low], [from, to]] = [within(top), within(left)];
        for (let y = high; y < low; y++) for (let x = from; x < to; x++) {
          falls[y * seen + x] += fall;
          times[y * seen + x] += 1;
        }
      });
      progress((first + some.length) / places.length);
    }
    return { label: model.classes[label], map: overlaid(square, falls.map((fall, i) => fall / times[i]), stored, seen, edge) };
  }

  /** Returns the picture of the folder that the address names, as in index.html?picture=a.jpg. */
  async given() {
    const name = new URLSearchParams(location.search).get("picture");
    return name && new File([await (await fetched(name)).blob()], name, { type: "image/*" });
  }

  async #network() {
    const { file, bytes } = this.#facts, content = new Uint8Array(bytes), reader = (await fetched(file)).body.getReader();
    for (let done = 0, part; !(part = await reader.read()).done; done += part.value.length) {
      content.set(part.value, done);
      this.progress((done + part.value.length) / bytes);
    }
    return content;
  }

  #run(pictures) {
    const answer = this.#last.then(() => this.#session.run({ pictures })).then(({ probabilities }) => probabilities.data);
    this.#last = answer.catch(() => {});
    return answer;
  }
}

async function fetched(name) {
  const response = await fetch(new URL(name, location.href));
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return response;
}

/** Returns the logarithmic odds of a class of one of several answers. */
function evidence(probabilities, number, label, classes) {
  const own = probabilities.subarray(number * classes, (number + 1) * classes);
  const others = own.reduce((sum, value, i) => (i === label ? sum : sum + value), 0);
  return Math.log(Math.max(own[label], SMALLEST)) - Math.log(Math.max(others, SMALLEST));
}

const tensor = (rgb, count, height, width) => new ort.Tensor("uint8", rgb, [count, height, width, 3]);

async function bitmapOf(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error("This browser cannot read this picture.");
  }
}

function drawn(bitmap, width, height, from = [0, 0, bitmap.width, bitmap.height]) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height }), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, ...from, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height), rgb = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; i < data.length; i += 4, j += 3) {
    rgb[j] = data[i]; rgb[j + 1] = data[i + 1]; rgb[j + 2] = data[i + 2];
  }
  return rgb;
}

/** Returns the whole picture; the network's own resize decides every pixel, so only huge ones are made smaller here. */
async function pixels(file, { stored_size: stored }) {
  const bitmap = await bitmapOf(file), shorter = Math.min(bitmap.width, bitmap.height);
  const scale = shorter >= 4 * stored ? 2 * stored / shorter : 1;
  const width = Math.round(bitmap.width * scale), height = Math.round(bitmap.height * scale);
  return tensor(drawn(bitmap, width, height), 1, height, width);
}

/** Returns the RGB of the stored picture, which the network does not resize. */
async function squared(file, { stored_size: stored, square }) {
  const bitmap = await bitmapOf(file), side = Math.min(bitmap.width, bitmap.height);
  const centre = [Math.floor((bitmap.width - side) / 2), Math.floor((bitmap.height - side) / 2), side, side];
  return drawn(bitmap, stored, stored, square === "centre" ? centre : undefined);
}

/** Returns what the network saw, in gray, with a map in colour over it, as a data address. */
function overlaid(square, map, stored, seen, edge) {
  const canvas = Object.assign(document.createElement("canvas"), { width: seen, height: seen }), context = canvas.getContext("2d");
  const image = context.createImageData(seen, seen), largest = Math.max(1e-12, map.reduce((a, b) => Math.max(a, b)));
  map.forEach((value, i) => {
    const strength = Math.max(0, value) / largest, at = 3 * ((Math.floor(i / seen) + edge) * stored + (i % seen) + edge);
    const gray = 0.299 * square[at] + 0.587 * square[at + 1] + 0.114 * square[at + 2];
    const next = Math.max(1, STOPS.findIndex((stop) => stop >= strength));
    const share = (strength - STOPS[next - 1]) / (STOPS[next] - STOPS[next - 1]);
    for (let c = 0; c < 3; c++) {
      const heat = HEAT[next - 1][c] + share * (HEAT[next][c] - HEAT[next - 1][c]);
      image.data[4 * i + c] = gray * (1 - 0.75 * strength) + heat * 0.75 * strength;
    }
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}
