// SPDX-License-Identifier: MIT
// float16 (IEEE 754 binary16), in integer arithmetic: the same on every machine.
#pragma once

#include <bit>
#include <cstdint>

namespace blt {

// To the nearest, ties to even; too large becomes infinity.
inline std::uint16_t half_from_float(float value) {
  // value >> shift, rounded.
  const auto shift_round = [](std::uint32_t bits, unsigned shift) {
    const std::uint32_t kept = bits >> shift;
    const std::uint32_t half = std::uint32_t{1} << (shift - 1);
    const std::uint32_t rest = bits & ((half << 1) - 1);
    return kept + (rest > half || (rest == half && (kept & 1) != 0) ? 1 : 0);
  };
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t exponent = bits >> 23 & 0xff;
  const std::uint32_t mantissa = bits & 0x7fffff;
  if (exponent == 0xff)
    return static_cast<std::uint16_t>(sign | 0x7c00 | (mantissa != 0 ? 0x200 : 0));
  // Exponent biases: 127 and 15. A carry out of the mantissa goes into the exponent, as it should.
  if (exponent >= 113) {
    const std::uint32_t rounded = shift_round((exponent - 112) << 23 | mantissa, 13);
    return static_cast<std::uint16_t>(sign | (rounded < 0x7c00 ? rounded : 0x7c00));
  }
  if (exponent < 102) return static_cast<std::uint16_t>(sign);
  return static_cast<std::uint16_t>(sign | shift_round(mantissa | 0x800000, 126 - exponent));
}

inline float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1f;
  const std::uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: mantissa x 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xff : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

}  // namespace blt
