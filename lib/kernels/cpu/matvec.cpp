// SPDX-License-Identifier: MIT
// A matrix times a few vectors, for decoding: every weight is read once, so the weights' type decides the speed.
#include "vec.h"

namespace blt::kernels::BLT_ISA {
namespace {

typedef int8_t VecByte __attribute__((vector_size(16), aligned(1), may_alias));

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
  static int64_t stride(int64_t in) { return in + static_cast<int64_t>(sizeof(float)); }
  static Vec load(const char* row, int64_t i) {
    return __builtin_convertvector(*reinterpret_cast<const VecByte*>(row + i), Vec);
  }
  static float get(const char* row, int64_t i) { return static_cast<float>(reinterpret_cast<const int8_t*>(row)[i]); }
  static float scale(const char* row, int64_t in) {
    float value;
    memcpy(&value, row + in, sizeof value);
    return value;
  }
};

// `outputs` rows of the matrix against `vectors` rows of x: as many sums in registers.
template <class Weight, int vectors, int outputs>
void block(const char* w, const float* x, float* y, int64_t in, int64_t y_stride) {
  const int64_t stride = Weight::stride(in), whole = in / lanes * lanes;
  Vec sums[outputs][vectors] = {};
  for (int64_t i = 0; i < whole; i += lanes) {
    Vec xs[vectors];
    for (int r = 0; r < vectors; ++r) xs[r] = load(x + r * in + i);
    for (int o = 0; o < outputs; ++o) {
      const Vec weight = Weight::load(w + o * stride, i);
      for (int r = 0; r < vectors; ++r) sums[o][r] += weight * xs[r];
    }
  }
  for (int o = 0; o < outputs; ++o) {
    const char* row = w + o * stride;
    const float scale = Weight::scale(row, in);
    for (int r = 0; r < vectors; ++r) {
      float total = sum(sums[o][r]);
      for (int64_t i = whole; i < in; ++i) total += Weight::get(row, i) * x[r * in + i];
      y[r * y_stride + o] = total * scale;
    }
  }
}

template <class Weight, int vectors>
void rows_of(const MatVec& p, const MatVec::Part& part, int64_t begin, int64_t end) {
  constexpr int outputs = vectors <= 2 ? 8 : vectors <= 4 ? 4 : 2;  // at most 16 sums
  const char* w = static_cast<const char*>(part.w);
  const int64_t stride = Weight::stride(p.in);
  int64_t o = begin;
  for (; o + outputs <= end; o += outputs) block<Weight, vectors, outputs>(w + o * stride, p.x, part.y + o, p.in, part.out);
  for (; o < end; ++o) block<Weight, vectors, 1>(w + o * stride, p.x, part.y + o, p.in, part.out);
}

template <class Weight>
void rows_of(const MatVec& p, const MatVec::Part& part, int64_t begin, int64_t end) {
  using Function = void (*)(const MatVec&, const MatVec::Part&, int64_t, int64_t);
  static constexpr Function functions[most_vectors] = {rows_of<Weight, 1>, rows_of<Weight, 2>, rows_of<Weight, 3>, rows_of<Weight, 4>,
                                                       rows_of<Weight, 5>, rows_of<Weight, 6>, rows_of<Weight, 7>, rows_of<Weight, 8>};
  functions[p.rows - 1](p, part, begin, end);
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
