// Every kernel, compiled once for each generation of processors, the best one chosen when the library is loaded.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(_WIN32)
#define API extern "C" __declspec(dllexport)
#else
#define API extern "C" __attribute__((visibility("default")))
#endif

#if defined(_WIN32)
API void* PyInit__native() { return nullptr; }  // the linker is told to export it; nobody imports this library
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GENERATIONS 1
#else
#define GENERATIONS 0
#endif

#include "taps.h"

namespace plain {
#include "storage.h"
#include "power.h"
#include "lrn.h"
#include "augment.h"
#include "resize.h"
#include "dot.h"
#include "pool.h"
}  // namespace plain

#if GENERATIONS
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2,f16c")
namespace avx2 {
#include "storage.h"
#include "power.h"
#include "lrn.h"
#include "augment.h"
#include "resize.h"
#include "dot.h"
#include "pool.h"
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi2,f16c,prefer-vector-width=512")
namespace avx512 {
#include "storage.h"
#include "power.h"
#include "lrn.h"
#include "augment.h"
#include "resize.h"
#include "dot.h"
#include "pool.h"
}  // namespace avx512
#pragma GCC pop_options

static const int generation =
    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") ? 2
    : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")                                              ? 1
                                                                                                                   : 0;
#define DISPATCH(call) (generation == 2 ? avx512::call : generation == 1 ? avx2::call : plain::call)
#else
#define DISPATCH(call) plain::call
#endif

API int alexnet_lrn(int dtype, const void* x, const void* gradient, void* out, int64_t outer, int64_t channels,
                    int64_t inner, int half, double k, double alpha, double beta, int rectify) {
  return DISPATCH(lrn(dtype, x, gradient, out, outer, channels, inner, half, k, alpha, beta, rectify));
}

API int alexnet_augment(int dtype, const uint8_t* images, const float* mean, int64_t count, int64_t side,
                        const void* crops, const float* shifts, const float* gains, int64_t size, void* out) {
  return DISPATCH(augment(dtype, images, mean, count, side, crops, shifts, gains, size, out));
}

API void alexnet_resize(const uint8_t* image, int64_t height, int64_t width, int64_t top, int64_t left, int64_t side,
                        int64_t size, uint8_t* out) {
  DISPATCH(resize(image, height, width, top, left, side, size, out));
}

API void alexnet_dot8(const int8_t* weights, const float* scale, const float* bias, const float* x, int64_t outputs,
                      int64_t inputs, float* out) {
  DISPATCH(dot8(weights, scale, bias, x, outputs, inputs, out));
}

API int alexnet_max_pool(int dtype, const void* x, int64_t count, int64_t height, int64_t width, int64_t channels,
                         int64_t window, int64_t stride, int64_t rows, int64_t columns, void* out) {
  return DISPATCH(max_pool(dtype, x, count, height, width, channels, window, stride, rows, columns, out));
}

API void alexnet_squares16(const float* queries, const void* rows, int64_t count, int64_t number, int64_t width,
                           float* out) {
  DISPATCH(squares16(queries, rows, count, number, width, out));
}
