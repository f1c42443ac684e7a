// The largest value in each window of channels-last maps, without padding; NaN counts as the largest.

// A window that reaches beyond the far edges ends there.
template <class T>
inline void pool_maps(const T* x, int64_t count, int64_t height, int64_t width, int64_t channels, int64_t window,
                      int64_t stride, int64_t rows, int64_t columns, T* out) {
  constexpr int kChannels = 32;  // at a time, in registers
#pragma omp parallel for schedule(static)
  for (int64_t at = 0; at < count * rows; ++at) {
    const int64_t top = at % rows * stride, bottom = std::min(top + window, height);
    const T* map = x + at / rows * height * width * channels;
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t left = column * stride, right = std::min(left + window, width);
      T* pixel = out + (at * columns + column) * channels;
      for (int64_t first = 0; first < channels; first += kChannels) {
        const int many = int(std::min<int64_t>(kChannels, channels - first));
        using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
        A best[kChannels];
        std::fill(best, best + kChannels, -std::numeric_limits<A>::infinity());
        for (int64_t row = top; row < bottom; ++row)
          for (int64_t i = left; i < right; ++i) {
            const T* values = map + (row * width + i) * channels + first;
            const auto raise = [&](int j) {
              const A value = widen<A>(values[j]);
              best[j] = value > best[j] || value != value ? value : best[j];
            };
            if (many == kChannels)
              for (int j = 0; j < kChannels; ++j) raise(j);
            else
              for (int j = 0; j < many; ++j) raise(j);
          }
        for (int j = 0; j < many; ++j) pixel[first + j] = narrow<T>(best[j]);
      }
    }
  }
}

// Types are numbered as in lrn.
inline int max_pool(int dtype, const void* x, int64_t count, int64_t height, int64_t width, int64_t channels,
                    int64_t window, int64_t stride, int64_t rows, int64_t columns, void* out) {
  const auto run = [&](auto kind) {
    using T = decltype(kind);
    pool_maps(static_cast<const T*>(x), count, height, width, channels, window, stride, rows, columns,
              static_cast<T*>(out));
    return 0;
  };
  switch (dtype) {
    case 0: return run(float());
    case 1: return run(bfloat16());
    case 3: return run(double());
    default: return 1;
  }
}
