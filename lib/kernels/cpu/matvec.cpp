// SPDX-License-Identifier: MIT
// A matrix times a few vectors, for decoding: every weight is read once, so the weights' type decides the speed.
#include "vec.h"

namespace blt::kernels::BLT_ISA {
namespace {

struct Float32 {
  static constexpr int64_t size = 4;
  static int64_t stride(int64_t in) { return in * size; }
  static Vec load(const char* row, int64_t i) { return BLT_ISA::load(reinterpret_cast<const float*>(row) + i); }
  static float get(const char* row, int64_t i) { return reinterpret_cast<const float*>(row)[i]; }
  static float scale(const char*, int64_t) { return 1; }
};
struct BFloat16 {
  static constexpr int64_t size = 2;
  static int64_t stride(int64_t in) { return in * size; }
  static Vec load(const char* row, int64_t i) { return BLT_ISA::load(reinterpret_cast<const Bf16*>(row) + i); }
  static float get(const char* row, int64_t i) { return BLT_ISA::get(reinterpret_cast<const Bf16*>(row) + i); }
  static float scale(const char*, int64_t) { return 1; }
};
struct Int8 {
  static constexpr int64_t size = 1;
  static int64_t stride(int64_t in) { return in + static_cast<int64_t>(sizeof(float)); }
  static Vec load(const char* row, int64_t i) {
    return load_bytes(reinterpret_cast<const int8_t*>(row) + i);
  }
  static float get(const char* row, int64_t i) { return static_cast<float>(reinterpret_cast<const int8_t*>(row)[i]); }
  static float scale(const char* row, int64_t in) {
    float value;
    memcpy(&value, row + in, sizeof value);
    return value;
  }
};

constexpr int steps = 2;  // sums of an output that do not wait for each other: the same however many vectors there are
#if defined(__AVX512F__)
constexpr int group = 8;  // vectors whose sums fit into registers
#else
constexpr int group = 4;
#endif

// One row of the matrix after the other, so that memory is read in its order: what its prefetchers are made for.
template <class Weight, int vectors>
void rows_of(const MatVec& p, const MatVec::Part& part, int64_t begin, int64_t end) {
  const int64_t in = p.in, stride = Weight::stride(in), whole = in / (steps * lanes) * (steps * lanes);
  const char* row = static_cast<const char*>(part.w) + begin * stride;
  for (int64_t o = begin; o < end; ++o, row += stride) {
    Vec sums[steps][vectors] = {};
    int64_t i = 0;
    for (; i < whole; i += steps * lanes) {
      for (int s = 0; s < steps; ++s) {
        const Vec weight = Weight::load(row, i + s * lanes);
        for (int r = 0; r < vectors; ++r) sums[s][r] += weight * load(p.x + r * in + i + s * lanes);
      }
    }
    for (; i + lanes <= in; i += lanes) {
      const Vec weight = Weight::load(row, i);
      for (int r = 0; r < vectors; ++r) sums[0][r] += weight * load(p.x + r * in + i);
    }
    const float scale = Weight::scale(row, in);
    for (int r = 0; r < vectors; ++r) {
      Vec all = sums[0][r];
      for (int s = 1; s < steps; ++s) all += sums[s][r];
      float total = sum(all);
      for (int64_t j = i; j < in; ++j) total += Weight::get(row, j) * p.x[r * in + j];
      part.y[r * part.out + o] = total * scale;
    }
  }
}

// Vectors in groups: the matrix's rows come from the cache after the first.
template <class Weight>
void rows_of(MatVec p, MatVec::Part part, int64_t begin, int64_t end) {
  for (int64_t rows = p.rows; rows > 0; rows -= group, p.x += group * p.in, part.y += group * part.out) {
    switch (rows) {
      case 1: rows_of<Weight, 1>(p, part, begin, end); break;
      case 2: rows_of<Weight, 2>(p, part, begin, end); break;
      case 3: rows_of<Weight, 3>(p, part, begin, end); break;
#if defined(__AVX512F__)
      case 4: rows_of<Weight, 4>(p, part, begin, end); break;
      case 5: rows_of<Weight, 5>(p, part, begin, end); break;
      case 6: rows_of<Weight, 6>(p, part, begin, end); break;
      case 7: rows_of<Weight, 7>(p, part, begin, end); break;
#endif
      default: rows_of<Weight, group>(p, part, begin, end);
    }
  }
}

}  // namespace

void matvec(const MatVec& p) {
  const int64_t bytes = p.type == WeightElement::f32 ? 4 : p.type == WeightElement::bf16 ? 2 : 1;
  // Parts of a task hold the same outputs of the matrices however many threads there are, and enough of them to share out.
  const int64_t step = [&] {
    const int64_t rows = (int64_t{1} << 16) / (bytes * p.in);
    return rows < 8 ? int64_t{8} : rows / 8 * 8;
  }();
  int64_t firsts[MatVec::most_parts + 1] = {};
  for (int64_t i = 0; i < p.count; ++i) firsts[i + 1] = firsts[i] + parts(p.parts[i].out, step);
  for_each_task(firsts[p.count], [&](int64_t task) {
    int64_t i = 0;
    while (task >= firsts[i + 1]) ++i;
    const MatVec::Part& part = p.parts[i];
    const int64_t begin = (task - firsts[i]) * step, end = least(part.out, begin + step);
    switch (p.type) {
      case WeightElement::f32: rows_of<Float32>(p, part, begin, end); break;
      case WeightElement::bf16: rows_of<BFloat16>(p, part, begin, end); break;
      case WeightElement::i8: rows_of<Int8>(p, part, begin, end); break;
    }
  });
}

}  // namespace blt::kernels::BLT_ISA
