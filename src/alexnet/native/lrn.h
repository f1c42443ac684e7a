// Local response normalisation, forward and backward, one pass over memory each.
//
// A tensor is seen as (outer, channels, inner): inner = 1 is channels-last (one pixel's channels lie together),
// inner = height * width is contiguous. Both directions work on rows that stay in the nearest caches, in float32
// (float64 for double), whatever the storage type. When the layout is contiguous, a row is a stretch of one channel's
// plane, and waits for the rows of the channels around it; when it is channels-last, a row is a few whole pixels.

constexpr int64_t kStretch = 512;  // pixels of a contiguous row: long enough for the processor to fetch ahead
constexpr int64_t kValues = 640;   // of a channels-last row: so short that fetching and arithmetic overlap

struct Spec {
  int64_t outer, channels, inner;
  int64_t half;             // the window reaches this far to both sides
  double k, alpha, beta;
  bool rectify;             // normalise max(x, 0) instead of x
};

inline int64_t whole_lines(int64_t values) { return (values + 15) / 16 * 16; }

// What one thread works on: the rows that windows reach at a time.
template <class T, class A> struct Rows {
  const Spec& spec;
  const bool last = spec.inner == 1;           // channels-last
  const int64_t gap = last ? spec.half : 0;    // zeros between pixels, so that no window sees another pixel
  const int64_t pixels = last ? std::max<int64_t>(1, std::min(spec.outer, kValues / (spec.channels + gap)))
                              : std::min(spec.inner, kStretch);  // of a row at most
  const int64_t length = whole_lines(last ? pixels * (spec.channels + gap) : pixels);
  const int64_t margin = whole_lines(gap);
  int64_t slots = 1;                           // rows of a kind, a power of two
  const A** around;                            // the values or rows of a window
  A* memory;
  A *x, *scaled, *product, *sum, *zeros;       // `scaled` is g s^-beta, `product` is g x s^(-beta - 1)
  int64_t pieces = 1, width = 0;               // of a row: stretches that lie together in memory, and their values

  explicit Rows(const Spec& s) : spec(s), around(new const A*[2 * s.half + 1]) {
    while (!last && slots < 2 * spec.half + 1) slots *= 2;
    const int64_t size = slots * length;
    memory = new A[3 * size + 4 * margin + 2 * length + 16]();
    x = (A*)((uintptr_t(memory) + 63) / 64 * 64) + margin;
    product = x + size + 2 * margin;
    scaled = product + size + margin;
    sum = scaled + size;
    zeros = sum + length;
  }
  Rows(const Rows&) = delete;
  ~Rows() {
    delete[] memory;
    delete[] around;
  }

  A* at(A* rows, int64_t row) const { return rows + (row & (slots - 1)) * length; }

  // Calls `each(i, j)` for every value of a row: i is its place here, j in the tensor.
  template <class Each> void values(Each each) const {
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t here = p * (width + gap), there = p * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) each(here + i, there + i);
    }
  }

  // Asks for the row after one, to be read or written: it comes while this one is computed.
  void fetch_next(const T* row) const {
#if defined(__GNUC__)
    const char* const next = (const char*)(row + (last ? pieces * width : spec.inner));
    for (int64_t i = 0; i < pieces * width * int64_t(sizeof(T)); i += 64) __builtin_prefetch(next + i);
#endif
  }

  // Calls `use` with a function that gives the sum of `term` over the window around value i of a row.
  template <class Term, class Use> void with_window(A* rows, int64_t row, Term term, Use use) {
    for (int64_t j = -spec.half; j <= spec.half; ++j) {
      const bool outside = row + j < 0 || row + j >= spec.channels;
      around[j + spec.half] = last ? rows + j : outside ? zeros : at(rows, row + j);
    }
    if (spec.half == 2) {
      const A *a = around[0], *b = around[1], *c = around[2], *d = around[3], *e = around[4];
      return use([=](int64_t i) { return term(a[i]) + term(b[i]) + term(c[i]) + term(d[i]) + term(e[i]); });
    }
    A* const sums = sum;
    std::fill_n(sums, length, A(0));
    for (int64_t j = 0; j <= 2 * spec.half; ++j)
      for (int64_t i = 0; i < pieces * (width + gap); ++i) sums[i] += term(around[j][i]);
    use([=](int64_t i) { return sums[i]; });
  }

  void load(int64_t row, const T* from) {
    fetch_next(from);
    A* const to = at(x, row);
    const A lowest = spec.rectify ? A(0) : -std::numeric_limits<A>::infinity();
    values([=](int64_t i, int64_t j) {
      const A value = widen<A>(from[j]);
      to[i] = lowest > value ? lowest : value;  // NaN stays NaN
    });
  }

  // Calls `use` with a function that gives s = k + alpha * (window sum of x^2) around value i.
  template <class Use> void with_s(int64_t row, Use use) {
    const A k = A(spec.k), alpha = A(spec.alpha);
    with_window(x, row, [](A value) { return value * value; },
                [=](auto window) { use([=](int64_t i) { return k + alpha * window(i); }); });
  }

  template <class Power> void forward(int64_t row, T* to, Power power) {
    fetch_next(to);
    const A* const from = at(x, row);
    with_s(row, [=](auto s) {
      values([=](int64_t i, int64_t j) { to[j] = narrow<T>(from[i] * power(s(i))); });
    });
  }

  template <class Power> void weigh(int64_t row, const T* gradient, Power power) {
    fetch_next(gradient);
    const A* const from = at(x, row);
    A *const weighed = at(scaled, row), *const weighed_x = at(product, row);
    with_s(row, [=](auto s) {
      values([=](int64_t i, int64_t j) {
        const A sum = s(i), value = widen<A>(gradient[j]) * power(sum);
        weighed[i] = value;
        weighed_x[i] = value * from[i] / sum;
      });
    });
  }

  // dx_i = g_i s_i^-beta - 2 alpha beta x_i * (window sum over j of g_j x_j s_j^(-beta - 1))
  void backward(int64_t row, T* to) {
    fetch_next(to);
    const A factor = A(2 * spec.alpha * spec.beta), *const from = at(x, row), *const weighed = at(scaled, row);
    const bool rectify = spec.rectify;
    with_window(product, row, [](A value) { return value; }, [=](auto window) {
      values([=](int64_t i, int64_t j) {
        const A slope = weighed[i] - factor * from[i] * window(i);
        to[j] = narrow<T>(rectify & (from[i] == 0) ? A(0) : slope);
      });
    });
  }

  // Takes the channels of `count` pixels; each step waits until the last row of its window is there.
  template <class Power> void run(const T* from, const T* gradient, T* to, int64_t count, Power power) {
    const int64_t stride = spec.inner, rows = last ? 1 : spec.channels, wait = last ? 0 : spec.half;
    pieces = last ? count : 1;
    width = last ? spec.channels : count;
    for (int64_t row = 0; row < rows + (gradient ? 2 : 1) * wait; ++row) {
      const int64_t middle = row - wait, done = middle - wait;
      if (row < rows) load(row, from + row * stride);
      if (middle >= 0 && middle < rows) {
        if (gradient)
          weigh(middle, gradient + middle * stride, power);
        else
          forward(middle, to + middle * stride, power);
      }
      if (gradient && done >= 0) backward(done, to + done * stride);
    }
  }
};

template <class T, class A, class Power>
void run(const T* x, const T* gradient, T* out, const Spec& spec, Power power) {
#pragma omp parallel
  {
    Rows<T, A> rows(spec);
    const int64_t all = rows.last ? spec.outer : spec.inner, planes = rows.last ? 1 : spec.outer;
    const int64_t tiles = (all + rows.pixels - 1) / rows.pixels;
#pragma omp for schedule(static)
    for (int64_t t = 0; t < planes * tiles; ++t) {
      const int64_t first = t % tiles * rows.pixels, count = std::min(rows.pixels, all - first);
      const int64_t at = t / tiles * spec.channels * all + first * (rows.last ? spec.channels : 1);
      rows.run(x + at, gradient ? gradient + at : nullptr, out + at, count, power);
    }
  }
}

template <class T> void choose_power(const T* x, const T* gradient, T* out, const Spec& spec) {
  using A = typename std::conditional<std::is_same<T, double>::value, double, float>::type;
  if (spec.beta != 0.75)
    run<T, A>(x, gradient, out, spec, [&](A s) { return std::pow(s, A(-spec.beta)); });
  else if (std::is_same<A, float>::value && spec.alpha >= 0 && spec.k >= 0x1p-126)
    run<T, A>(x, gradient, out, spec, [](A s) { return A(three_quarters(float(s))); });
  else
    run<T, A>(x, gradient, out, spec, [](A s) { return 1 / (std::sqrt(s) * std::sqrt(std::sqrt(s))); });
}

// `gradient` is null for the forward pass. dtype: 0 float32, 1 bfloat16, 2 float16, 3 float64.
inline int lrn(int dtype, const void* x, const void* gradient, void* out, int64_t outer, int64_t channels, int64_t inner,
               int half, double k, double alpha, double beta, int rectify) {
  const Spec spec{outer, channels, inner, half, k, alpha, beta, rectify != 0};
  switch (dtype) {
    case 0: choose_power((const float*)x, (const float*)gradient, (float*)out, spec); return 0;
    case 1: choose_power((const bfloat16*)x, (const bfloat16*)gradient, (bfloat16*)out, spec); return 0;
    case 3: choose_power((const double*)x, (const double*)gradient, (double*)out, spec); return 0;
    default: return 1;
  }
}
