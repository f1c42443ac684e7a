// From stored pictures to the network's input, one pass: crop, enlarge, mirror, subtract the mean, add colour, scale.

struct Crop {
  float top, left, side;  // square, in pixels of the stored picture
  int32_t turn;           // 0..7: bit 0 mirrors left to right, bit 1 upside down, bit 2 swaps the axes first
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

template <class T>
void augment_one(const uint8_t* image, const float* mean, int64_t side, const Crop& crop, const float* shift, float gain,
                 int64_t size, T* out, float* row) {
  const float scale = crop.side / float(size);
  const bool whole = scale == 1.0f && crop.left == float(int64_t(crop.left)) && crop.top == float(int64_t(crop.top));
  const float offset = whole ? 0.0f : 0.5f * scale - 0.5f;  // pixel centres
  float* line = row + 3 * side;                             // the resampled row, colour added
  float* pattern = line + 3 * size;
  for (int64_t i = 0; i < 3 * size; ++i) pattern[i] = shift[i % 3] * gain;
  for (int64_t y = 0; y < size; ++y) {
    const float from = crop.top + float(y) * scale + offset;
    if (whole) {
      blend_rows(image, mean, side, from, int64_t(crop.left), size, row);
      for (int64_t i = 0; i < 3 * size; ++i) line[i] = row[i] * gain + pattern[i];
    } else {
      blend_rows(image, mean, side, from, 0, side, row);
      for (int64_t x = 0; x < size; ++x) {
        const float at = std::min(std::max(crop.left + float(x) * scale + offset, 0.0f), float(side - 1));
        const int64_t left = int64_t(at), right = std::min<int64_t>(left + 1, side - 1);
        const float share = at - float(left);
        for (int64_t c = 0; c < 3; ++c) {
          const float a = row[3 * left + c], b = row[3 * right + c];
          line[3 * x + c] = (a + share * (b - a)) * gain + pattern[c];
        }
      }
    }
    const int64_t along = (crop.turn & 2) ? size - 1 - y : y;
    if (!(crop.turn & 5)) {
      for (int64_t i = 0; i < 3 * size; ++i) out[along * size * 3 + i] = narrow<T>(line[i]);
      continue;
    }
    for (int64_t x = 0; x < size; ++x) {
      const int64_t across = (crop.turn & 1) ? size - 1 - x : x;
      T* pixel = out + 3 * ((crop.turn & 4) ? across * size + along : along * size + across);
      for (int64_t c = 0; c < 3; ++c) pixel[c] = narrow<T>(line[3 * x + c]);
    }
  }
}

template <class T>
void augment_all(const uint8_t* images, const float* mean, int64_t count, int64_t side, const Crop* crops,
                 const float* shifts, const float* gains, int64_t size, T* out) {
#pragma omp parallel
  {
    float* row = new float[3 * side + 6 * size];
#pragma omp for schedule(dynamic, 1)
    for (int64_t n = 0; n < count; ++n)
      augment_one(images + n * side * side * 3, mean, side, crops[n], shifts + 3 * n, gains[n], size,
                  out + n * size * size * 3, row);
    delete[] row;
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
