// Storage types: what a value is in memory, and what it is in arithmetic.

struct bfloat16 {
  uint16_t bits;
};

struct float16 {  // IEEE 754's, of finite numbers
  int16_t bits;
};

template <class A, class T> inline A widen(T value) { return A(value); }
// Puts sign, exponent and fraction where float32 has them, and mends the bias of the exponent.
template <> inline float widen<float, float16>(float16 value) {
  const uint32_t bits = (uint32_t(int32_t(value.bits)) << 13) & 0x8fffe000;
  float wide;
  std::memcpy(&wide, &bits, 4);
  return wide * 0x1p112f;
}
template <> inline float widen<float, bfloat16>(bfloat16 value) {
  const uint32_t bits = uint32_t(value.bits) << 16;
  float wide;
  std::memcpy(&wide, &bits, 4);
  return wide;
}

template <class T, class A> inline T narrow(A value) { return T(value); }
// Rounds to nearest even; NaN stays NaN.
template <> inline bfloat16 narrow<bfloat16, float>(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return {uint16_t(value == value ? rounded : 0x7fc0)};
}
