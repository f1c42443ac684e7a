// Local response normalisation, forward and backward, one pass over memory each.
//
// A tensor is seen as (outer, channels, inner): inner = 1 is channels-last (one pixel's channels lie together),
// inner = height * width is contiguous. Both directions work on a tile of 16 lines at most that stays in the
// first-level cache, in float32 (float64 for double), whatever the storage type.

constexpr int kLanes = 16;        // pixels treated together when the layout is contiguous
constexpr int kMaxHalf = 16;      // window sizes up to 33
constexpr int kMaxChannels = 1024;

struct Spec {
  int64_t channels, inner;
  int half;                 // the window reaches this far to both sides
  double k, alpha, beta;
  bool rectify;             // normalise max(x, 0) instead of x
};

// s^-beta; the usual beta = 3/4 by two square roots.
template <class A> inline A power(A s, A beta, bool three_quarters) {
  if (three_quarters) {
    const A root = std::sqrt(s);
    return A(1) / (root * std::sqrt(root));
  }
  return std::pow(s, -beta);
}

// out[c] = the sum of in[c - half .. c + half]; `in` has `half` zero rows of `width` before and after it.
template <class A> inline void window_sum(const A* in, A* out, int64_t count, int64_t width, int half) {
  if (half == 2) {
    for (int64_t i = 0; i < count; ++i)
      out[i] = in[i - 2 * width] + in[i - width] + in[i] + in[i + width] + in[i + 2 * width];
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    A sum = 0;
    for (int j = -half; j <= half; ++j) sum += in[i + j * width];
    out[i] = sum;
  }
}

// One tile: `width` lines of `channels` values, kept as rows [channel][line].
template <class T, class A> struct Tile {
  const Spec& spec;
  int64_t width, count;
  A *x, *padded, *sum, *scale;

  Tile(const Spec& s, int64_t w, A* scratch)
      : spec(s), width(w), count(s.channels * w) {
    const int64_t room = (s.channels + 2 * s.half) * w;
    x = scratch;
    sum = x + count;
    scale = sum + count;
    padded = scale + count + s.half * w;
    std::memset(padded - s.half * w, 0, room * sizeof(A));
  }

  void load(const T* from, A* to) const {
    const int64_t stride = spec.inner;
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = widen<A>(from[i]);
    } else {
      for (int64_t c = 0; c < spec.channels; ++c)
        for (int64_t i = 0; i < width; ++i) to[c * width + i] = widen<A>(from[c * stride + i]);
    }
  }

  void store(const A* from, T* to) const {
    const int64_t stride = spec.inner;
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = narrow<T>(from[i]);
    } else {
      for (int64_t c = 0; c < spec.channels; ++c)
        for (int64_t i = 0; i < width; ++i) to[c * stride + i] = narrow<T>(from[c * width + i]);
    }
  }

  // Loads x and leaves s = k + alpha * (window sum of x^2) in `sum`, s^-beta in `scale`.
  void normalise(const T* from) {
    load(from, x);
    if (spec.rectify)
      for (int64_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? A(0) : x[i];  // NaN stays NaN
    for (int64_t i = 0; i < count; ++i) padded[i] = x[i] * x[i];
    window_sum(padded, sum, count, width, spec.half);
    const A k = A(spec.k), alpha = A(spec.alpha), beta = A(spec.beta);
    if (spec.beta == 0.75) {
      for (int64_t i = 0; i < count; ++i) {
        sum[i] = k + alpha * sum[i];
        scale[i] = power(sum[i], beta, true);
      }
    } else {
      for (int64_t i = 0; i < count; ++i) {
        sum[i] = k + alpha * sum[i];
        scale[i] = power(sum[i], beta, false);
      }
    }
  }

  void forward(const T* from, T* to) {
    normalise(from);
    for (int64_t i = 0; i < count; ++i) x[i] *= scale[i];
    store(x, to);
  }

  // dx_i = g_i s_i^-beta - 2 alpha beta x_i * (window sum over j of g_j x_j s_j^(-beta - 1))
  void backward(const T* from, const T* gradient, T* to, A* g) {
    normalise(from);
    load(gradient, g);
    for (int64_t i = 0; i < count; ++i) padded[i] = g[i] * x[i] * scale[i] / sum[i];
    window_sum(padded, sum, count, width, spec.half);
    const A factor = A(2 * spec.alpha * spec.beta);
    if (spec.rectify) {
      for (int64_t i = 0; i < count; ++i)
        g[i] = x[i] == 0 ? A(0) : g[i] * scale[i] - factor * x[i] * sum[i];
    } else {
      for (int64_t i = 0; i < count; ++i) g[i] = g[i] * scale[i] - factor * x[i] * sum[i];
    }
    store(g, to);
  }
};

template <class T> void run(const T* x, const T* gradient, T* out, int64_t outer, const Spec& spec) {
  using A = typename std::conditional<std::is_same<T, double>::value, double, float>::type;
  const int64_t lanes = spec.inner == 1 ? 1 : kLanes;
  const int64_t tiles = (spec.inner + lanes - 1) / lanes;
#pragma omp parallel
  {
    alignas(64) A scratch[(5 * 256 + 2 * kMaxHalf) * kLanes];
    A* room = scratch;
    const int64_t need = (5 * spec.channels + 2 * spec.half) * lanes;
    if (need > int64_t(sizeof(scratch) / sizeof(A))) room = new A[need];
#pragma omp for schedule(static)
    for (int64_t t = 0; t < outer * tiles; ++t) {
      const int64_t first = (t % tiles) * lanes;
      const int64_t at = (t / tiles) * spec.channels * spec.inner + first;
      const int64_t width = spec.inner - first < lanes ? spec.inner - first : lanes;
      Tile<T, A> tile(spec, width, room);
      if (gradient)
        tile.backward(x + at, gradient + at, out + at, room + 4 * spec.channels * width + 2 * spec.half * width);
      else
        tile.forward(x + at, out + at);
    }
    if (room != scratch) delete[] room;
  }
}

// `gradient` is null for the forward pass. dtype: 0 float32, 1 bfloat16, 2 float16, 3 float64.
inline int lrn(int dtype, const void* x, const void* gradient, void* out, int64_t outer, int64_t channels, int64_t inner,
               int half, double k, double alpha, double beta, int rectify) {
  const Spec spec{channels, inner, half, k, alpha, beta, rectify != 0};
  switch (dtype) {
    case 0: run((const float*)x, (const float*)gradient, (float*)out, outer, spec); return 0;
    case 1: run((const bfloat16*)x, (const bfloat16*)gradient, (bfloat16*)out, outer, spec); return 0;
    case 3: run((const double*)x, (const double*)gradient, (double*)out, outer, spec); return 0;
    default: return 1;
  }
}
