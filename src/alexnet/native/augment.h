// From stored pictures to the network's input, one pass: crop, enlarge, mirror, subtract the mean, add colour, scale.

struct Crop {
  float top, left, side;  // square, in pixels of the stored picture
  int32_t turn;           // bit 0 mirrors left to right, bit 1 turns upside down, bit 2 then swaps the axes
};

// One row of the crop at vertical position y, blended from two stored rows: (picture - mean), `3 * columns` values.
inline void blend_rows(const uint8_t* image, const float* mean, int64_t side, float y, int64_t first, int64_t count,
                       float* row) {
  const int64_t above = std::min<int64_t>(std::max<int64_t>(int64_t(y), 0), side - 1);
  const int64_t below = std::min<int64_t>(above + 1, side - 1);
  const float share = std::max(0.0f, y - float(above));
  const int64_t a = (above * side + first) * 3, b = (below * side + first) * 3;
  if (share == 0.0f) {
    for (int64_t i = 0; i < 3 * count; ++i) row[i] = float(image[a + i]) - mean[a + i];
    return;
  }
  for (int64_t i = 0; i < 3 * count; ++i) {
    const float upper = float(image[a + i]) - mean[a + i], lower = float(image[b + i]) - mean[b + i];
    row[i] = upper + share * (lower - upper);
  }
}

// What every row of one picture's crop needs: for each of the 3 * size output values, the value of the blended row it
// starts from, the share of its right neighbour, and the colour added to it.
struct Columns {
  int32_t* first;
  float *share, *colour;

  void plan(const Crop& crop, int64_t side, int64_t size, float offset, const float* shift, float gain) {
    const float scale = crop.side / float(size);
    for (int64_t x = 0; x < size; ++x) {
      const int64_t place = (crop.turn & 1) ? size - 1 - x : x;
      const float at = std::min(std::max(crop.left + float(place) * scale + offset, 0.0f), float(side - 1));
      const int32_t left = int32_t(at);
      for (int64_t c = 0; c < 3; ++c) {
        first[3 * x + c] = 3 * left + int32_t(c);
        share[3 * x + c] = at - float(left);
        colour[3 * x + c] = shift[c] * gain;
      }
    }
  }
};

// A row of `count` pixels from right to left; four numbers at a time, of which the next pixel covers the fourth.
inline void reverse_pixels(const float* row, int64_t count, float* out) {
  const int64_t last = count - 1;
  for (int64_t x = 0; x < last; ++x) std::memcpy(out + 3 * x, row + 3 * (last - x), 4 * sizeof(float));
  std::memcpy(out + 3 * last, row, 3 * sizeof(float));
}

template <class T>
void augment_one(const uint8_t* image, const float* mean, int64_t side, const Crop& crop, const float* shift, float gain,
                 int64_t size, T* out, float* row, float* line, Columns columns) {
  const float scale = crop.side / float(size);
  const float offset = 0.5f * scale - 0.5f;  // pixel centres
  const int64_t left = int64_t(crop.left), values = 3 * size;
  const bool is_inside = left >= 0 && left + size <= side;
  const bool is_plain = scale == 1.0f && crop.left == float(left) && is_inside;
  columns.plan(crop, side, size, offset, shift, gain);
  for (int64_t y = 0; y < size; ++y) {
    const float from = crop.top + float(y) * scale + offset;
    if (is_plain) {
      blend_rows(image, mean, side, from, left, size, row);
      if (crop.turn & 1) reverse_pixels(row, size, line);
      const float* pixels = (crop.turn & 1) ? line : row;
      for (int64_t i = 0; i < values; ++i) line[i] = pixels[i] * gain + columns.colour[i];
    } else {
      blend_rows(image, mean, side, from, 0, side, row);
      for (int64_t c = 0; c < 3; ++c) row[3 * side + c] = 0;  // the right neighbour of the last column, of share 0
      for (int64_t i = 0; i < values; ++i) {
        const float a = row[columns.first[i]], b = row[columns.first[i] + 3];
        line[i] = (a + columns.share[i] * (b - a)) * gain + columns.colour[i];
      }
    }
    const int64_t along = (crop.turn & 2) ? size - 1 - y : y;
    if (crop.turn & 4) {
      for (int64_t x = 0; x < size; ++x)
        for (int64_t c = 0; c < 3; ++c) out[3 * (x * size + along) + c] = narrow<T>(line[3 * x + c]);
    } else {
      for (int64_t i = 0; i < values; ++i) out[along * values + i] = narrow<T>(line[i]);
    }
  }
}

template <class T>
void augment_all(const uint8_t* images, const float* mean, int64_t count, int64_t side, const Crop* crops,
                 const float* shifts, const float* gains, int64_t size, T* out) {
#pragma omp parallel
  {
    float* row = new float[3 * side + 3 + 9 * size];
    float* line = row + 3 * side + 3;
    int32_t* first = new int32_t[3 * size];
    const Columns columns{first, line + 3 * size, line + 6 * size};
#pragma omp for schedule(dynamic, 1)
    for (int64_t n = 0; n < count; ++n)
      augment_one(images + n * side * side * 3, mean, side, crops[n], shifts + 3 * n, gains[n], size,
                  out + n * size * size * 3, row, line, columns);
    delete[] row;
    delete[] first;
  }
}

inline int augment(int dtype, const uint8_t* images, const float* mean, int64_t count, int64_t side, const void* crops,
                   const float* shifts, const float* gains, int64_t size, void* out) {
  const Crop* boxes = (const Crop*)crops;
  switch (dtype) {
    case 0: augment_all(images, mean, count, side, boxes, shifts, gains, size, (float*)out); return 0;
    case 1: augment_all(images, mean, count, side, boxes, shifts, gains, size, (bfloat16*)out); return 0;
    default: return 1;
  }
}
