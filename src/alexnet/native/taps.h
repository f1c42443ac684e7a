// The weights of Pillow's antialiased bilinear resize along one axis. Compiled for every processor alike, without fused
// multiply-adds, so that they are Pillow's to the last bit; inlined into a kernel, they would be compiled like it.

#if defined(__clang__)
#define UNFUSED __attribute__((noinline))
#elif defined(__GNUC__)
#define UNFUSED __attribute__((noinline, optimize("fp-contract=off")))
#else
#define UNFUSED
#endif

constexpr int POINT = 22;  // bits of a weight behind the point

namespace {

// Output `i` is the sum of `count[i]` pixels from `first[i]` on, by their weights from `weights[i * most]` on.
struct Taps {
  int64_t size, most;
  int32_t *first, *count, *weights;

  // From the `side` pixels that start at `start`, of `extent`, to `size` pixels.
  UNFUSED Taps(int64_t extent, int64_t start, int64_t side, int64_t size) : size(size) {
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
    const double scale = double(side) / double(size), reach = std::max(scale, 1.0), slope = 1.0 / reach;
    most = 2 * int64_t(std::ceil(reach)) + 1;
    first = new int32_t[(2 + most) * size];
    count = first + size;
    weights = count + size;
    double* shares = new double[most];
    for (int64_t i = 0; i < size; ++i) {
      const double centre = double(start) + (double(i) + 0.5) * scale;
      first[i] = std::max(int32_t(centre - reach + 0.5), 0);
      count[i] = std::min(int32_t(centre + reach + 0.5), int32_t(extent)) - first[i];
      double sum = 0;
      for (int32_t t = 0; t < count[i]; ++t) {
        const double distance = std::fabs((double(t + first[i]) - centre + 0.5) * slope);
        sum += shares[t] = std::max(1.0 - distance, 0.0);
      }
      for (int32_t t = 0; t < count[i]; ++t) weights[i * most + t] = int32_t(0.5 + shares[t] / sum * (1 << POINT));
    }
    delete[] shares;
  }
  Taps(const Taps&) = delete;
  ~Taps() { delete[] first; }

  int64_t start() const { return first[0]; }
  int64_t end() const { return first[size - 1] + count[size - 1]; }
};

}  // namespace
