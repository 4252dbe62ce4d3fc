// SPDX-License-Identifier: MIT
// Vectors of floats through the compiler's vector extension, as wide as the instruction set's registers: one source, compiled
// once an instruction set. (g++ keeps wider ones in memory, which costs a factor of ten.) Everything here lives in the
// instruction set's own namespace, so that no linker mixes the copies.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <type_traits>

#include "blt/kernels/kernels.h"

namespace blt::kernels::BLT_ISA {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
#elif defined(__AVX2__)
inline constexpr int lanes = 8;
#else
inline constexpr int lanes = 4;
#endif
typedef float Vec __attribute__((vector_size(4 * lanes), aligned(4), may_alias));
typedef int32_t VecInt __attribute__((vector_size(4 * lanes), aligned(4), may_alias));
typedef uint32_t VecBits __attribute__((vector_size(4 * lanes), aligned(4), may_alias));
typedef uint16_t VecHalf __attribute__((vector_size(2 * lanes), aligned(2), may_alias));

// Before a loop over an array of vectors: unrolled first of all, so that the array lies in registers.
#if defined(__clang__)
#define BLT_UNROLLED _Pragma("unroll")
#define BLT_UNROLLED_BY_4 _Pragma("unroll 4")
#else
#define BLT_UNROLLED _Pragma("GCC unroll 16")
#define BLT_UNROLLED_BY_4 _Pragma("GCC unroll 4")
#endif
// Keeps the compiler from loading x again for each use.
static inline void keep_in_register([[maybe_unused]] Vec& x) {
#if defined(__AVX512F__)
  asm("" : "+v"(x));
#elif defined(__AVX2__)
  asm("" : "+x"(x));
#endif
}

struct Bf16 {
  uint16_t bits;
};

static inline Vec splat(float x) { return Vec{} + x; }
static inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
static inline void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }

// Widening loads. g++ 12 takes the generic ones apart, so the instruction sets have their own; its unmasked ones warn.
#if defined(__AVX512F__)
inline constexpr __mmask16 all = 0xffff;
#endif
static inline Vec load(const Bf16* p) {
#if defined(__AVX512F__)
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (Vec)_mm512_maskz_slli_epi32(all, _mm512_maskz_cvtepu16_epi32(all, half), 16);
#elif defined(__AVX2__)
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (Vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
#else
  const VecHalf half = *reinterpret_cast<const VecHalf*>(p);
  const VecBits bits = __builtin_convertvector(half, VecBits) << 16;
  return reinterpret_cast<const Vec&>(bits);
#endif
}
static inline Vec load_bytes(const int8_t* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (Vec)_mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepi8_epi32(all, bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (Vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
#else
  Vec out;
  for (int i = 0; i < lanes; ++i) out[i] = static_cast<float>(p[i]);
  return out;
#endif
}
static inline void store(Bf16* p, Vec x) {  // round to nearest even
  const VecBits bits = reinterpret_cast<const VecBits&>(x);
  const VecBits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  *reinterpret_cast<VecHalf*>(p) = __builtin_convertvector(rounded, VecHalf);
}

static inline float get(const float* p) { return *p; }
static inline void put(float* p, float x) { *p = x; }
static inline float get(const Bf16* p) {
  const uint32_t bits = static_cast<uint32_t>(p->bits) << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline void put(Bf16* p, float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  p->bits = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
static inline float sum(Vec x) {
  float parts[lanes];
  store(parts, x);
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
  }
  return parts[0];
}
template <int half>
static inline Vec fold(Vec a, Vec b) {
  VecInt low, high;
  for (int i = 0; i < lanes; ++i) {
    const int from = i / half * 2 * half + i % half;  // lanes of b come after those of a
    low[i] = from;
    high[i] = from + half;
  }
  return __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
}

// The sums of `lanes` vectors, in their order.
template <int half = lanes / 2>
static inline Vec sums(const Vec* x) {
  Vec folded[half];
  BLT_UNROLLED for (int i = 0; i < half; ++i) folded[i] = fold<half>(x[2 * i], x[2 * i + 1]);
  if constexpr (half == 1) return folded[0];
  else return sums<half / 2>(folded);
}

static inline float maximum(Vec x) {
  float parts[lanes];
  store(parts, x);
  float most = parts[0];
  for (int i = 1; i < lanes; ++i) most = parts[i] > most ? parts[i] : most;
  return most;
}

// e^x with relative error below 2e-7; results under 2^-126 become 0.
static inline Vec exp(Vec x) {
  x = x < -87.3f ? splat(-87.3f) : x;
  x = x > 88.7f ? splat(88.7f) : x;
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vec shifted = x * 1.44269504088896341f + magic;
  const Vec whole = shifted - magic;
  const Vec r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const VecInt exponent = __builtin_convertvector(whole, VecInt) << 23;
  const VecInt bits = reinterpret_cast<const VecInt&>(p) + exponent;
  return reinterpret_cast<const Vec&>(bits);
}


template <class Body>
static inline void for_each_task(int64_t tasks, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  parallel()(tasks, [](void* context, int64_t task) { (*static_cast<Plain*>(context))(task); },
             const_cast<void*>(static_cast<const void*>(&body)));
}

// Rows in parts of about this many numbers, for elementwise kernels.
static inline int64_t rows_per_task(int64_t dim) {
  const int64_t rows = 32768 / (dim > 0 ? dim : 1);
  return rows > 0 ? rows : 1;
}
static inline int64_t parts(int64_t count, int64_t size) { return (count + size - 1) / size; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace blt::kernels::BLT_ISA
