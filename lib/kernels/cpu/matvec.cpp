// SPDX-License-Identifier: MIT
// A matrix times a few vectors, for decoding: every weight is read once, so the weights' type decides the speed.
#include "vec.h"

namespace blt::kernels::BLT_ISA {
namespace {

struct Float32 {
  static constexpr int64_t size = 4;
  static Vec load(const char* row, int64_t i) { return BLT_ISA::load(reinterpret_cast<const float*>(row) + i); }
  static float get(const char* row, int64_t i) { return reinterpret_cast<const float*>(row)[i]; }
};
struct BFloat16 {
  static constexpr int64_t size = 2;
  static Vec load(const char* row, int64_t i) { return BLT_ISA::load(reinterpret_cast<const Bf16*>(row) + i); }
  static float get(const char* row, int64_t i) { return BLT_ISA::get(reinterpret_cast<const Bf16*>(row) + i); }
};

constexpr int steps = 2;     // sums of an output that do not wait for each other: the same however many vectors there are
constexpr int block = lanes;  // outputs whose sums are folded together
// Vectors whose sums fit into registers, and rows of several vectors at once: as many as there are registers left.
#if defined(__AVX512F__)
constexpr int group = 4;
constexpr int beside(int vectors) { return vectors == 1 ? 1 : vectors < 4 ? 4 : 2; }
#elif defined(__AVX2__)
constexpr int group = 3;
constexpr int beside(int vectors) { return vectors == 1 ? 1 : 2; }
#else
constexpr int group = 3;
constexpr int beside(int) { return 1; }
#endif

// `rows` rows of the matrix and `vectors` vectors: sums[vector][row]. One vector is bound by memory, and reads one row
// after the other, in the order that prefetchers are made for; several are bound by arithmetic, and share what is loaded.
template <class Weight, int rows, int vectors>
inline void products(const char* row, int64_t stride, const float* x, int64_t in, Vec (*sums)[block]) {
  Vec acc[rows][vectors][steps] = {};
  const auto add = [&](int64_t i, int s) __attribute__((always_inline)) {
    Vec inputs[vectors];
    BLT_UNROLLED for (int v = 0; v < vectors; ++v) {
      inputs[v] = load(x + v * in + i);
      if (vectors > 3 && rows > 1) keep_in_register(inputs[v]);  // fewer stay there by themselves
    }
    BLT_UNROLLED for (int r = 0; r < rows; ++r) {
      Vec weight = Weight::load(row + r * stride, i);
      if (vectors > 1) keep_in_register(weight);
      BLT_UNROLLED for (int v = 0; v < vectors; ++v) acc[r][v][s] += weight * inputs[v];
    }
  };
  const int64_t whole = in / (steps * lanes) * (steps * lanes);
  int64_t i = 0;
  for (; i < whole; i += steps * lanes) {
    if (rows > 1) {
      for (int64_t b = 0; b < rows * steps * lanes * Weight::size; b += 64)
        __builtin_prefetch(row + rows * stride + i * rows * Weight::size + b, 0, 2);
    }
    BLT_UNROLLED for (int s = 0; s < steps; ++s) add(i + s * lanes, s);
  }
  for (; i + lanes <= in; i += lanes) add(i, 0);
  BLT_UNROLLED for (int v = 0; v < vectors; ++v) {
    BLT_UNROLLED for (int r = 0; r < rows; ++r) {
      sums[v][r] = acc[r][v][0];
      for (int s = 1; s < steps; ++s) sums[v][r] += acc[r][v][s];
    }
  }
  for (; i < in; ++i) {
    for (int v = 0; v < vectors; ++v) {
      for (int r = 0; r < rows; ++r) sums[v][r][0] += Weight::get(row + r * stride, i) * x[v * in + i];
    }
  }
}

inline void store_some(float* out, Vec y, int64_t count) {
  if (count >= lanes) return store(out, y);
  for (int64_t i = 0; i < count; ++i) out[i] = y[i];
}

// Layouts of a matrix: run() gives outputs [o, o + count) of `vectors` vectors, from the first on; count is at most `outputs`.
template <class Weight>
struct ByRows {
  static constexpr int64_t outputs = block;

  template <int vectors>
  static void run(const MatVec& p, const MatVec::Part& part, int64_t first, int64_t o, int64_t count) {
    constexpr int rows = beside(vectors);
    const int64_t stride = p.in * Weight::size;
    const char* row = static_cast<const char*>(part.w) + o * stride;
    const float* x = static_cast<const float*>(p.x) + first * p.in;
    Vec all[vectors][block];
    if (count < block) memset(all, 0, sizeof all);
    int64_t r = 0;
    for (; r + rows <= count; r += rows) {
      products<Weight, rows, vectors>(row + r * stride, stride, x, p.in, reinterpret_cast<Vec(*)[block]>(&all[0][r]));
    }
    for (; r < count; ++r) {
      products<Weight, 1, vectors>(row + r * stride, stride, x, p.in, reinterpret_cast<Vec(*)[block]>(&all[0][r]));
    }
    for (int v = 0; v < vectors; ++v) {
      store_some(static_cast<float*>(part.y) + (first + v) * part.out + o, sums(all[v]), count);
    }
  }
};

// int8: column after column of a group of rows, so that lanes are outputs, and what is read lies in one run.
struct ByColumns {
  static constexpr int64_t outputs = i8_group;
  static constexpr int wide = i8_group / lanes, chains = lanes == 16 ? 4 : 2;  // sums of an output that do not wait for each other

  template <int vectors>
  static void run(const MatVec& p, const MatVec::Part& part, int64_t first, int64_t o, int64_t count) {
    const int8_t* w = static_cast<const int8_t*>(part.w) + o * (p.in + i8_scale_bytes);
    const float* x = static_cast<const float*>(p.x) + first * p.in;
    Vec acc[vectors][wide][chains] = {};
    const auto add = [&](const int8_t* column, int64_t i, int chain) __attribute__((always_inline)) {
      BLT_UNROLLED for (int h = 0; h < wide; ++h) {
        const Vec weight = load_bytes(column + h * lanes);
        BLT_UNROLLED for (int v = 0; v < vectors; ++v) acc[v][h][chain] += weight * x[v * p.in + i];
      }
    };
    int64_t i = 0;
    if (count == i8_group) {
      for (; i + chains <= p.in; i += chains) {
        BLT_UNROLLED for (int chain = 0; chain < chains; ++chain) add(w + (i + chain) * i8_group, i + chain, chain);
      }
      for (int chain = 0; i < p.in; ++i, ++chain) add(w + i * i8_group, i, chain);
    } else {
      int8_t column[i8_group] = {};
      for (; i < p.in; ++i) {
        memcpy(column, w + i * count, static_cast<size_t>(count));
        add(column, i, static_cast<int>(i % chains));
      }
    }
    alignas(64) float scales[i8_group] = {};
    memcpy(scales, w + p.in * count, static_cast<size_t>(count * i8_scale_bytes));
    for (int v = 0; v < vectors; ++v) {
      float* out = static_cast<float*>(part.y) + (first + v) * part.out + o;
      for (int h = 0; h < wide && h * lanes < count; ++h) {
        Vec y = acc[v][h][0];
        for (int chain = 1; chain < chains; ++chain) y += acc[v][h][chain];
        store_some(out + h * lanes, y * load(scales + h * lanes), count - h * lanes);
      }
    }
  }
};

// Vectors in groups: the matrix comes from the cache after the first.
template <class Layout>
void outputs_of(const MatVec& p, const MatVec::Part& part, int64_t begin, int64_t end) {
  const int64_t groups = (p.rows + group - 1) / group;
  for (int64_t o = begin; o < end; o += Layout::outputs) {
    const int64_t count = least(Layout::outputs, end - o);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t first = p.rows * g / groups;
      switch (p.rows * (g + 1) / groups - first) {
        case 1: Layout::template run<1>(p, part, first, o, count); break;
        case 2: Layout::template run<2>(p, part, first, o, count); break;
        case 3: Layout::template run<3>(p, part, first, o, count); break;
        case 4: Layout::template run<group>(p, part, first, o, count); break;
      }
    }
  }
}

int64_t bytes_of(WeightElement type) { return type == WeightElement::f32 ? 4 : type == WeightElement::bf16 ? 2 : 1; }

// Tasks are runs of outputs of one part, the same however many threads there are, and enough of them to share out. All that
// a thread needs lies together here.
struct Tasks {
  MatVec p;
  int64_t step, firsts[MatVec::most_parts + 1] = {};

  explicit Tasks(const MatVec& product) : p(product) {
    constexpr int64_t task_bytes = 1 << 15;
    step = task_bytes / (bytes_of(p.type) * p.in) / i8_group * i8_group;
    if (step == 0) step = i8_group;
    for (int64_t i = 0; i < p.count; ++i) firsts[i + 1] = firsts[i] + parts(p.parts[i].out, step);
  }

  void operator()(int64_t task) const {
    int64_t i = 0;
    while (task >= firsts[i + 1]) ++i;
    const MatVec::Part& part = p.parts[i];
    const int64_t begin = (task - firsts[i]) * step, end = least(part.out, begin + step);
    switch (p.type) {
      case WeightElement::f32: outputs_of<ByRows<Float32>>(p, part, begin, end); break;
      case WeightElement::bf16: outputs_of<ByRows<BFloat16>>(p, part, begin, end); break;
      case WeightElement::i8: outputs_of<ByColumns>(p, part, begin, end); break;
    }
  }
};

}  // namespace

void matvec(const MatVec& p) {
  const Tasks tasks(p);
  for_each_task(tasks.firsts[p.count], tasks);
}

}  // namespace blt::kernels::BLT_ISA
