"use strict";
/* The network in a worker of its own, so that the page never waits for it.
 *
 * The worker is made from the engine's own text: a browser lets no file start a worker, but a page may start its own text.
 */
{
  const engine = makeEngine();
  lecture.engine = engine;

  const worker = () => {
    const engine = makeEngine();
    let network = null;
    self.onmessage = async ({ data: { number, start, input, changes, keep } }) => {
      try {
        if (start) {
          network = { layers: start.layers, side: start.side, tensors: await engine.unpack(start.parts, start.bytes) };
          self.postMessage({ number, tensors: network.tensors });
          return;
        }
        const began = performance.now(), result = engine.forward(network, input, changes, keep);
        self.postMessage({ number, ...result, milliseconds: performance.now() - began });
      } catch (error) {
        self.postMessage({ number, error: String(error) });
      }
    };
  };

  const waiting = new Map();
  let count = 0, thread = null;

  function ask(message) {
    return new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject });
      thread.postMessage({ number: count, ...message });
    });
  }

  function load(file) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = file;
      script.onload = resolve;
      script.onerror = () => reject(new Error(file));
      document.head.append(script);
    });
  }

  async function start() {
    await load("weights.js");
    const text = `"use strict";\n${makeEngine}\n(${worker})();`;
    thread = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    thread.onmessage = ({ data }) => {
      const { resolve, reject } = waiting.get(data.number);
      waiting.delete(data.number);
      if (data.error) reject(new Error(data.error)); else resolve(data);
    };
    const letters = atob(lecture.weights), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    lecture.weights = null;
    const { layers, parts, input_size: side } = lecture.site;
    const { tensors } = await ask({ start: { layers, parts, side, bytes } });
    lecture.tensors = tensors;
    return tensors;
  }

  /** Settles when the network can run; holds its tensors. */
  lecture.ready = null;
  lecture.begin = () => { lecture.ready = start(); return lecture.ready; };

  /** One forward pass: {probabilities, outputs, milliseconds}. See `forward` of the engine for `changes` and `keep`. */
  lecture.run = async (input, changes = {}, keep = []) => {
    await lecture.ready;
    return ask({ input, changes, keep });
  };
  lecture.layer = (name) => lecture.site.layers.find((layer) => layer.name === name);
}
