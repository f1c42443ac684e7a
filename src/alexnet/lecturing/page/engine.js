"use strict";
/* AlexNet's forward pass, in plain JavaScript: the same code in a worker and in the page.
 *
 * Maps are {data: Float32Array, shape: [C, H, W]}, or [units]. A matrix of weights is {rows, columns, values, starts,
 * places}: where most weights are zero, `starts` and `places` say where the others are; else they are null.
 */
function makeEngine() {
  const size = (shape) => shape.reduce((a, b) => a * b, 1);
  const dense = 0.6; // share of weights that are not zero, above which all are kept

  /** Unpacks a zlib stream with what the browser has. */
  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function halves(bytes) {
    const words = new Uint16Array(bytes.buffer), numbers = new Float32Array(words.length);
    for (let i = 0; i < words.length; i++) {
      const word = words[i], sign = word & 0x8000 ? -1 : 1, exponent = (word >> 10) & 31, rest = word & 1023;
      numbers[i] = sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
    }
    return numbers;
  }

  function fromDense(values, rows) {
    return { rows, columns: values.length / rows, values, starts: null, places: null };
  }

  function toDense(matrix) {
    if (!matrix.starts) return matrix.values;
    const all = new Float32Array(matrix.rows * matrix.columns);
    for (let row = 0; row < matrix.rows; row++)
      for (let i = matrix.starts[row]; i < matrix.starts[row + 1]; i++)
        all[row * matrix.columns + matrix.places[i]] = matrix.values[i];
    return all;
  }

  function shared(part, codebook, codes, gaps) {
    const rows = part.shape[0], columns = size(part.shape) / rows;
    const values = new Float32Array(codes.length), places = new Int32Array(codes.length);
    const starts = new Int32Array(rows + 1);
    for (let i = 0, at = 0, kept = 0; i < gaps.length; i++) {
      at += gaps[i];
      if (gaps[i] === 255) continue;
      values[kept] = codebook[codes[kept]];
      const row = Math.floor(at / columns);
      places[kept++] = at - row * columns;
      starts[row + 1] = kept;
      at++;
    }
    for (let row = 0; row < rows; row++) starts[row + 1] = Math.max(starts[row + 1], starts[row]);
    const matrix = { rows, columns, values, starts, places };
    return codes.length < dense * rows * columns ? matrix : fromDense(toDense(matrix), rows);
  }

  /** Returns the tensors of a stream by their names: a matrix for weights, numbers for biases and the mean image. */
  async function unpack(parts, packed) {
    const bytes = await inflate(packed), tensors = {};
    let at = 0;
    const take = (count) => bytes.slice(at, (at += count));
    const floats = (count) => new Float32Array(take(4 * count).buffer);
    for (const part of parts) {
      const count = size(part.shape), rows = part.shape[0];
      if (part.coding === "shared") tensors[part.name] = shared(part, floats(part.values), take(part.kept), take(part.gaps));
      else if (part.coding === "float16") tensors[part.name] = fromDense(halves(take(2 * count)), rows);
      else if (part.coding === "float32") tensors[part.name] = fromDense(floats(count), rows);
      else {
        const scales = floats(rows), numbers = new Int8Array(take(count).buffer), values = new Float32Array(count);
        for (let i = 0; i < count; i++) values[i] = numbers[i] * scales[Math.floor(i / (count / rows))];
        tensors[part.name] = fromDense(values, rows);
      }
      if (part.name === "mean" || part.name.endsWith("bias")) tensors[part.name] = toDense(tensors[part.name]);
    }
    return tensors;
  }

  const outside = (side, layer) => Math.floor((side + 2 * layer.padding - layer.kernel) / layer.stride) + 1;

  /** The windows of a convolution as a matrix, a row for each weight of a kernel: (C k k, places). */
  function windows(map, first, channels, layer) {
    const [, height, width] = map.shape, { kernel, stride, padding } = layer;
    const down = outside(height, layer), across = outside(width, layer), places = down * across;
    const matrix = new Float32Array(channels * kernel * kernel * places);
    let row = 0;
    for (let c = first; c < first + channels; c++)
      for (let dy = 0; dy < kernel; dy++)
        for (let dx = 0; dx < kernel; dx++, row += places)
          for (let y = 0; y < down; y++) {
            const from = y * stride + dy - padding;
            if (from < 0 || from >= height) continue;
            const source = (c * height + from) * width, target = row + y * across;
            for (let x = 0; x < across; x++) {
              const column = x * stride + dx - padding;
              if (column >= 0 && column < width) matrix[target + x] = map.data[source + column];
            }
          }
    return { matrix, down, across };
  }

  /** out += the row's weights times the rows of a matrix of `width` columns, four weights at a time. */
  function multiply(weights, row, matrix, width, out, to) {
    const { starts, places, values, columns } = weights;
    const first = starts ? starts[row] : row * columns, last = starts ? starts[row + 1] : first + columns;
    const at = (i) => (starts ? places[i] : i - first) * width;
    let i = first;
    for (; i + 3 < last; i += 4) {
      const a = values[i], b = values[i + 1], c = values[i + 2], d = values[i + 3];
      const pa = at(i), pb = at(i + 1), pc = at(i + 2), pd = at(i + 3);
      for (let p = 0; p < width; p++)
        out[to + p] += a * matrix[pa + p] + b * matrix[pb + p] + c * matrix[pc + p] + d * matrix[pd + p];
    }
    for (; i < last; i++) {
      const a = values[i], pa = at(i);
      for (let p = 0; p < width; p++) out[to + p] += a * matrix[pa + p];
    }
  }

  function conv(map, layer, weights, bias) {
    const outputs = layer.shape[0] / layer.groups, channels = map.shape[0] / layer.groups;
    let out = null, shape = null;
    for (let group = 0; group < layer.groups; group++) {
      const { matrix, down, across } = windows(map, group * channels, channels, layer);
      const places = down * across;
      if (!out) [out, shape] = [new Float32Array(layer.shape[0] * places), [layer.shape[0], down, across]];
      for (let o = group * outputs; o < (group + 1) * outputs; o++) {
        out.fill(bias[o], o * places, (o + 1) * places);
        multiply(weights, o, matrix, places, out, o * places);
      }
    }
    return { data: out, shape };
  }

  function fc(map, layer, weights, bias) {
    const { starts, places, values, columns } = weights, input = map.data, out = new Float32Array(weights.rows);
    for (let row = 0; row < weights.rows; row++) {
      const first = starts ? starts[row] : row * columns, last = starts ? starts[row + 1] : first + columns;
      let sum = bias[row];
      if (starts) for (let i = first; i < last; i++) sum += values[i] * input[places[i]];
      else for (let i = first; i < last; i++) sum += values[i] * input[i - first];
      out[row] = sum;
    }
    return { data: out, shape: [weights.rows] };
  }

  /** Filters of their own at every place: a row for each unit, units and what they read in the order (y, x, channel). */
  function local(map, layer, weights, bias) {
    const [channels, side] = map.shape, outputs = layer.shape[0], all = toDense(weights);
    const out = new Float32Array(outputs * side * side);
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++)
        for (let o = 0; o < outputs; o++) {
          const unit = (y * side + x) * outputs + o;
          let sum = bias[unit], at = unit * 9 * channels;
          for (let dy = -1; dy < 2; dy++)
            for (let dx = -1; dx < 2; dx++)
              for (let c = 0; c < channels; c++, at++)
                if (y + dy >= 0 && y + dy < side && x + dx >= 0 && x + dx < side)
                  sum += all[at] * map.data[(c * side + y + dy) * side + x + dx];
          out[(o * side + y) * side + x] = sum;
        }
    return { data: out, shape: [outputs, side, side] };
  }

  /** b = a / (k + alpha * sum of a^2 over `size` channels)^beta, within each of `towers` ranges of channels. */
  function norm(map, { size: window, alpha, beta, k, towers = 1 }) {
    const [channels, height, width] = map.shape, places = height * width, half = Math.floor(window / 2);
    const out = new Float32Array(map.data.length), range = channels / towers;
    for (let c = 0; c < channels; c++) {
      const start = Math.floor(c / range) * range;
      const low = Math.max(start, c - half), high = Math.min(start + range - 1, c + half);
      for (let p = 0; p < places; p++) {
        let sum = 0;
        for (let j = low; j <= high; j++) sum += map.data[j * places + p] ** 2;
        out[c * places + p] = map.data[c * places + p] * (k + alpha * sum) ** -beta;
      }
    }
    return { data: out, shape: map.shape };
  }

  /** The same over a square of places within one channel. */
  function same(map, { size: window, alpha, beta, k }) {
    const [channels, height, width] = map.shape, half = Math.floor(window / 2), out = new Float32Array(map.data.length);
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let v = Math.max(0, y - half); v <= Math.min(height - 1, y + half); v++)
            for (let u = Math.max(0, x - half); u <= Math.min(width - 1, x + half); u++)
              sum += map.data[(c * height + v) * width + u] ** 2;
          const at = (c * height + y) * width + x;
          out[at] = map.data[at] * (k + alpha * sum) ** -beta;
        }
    return { data: out, shape: map.shape };
  }

  function pool(map, { kernel, stride, ceil = false, kind = "pool" }) {
    const [channels, height, width] = map.shape, round = ceil ? Math.ceil : Math.floor;
    const down = round((height - kernel) / stride) + 1, across = round((width - kernel) / stride) + 1;
    const out = new Float32Array(channels * down * across);
    for (let c = 0, at = 0; c < channels; c++)
      for (let y = 0; y < down; y++)
        for (let x = 0; x < across; x++, at++) {
          const bottom = Math.min(height, y * stride + kernel), right = Math.min(width, x * stride + kernel);
          let most = -Infinity, sum = 0, count = 0;
          for (let v = y * stride; v < bottom; v++)
            for (let u = x * stride; u < right; u++, count++) {
              const value = map.data[(c * height + v) * width + u];
              if (value > most) most = value;
              sum += value;
            }
          out[at] = kind === "avg" ? sum / count : most;
        }
    return { data: out, shape: [channels, down, across] };
  }

  function pad(map, { kernel, stride }) {
    const [channels, height, width] = map.shape, more = (side) => (stride - ((side - kernel) % stride)) % stride;
    const h = height + more(height), w = width + more(width), out = new Float32Array(channels * h * w);
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        out.set(map.data.subarray((c * height + y) * width, (c * height + y + 1) * width), (c * h + y) * w);
    return { data: out, shape: [channels, h, w] };
  }

  const each = (map, change) => ({ data: map.data.map(change), shape: map.shape });

  function softmax(logits) {
    const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Float64Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    return Float32Array.from(powers, (power) => power / sum);
  }

  /** Sets a range of channels or units, given as shares from 0 to 1, to zero. */
  function silenced(map, [from, to]) {
    const data = map.data.slice();
    data.fill(0, Math.round(from * data.length), Math.round(to * data.length));
    return { data, shape: map.shape };
  }

  /** One forward pass of one picture, (3, S, S).
   *
   * `changes` may hold `activation`, "relu" or "tanh"; `norm`, settings that replace those of every normalisation;
   * `pool`, which replace those of a pooling layer by its name; `silent`, layer -> range of its outputs that are set to
   * zero; and `masks`, dropout layer -> a 0 or 1 for each unit, which takes the place of scaling. `keep` names the
   * layers whose outputs are returned.
   */
  function forward(network, input, changes = {}, keep = []) {
    const { layers, tensors, side } = network, outputs = {};
    let map = { data: input, shape: [3, side, side] };
    for (const plain of layers) {
      const layer = { padding: 0, stride: 1, groups: 1, scale: 1, ...plain };
      const weights = tensors[`${layer.name}.weight`], bias = tensors[`${layer.name}.bias`];
      const kind = changes.activation && (layer.kind === "relu" || layer.kind === "tanh") ? changes.activation : layer.kind;
      if (kind === "conv") map = conv(map, layer, weights, bias);
      else if (kind === "fc") map = fc(map, layer, weights, bias);
      else if (kind === "local") map = local(map, layer, weights, bias);
      else if (kind === "norm") map = norm(map, { ...layer, ...changes.norm });
      else if (kind === "same") map = same(map, layer);
      else if (kind === "pool" || kind === "avg") map = pool(map, layer);
      else if (kind === "pad") map = pad(map, layer);
      else if (kind === "relu") map = each(map, (x) => (x > 0 ? x : 0));
      else if (kind === "tanh") map = each(map, Math.tanh);
      else if (kind === "drop") {
        const mask = changes.masks?.[layer.name];
        map = { data: map.data.map((x, i) => x * (mask ? mask[i] : layer.scale)), shape: map.shape };
      }
      const range = changes.silent?.[layer.name];
      if (range) map = silenced(map, range);
      if (keep.includes(layer.name)) outputs[layer.name] = map;
    }
    return { outputs, probabilities: softmax(map.data) };
  }

  return { unpack, toDense, forward, conv, norm, same, pool, softmax, windows, size };
}
