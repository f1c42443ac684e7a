// s^-3/4 of float32 without root or division: each of those takes a processor as long as six multiplications.

// Exact to 3e-7 from 2^-126 to infinity, of which it makes 0; NaN stays NaN.
inline float three_quarters(float s) {
  uint32_t bits;
  std::memcpy(&bits, &s, 4);
  bits = 0x4f581890 - (bits >> 2);  // the bits of a number are roughly its logarithm
  float root;
  std::memcpy(&root, &bits, 4);  // s^-1/4 within 3.2 %
  const float square = root * root;
  const float e = 1 - s * square * square;  // |e| < 0.1236; s^-3/4 = root^3 (1 - e)^-3/4, by a fitted polynomial
  const float series = 0.7500000596f + e * (0.6561974883f + e * (0.6014950275f + e * (0.5750424862f + e * 0.5473716259f)));
  const float power = square * root * (1 + e * series);
  return s > 3.4028235e38f ? 0 : power;
}
