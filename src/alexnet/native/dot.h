// Products and distances of a few vectors with many rows of short numbers, whose speed is that of memory.

// One picture's fully connected layer over 8-bit weights: reads every weight once, in order.

// out[o] = bias[o] + scale[o] * (sum over i of weights[o][i] * x[i])
inline void dot8(const int8_t* weights, const float* scale, const float* bias, const float* x, int64_t outputs,
                 int64_t inputs, float* out) {
  constexpr int kSums = 64;  // independent sums, so that the additions overlap
#pragma omp parallel for schedule(static)
  for (int64_t o = 0; o < outputs; ++o) {
    const int8_t* row = weights + o * inputs;
    float sums[kSums] = {0};
    const int64_t whole = inputs - inputs % kSums;
    for (int64_t i = 0; i < whole; i += kSums)
      for (int j = 0; j < kSums; ++j) sums[j] += float(row[i + j]) * x[i + j];
    float sum = 0;
    for (int j = 0; j < kSums; ++j) sum += sums[j];
    for (int64_t i = whole; i < inputs; ++i) sum += float(row[i]) * x[i];
    out[o] = bias[o] + scale[o] * sum;
  }
}

// out[q][r] = |queries[q] - rows[r]|^2, of float16 rows; reads every row once, in order.
inline void squares16(const float* queries, const void* rows, int64_t count, int64_t number, int64_t width, float* out) {
  constexpr int kSums = 64;
  const int64_t whole = width - width % kSums;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < number; ++r) {
    const float16* row = static_cast<const float16*>(rows) + r * width;
    for (int64_t q = 0; q < count; ++q) {
      const float* query = queries + q * width;
      float sums[kSums] = {0};
      for (int64_t i = 0; i < whole; i += kSums)
        for (int j = 0; j < kSums; ++j) {
          const float difference = query[i + j] - widen<float>(row[i + j]);
          sums[j] += difference * difference;
        }
      float sum = 0;
      for (int j = 0; j < kSums; ++j) sum += sums[j];
      for (int64_t i = whole; i < width; ++i) {
        const float difference = query[i] - widen<float>(row[i]);
        sum += difference * difference;
      }
      out[q * number + r] = sum;
    }
  }
}
