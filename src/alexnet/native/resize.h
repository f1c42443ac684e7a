// Pillow's antialiased bilinear resize of RGB bytes, bit for bit: along one axis, rounded to bytes, then along the other.

constexpr int64_t LANES = 16, TOGETHER = LANES / 3;  // numbers of one vector, and rows whose pixels lie beside each other

// N sums of `count` bytes that lie `step` apart, by their weights.
template <int64_t N>
inline void blend(const uint8_t* from, int64_t step, const int32_t* weights, int64_t count, uint8_t* out) {
  int32_t sums[N];
  for (int64_t l = 0; l < N; ++l) sums[l] = 1 << (POINT - 1);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t l = 0; l < N; ++l) sums[l] += int32_t(from[t * step + l]) * weights[t];
  for (int64_t l = 0; l < N; ++l) out[l] = uint8_t(sums[l] >> POINT);
}

// From `rows` rows, `stride` bytes apart, the first of `columns` pixels being the first that the taps need.
inline void resize_across(const uint8_t* image, int64_t stride, int64_t columns, int64_t rows, const Taps& taps,
                          int64_t size, uint8_t* out) {
  uint8_t *block = new uint8_t[columns * LANES](), bytes[LANES];
  for (int64_t y = 0; y < rows; y += TOGETHER) {
    const int64_t count = std::min(TOGETHER, rows - y), last = columns - 1;
    for (int64_t r = 0; r < count; ++r) {  // four bytes at a time, of which the next row covers the fourth
      const uint8_t* row = image + (y + r) * stride;
      for (int64_t x = 0; x < last; ++x) std::memcpy(block + x * LANES + 3 * r, row + 3 * x, 4);
      std::memcpy(block + last * LANES + 3 * r, row + 3 * last, 3);
    }
    for (int64_t x = 0; x < size; ++x) {
      const uint8_t* from = block + (taps.first[x] - taps.start()) * LANES;
      blend<LANES>(from, LANES, taps.weights + x * taps.most, taps.count[x], bytes);
      for (int64_t r = 0; r < count; ++r) std::memcpy(out + 3 * ((y + r) * size + x), bytes + 3 * r, 3);
    }
  }
  delete[] block;
}

// To rows of `length` bytes from rows that lie `stride` bytes apart, the first being the first that the taps need.
inline void resize_down(const uint8_t* image, int64_t stride, int64_t length, const Taps& taps, int64_t size,
                        uint8_t* out) {
  for (int64_t y = 0; y < size; ++y) {
    const uint8_t* from = image + (taps.first[y] - taps.start()) * stride;
    const int32_t* weights = taps.weights + y * taps.most;
    int64_t x = 0;
    for (; x + LANES <= length; x += LANES)
      blend<LANES>(from + x, stride, weights, taps.count[y], out + y * length + x);
    for (; x < length; ++x) blend<1>(from + x, stride, weights, taps.count[y], out + y * length + x);
  }
}

// `out` is (size, size, 3), from the square of `side` pixels at `top` and `left` of (height, width, 3).
inline void resize(const uint8_t* image, int64_t height, int64_t width, int64_t top, int64_t left, int64_t side,
                   int64_t size, uint8_t* out) {
  const Taps across(width, left, side, size), down(height, top, side, size);
  const int64_t columns = across.end() - across.start(), rows = down.end() - down.start();
  const uint8_t* corner = image + 3 * (down.start() * width + across.start());
  uint8_t* between = new uint8_t[3 * size * std::max(rows, columns)];
  if (height > size && height - size > 2 * (width - size)) {  // the order that Pillow takes since its version 13
    resize_down(corner, 3 * width, 3 * columns, down, size, between);
    resize_across(between, 3 * columns, columns, size, across, size, out);
  } else {
    resize_across(corner, 3 * width, columns, rows, across, size, between);
    resize_down(between, 3 * size, 3 * size, down, size, out);
  }
  delete[] between;
}
