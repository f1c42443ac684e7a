"use strict";
/* From a picture file to the network's input, as `alexnet.data.decode` and `alexnet.data.augment` have it. */
{
  const site = lecture.site;
  const MOST = { jpeg: 178956970, other: 64000000 }; // pixels, as the package
  const SHRINK = 4e6; // pixels: larger pictures are shrunk by the browser first

  class NoPicture extends Error {}

  /** The sides that a JPEG or PNG states, before any pixel is decoded; null of other kinds. */
  function stated(bytes) {
    const view = new DataView(bytes.buffer);
    if (bytes.length > 24 && view.getUint32(0) === 0x89504e47) return [view.getUint32(16), view.getUint32(20)];
    if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return null;
    for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
      const marker = bytes[at + 1];
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
        return [view.getUint16(at + 7), view.getUint16(at + 5)];
    }
    return null;
  }

  function refuseHuge(sides, most, words) {
    if (sides && sides[0] * sides[1] > most)
      throw new NoPicture(words.huge.replace("{most}", most.toLocaleString("en")));
  }

  /** The pixels of a picture file over white, upright: {data: RGB bytes, width, height}. */
  async function decode(blob, words) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8, most = isJpeg ? MOST.jpeg : MOST.other;
    refuseHuge(stated(bytes), most, words);
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "default" });
    } catch {
      throw new NoPicture(words.unreadable);
    }
    refuseHuge([bitmap.width, bitmap.height], most, words);
    const shorter = Math.min(bitmap.width, bitmap.height);
    const scale = bitmap.width * bitmap.height > SHRINK && shorter >= 4 * site.stored_size ? (2 * site.stored_size) / shorter : 1;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const rgb = new Uint8Array(3 * width * height);
    for (let i = 0, j = 0; i < data.length; i += 4, j += 3) rgb.set([data[i], data[i + 1], data[i + 2]], j);
    return { data: rgb, width, height };
  }

  /** Weights of a triangular filter for each of `size` places over `side` pixels from `start`, wider where it shrinks. */
  function filters(start, side, size, whole, isPlain) {
    const step = side / size, reach = isPlain ? 1 : Math.max(1, step);
    return Array.from({ length: size }, (_, i) => {
      const centre = start + (i + 0.5) * step;
      const first = Math.max(0, Math.floor(centre - reach + 0.5)), last = Math.min(whole, Math.floor(centre + reach + 0.5));
      const weights = Array.from({ length: Math.max(1, last - first) }, (_, j) =>
        Math.max(0, 1 - Math.abs((first + j + 0.5 - centre) / reach)));
      const sum = weights.reduce((a, b) => a + b, 0) || 1;
      return { first: Math.min(first, whole - 1), weights: weights.map((weight) => weight / sum) };
    });
  }

  /** A picture made square, RGB bytes (S, S, 3): its centre by Pillow's antialiased bilinear, or the whole stretched. */
  function fit({ data, width, height }, size, square = site.square) {
    const side = Math.min(width, height), isPlain = square === "warp";
    const [left, top] = isPlain ? [0, 0] : [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
    const across = filters(left, isPlain ? width : side, size, width, isPlain);
    const down = filters(top, isPlain ? height : side, size, height, isPlain);
    const middle = new Uint8ClampedArray(height * size * 3), out = new Uint8ClampedArray(size * size * 3);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++) {
          const { first, weights } = across[x];
          let sum = 0;
          for (let j = 0; j < weights.length; j++) sum += weights[j] * data[(y * width + first + j) * 3 + c];
          middle[(y * size + x) * 3 + c] = Math.floor(sum + 0.5);
        }
    for (let y = 0; y < size; y++)
      for (let at = 0; at < size * 3; at++) {
        const { first, weights } = down[y];
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j] * middle[(first + j) * size * 3 + at];
        out[y * size * 3 + at] = Math.floor(sum + 0.5);
      }
    return out;
  }

  /** The network's input, (3, S, S): a window of a stored picture less the mean image, mirrored or shifted in colour. */
  function input(rgb, { top, left, mirror = false, shift = [0, 0, 0] } = centre()) {
    const { input_size: size, stored_size: stored, divide_pixels_by: divisor } = site, mean = lecture.tensors.mean;
    const out = new Float32Array(3 * size * size);
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++) {
          const column = left + (mirror ? size - 1 - x : x), at = ((top + y) * stored + column) * 3 + c;
          out[(c * size + y) * size + x] = (rgb[at] - mean[at] + shift[c]) / divisor;
        }
    return out;
  }

  /** A square window of a square picture `side` pixels wide: RGB bytes (size, size, 3). */
  function cut(rgb, side, { top, left }, size) {
    const out = new Uint8ClampedArray(size * size * 3);
    for (let y = 0; y < size; y++) out.set(rgb.subarray(((top + y) * side + left) * 3, ((top + y) * side + left + size) * 3), y * size * 3);
    return out;
  }

  /** The part of a stored picture that the network sees in its middle. */
  const seen = (rgb) => cut(rgb, site.stored_size, centre(), site.input_size);

  function centre() {
    const margin = Math.floor((site.stored_size - site.input_size) / 2);
    return { top: margin, left: margin, mirror: false };
  }

  /** The ten views: the corners and the centre, then their mirror images. */
  function tenViews() {
    const last = site.stored_size - site.input_size, { top: middle } = centre();
    const corners = [[0, 0], [0, last], [middle, middle], [last, 0], [last, last]];
    return [false, true].flatMap((mirror) => corners.map(([top, left]) => ({ top, left, mirror })));
  }

  /** A made-up picture for the exercises: a ball before stripes, with nothing of anybody's in it. */
  function drawn(size) {
    const data = new Uint8ClampedArray(size * size * 3);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const u = x / size, v = y / size, r = Math.hypot(u - 0.5, v - 0.56);
        const light = 1 - Math.hypot(u - 0.42, v - 0.46) * 1.6, band = Math.floor((u + v) * 9) % 2;
        const colour = r < 0.3 ? [255 * light, 150 * light, 40 * light] : band ? [70, 110, 160] : [120, 165, 205];
        data.set(colour, (y * size + x) * 3);
      }
    return { data, width: size, height: size };
  }

  const listeners = new Set();
  lecture.pixels = { decode, fit, input, cut, seen, centre, tenViews, drawn, NoPicture };
  lecture.picture = null; // {name, rgb, pixels}: bytes (S, S, 3) of the stored size, and the picture before it was fitted
  lecture.onPicture = (listener) => listeners.add(listener);
  lecture.setPicture = (name, pixels) => {
    lecture.picture = { name, rgb: fit(pixels, site.stored_size), pixels };
    for (const listener of listeners) listener(lecture.picture);
  };
}
