// SPDX-License-Identifier: MIT
// A matrix times a few vectors, for decoding: every weight is read once, so the weights' type decides the speed.
#include <stdlib.h>

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

inline void store_some(float* out, Vec y, int64_t count) {
  if (count >= lanes) return store(out, y);
  for (int64_t i = 0; i < count; ++i) out[i] = y[i];
}

// Vectors as they are.
struct Floats {
  const float* x;
  explicit Floats(const MatVec& p) : x(static_cast<const float*>(p.x)) {}
};

// Layouts of a matrix: what they read the vectors as, the bytes of a weight, how many vectors go together, and run(), which gives
// outputs [o, o + count) of `vectors` vectors, from the first on; count is at most `outputs`. The sums of an output are added in one
// order, however many vectors there are.

// Rows as they are. One vector is bound by memory, and takes row after row, in the order that prefetchers are made for; several, or short
// lanes, are bound by arithmetic, and take four rows at a time, which share what is loaded.
template <class Weight>
struct ByRows {
  using Input = Floats;
  static constexpr int64_t size = Weight::size, outputs = lanes, rows = 4;
  static constexpr int together = lanes == 16 ? 6 : lanes == 8 ? 3 : 2;  // sums, inputs and a weight fill the registers

  template <int vectors>
  static void run(const MatVec& p, Floats input, const MatVec::Part& part, int64_t first, int64_t o, int64_t count) {
    const int64_t stride = p.in * size;
    Vec folded[vectors][outputs / rows] = {};
    for (int64_t r = 0; r < count; r += rows) {
      const char* row[rows];
      for (int64_t i = 0; i < rows; ++i) row[i] = static_cast<const char*>(part.w) + (o + least(r + i, count - 1)) * stride;
      Vec acc[rows][vectors] = {};
      if (vectors == 1 && lanes > 4) {
        BLT_UNROLLED for (int64_t i = 0; i < rows; ++i) add_products<1, vectors>(row + i, stride, input.x + first * p.in, p.in, acc + i);
      } else {
        add_products<rows, vectors>(row, stride, input.x + first * p.in, p.in, acc);
      }
      BLT_UNROLLED for (int v = 0; v < vectors; ++v)
        folded[v][r / rows] = fold<lanes / 4>(fold<lanes / 2>(acc[0][v], acc[1][v]), fold<lanes / 2>(acc[2][v], acc[3][v]));
    }
    for (int v = 0; v < vectors; ++v) {
      Vec y = folded[v][0];
      if constexpr (lanes > 4) y = sums<lanes / 8>(folded[v]);
      store_some(static_cast<float*>(part.y) + (first + v) * part.out + o, y, count);
    }
  }

 private:
  // acc[row][vector] += their products, lane by lane.
  template <int beside, int vectors>
  static inline void add_products(const char* const* row, int64_t stride, const float* x, int64_t in, Vec (*acc)[vectors]) {
    constexpr int64_t least_ahead = 1 << 13;
    const char* ahead = row[0] + parts(least_ahead, beside * stride) * beside * stride;  // rows to come, in the order of memory
    int64_t i = 0;
    // Unrolled, so that the next row's sums begin before this one's end; and with AVX2 g++ then keeps all in registers.
    BLT_UNROLLED_BY_4 for (; i + lanes <= in; i += lanes) {
      if (beside > 1) {
        BLT_UNROLLED for (int64_t b = 0; b < beside * lanes * size; b += 64) __builtin_prefetch(ahead + i * beside * size + b, 0, 2);
      }
      Vec inputs[vectors];
      BLT_UNROLLED for (int v = 0; v < vectors; ++v) {
        inputs[v] = load(x + v * in + i);
        keep_in_register(inputs[v]);
      }
      BLT_UNROLLED for (int r = 0; r < beside; ++r) {
        Vec weight = Weight::load(row[r], i);
        keep_in_register(weight);
        BLT_UNROLLED for (int v = 0; v < vectors; ++v) acc[r][v] += weight * inputs[v];
      }
    }
    for (; i < in; ++i) {
      for (int r = 0; r < beside; ++r) {
        for (int v = 0; v < vectors; ++v) acc[r][v][0] += Weight::get(row[r], i) * x[v * in + i];
      }
    }
  }
};

// Weights that lie in groups of rows, by runs of `columns` columns: lanes are outputs, and what is read lies in one run.
struct GroupedBFloat16 {
  static constexpr int64_t size = 2, columns = 2, scale_bytes = 0;
  static void load(const char* run, Vec* out) {
    const VecBits pairs = *reinterpret_cast<const VecBits*>(run);
    const VecBits first = pairs << 16, second = pairs & 0xffff0000u;
    out[0] = reinterpret_cast<const Vec&>(first);
    out[1] = reinterpret_cast<const Vec&>(second);
  }
};
struct GroupedInt8 {
  static constexpr int64_t size = 1, columns = 1, scale_bytes = i8_scale_bytes;
  static void load(const char* run, Vec* out) { out[0] = load_bytes(reinterpret_cast<const int8_t*>(run)); }
};

// Calls add(run, i, chain) for the runs of a group of `count` rows: from column i on, padded to whole runs of 16 rows.
template <int64_t columns, int64_t size, int64_t chains, class Add>
inline void each_run(const char* group, int64_t in, int64_t count, Add&& add) {
  constexpr int64_t run_bytes = group_rows * columns * size;
  int64_t i = 0;
  if (count == group_rows) {
    for (; i + chains * columns <= in; i += chains * columns) {
      BLT_UNROLLED for (int chain = 0; chain < chains; ++chain)
        add(group + (i / columns + chain) * run_bytes, i + chain * columns, chain);
    }
  }
  for (int chain = 0; i < in; i += columns, chain = (chain + 1) % chains) {
    const int64_t width = least(columns, in - i);
    alignas(64) char run[run_bytes] = {};
    for (int64_t r = 0; r < count; ++r)
      memcpy(run + r * columns * size, group + (i * count + r * width) * size, static_cast<size_t>(width * size));
    add(run, i, chain);
  }
}

// The scales of a group, padded.
struct Scales {
  alignas(64) float values[group_rows] = {};
  Scales(const char* from, int64_t count) { memcpy(values, from, static_cast<size_t>(count) * sizeof(float)); }
};

template <class Weight>
struct ByColumns {
  using Input = Floats;
  static constexpr int64_t size = Weight::size, outputs = group_rows;
  static constexpr int together = lanes == 16 ? 4 : 3;
  // Sums of an output that do not wait for each other.
  static constexpr int wide = group_rows / lanes, sums = lanes == 16 ? 4 : 2, chains = sums / Weight::columns;

  template <int vectors>
  static void run(const MatVec& p, Floats input, const MatVec::Part& part, int64_t first, int64_t o, int64_t count) {
    const char* group = static_cast<const char*>(part.w) + o * (p.in * size + Weight::scale_bytes);
    const float* x = input.x + first * p.in;
    Vec acc[vectors][wide][sums] = {};
    each_run<Weight::columns, size, chains>(group, p.in, count, [&](const char* run, int64_t i, int chain) __attribute__((always_inline)) {
      BLT_UNROLLED for (int h = 0; h < wide; ++h) {
        Vec weights[Weight::columns];
        Weight::load(run + h * lanes * Weight::columns * size, weights);
        BLT_UNROLLED for (int c = 0; c < Weight::columns; ++c) {
          if (c > 0 && i + c == p.in) break;
          BLT_UNROLLED for (int v = 0; v < vectors; ++v)
            acc[v][h][chain * Weight::columns + c] += weights[c] * x[v * p.in + i + c];
        }
      }
    });
    const Scales scales(group + p.in * count * size, Weight::scale_bytes > 0 ? count : 0);
    for (int v = 0; v < vectors; ++v) {
      float* out = static_cast<float*>(part.y) + (first + v) * part.out + o;
      for (int h = 0; h < wide && h * lanes < count; ++h) {
        Vec y = acc[v][h][0];
        for (int s = 1; s < sums; ++s) y += acc[v][h][s];
        if (Weight::scale_bytes > 0) y *= load(scales.values + h * lanes);
        store_some(out + h * lanes, y, count - h * lanes);
      }
    }
  }
};

#if defined(__AVX512VNNI__)
// Vectors as whole numbers of three digits of 8 bits, beside their largest number: what float32 has of it too. Products of
// digits and int8 weights and their sums are exact, in any order.
class Digits {
 public:
  static constexpr int count = 3;

  explicit Digits(const MatVec& p) : stride_(parts(p.in, 64) * 16) {
    static thread_local Memory memory;  // of the calling thread; the others read it
    data_ = memory.at_least(p.rows * count * stride_);
    for (int64_t v = 0; v < p.rows; ++v) split(static_cast<const float*>(p.x) + v * p.in, v, p.in);
  }
  // Of columns [4 q, 4 q + 4).
  int32_t get(int64_t v, int digit, int64_t q) const { return data_[(v * stride_ + q / 4 * 4) * count + digit * 4 + q % 4]; }
  int32_t sum(int64_t v, int digit) const { return sums_[v][digit]; }
  float unit(int64_t v) const { return units_[v]; }  // what 1 stands for

 private:
  struct Memory {
    int32_t* data = nullptr;
    int64_t size = 0;
    ~Memory() { free(data); }
    int32_t* at_least(int64_t wanted) {
      if (wanted > size) {
        free(data);
        size = wanted;
        data = static_cast<int32_t*>(aligned_alloc(64, static_cast<size_t>(4 * wanted)));  // a multiple of 64
        if (!data) abort();
      }
      return data;
    }
  };

  void split(const float* x, int64_t v, int64_t in) {
    const auto some = [in](int64_t i) { return static_cast<__mmask16>(in - i >= lanes ? 0xffff : (1 << (in - i)) - 1); };
    VecInt bits = {};
    for (int64_t i = 0; i < in; i += lanes) {
      const auto magnitude = (VecInt)_mm512_maskz_loadu_ps(some(i), x + i) & 0x7fffffff;
      bits = magnitude > bits ? magnitude : bits;
    }
    int32_t most_bits = 0;
    for (int i = 0; i < lanes; ++i) most_bits = bits[i] > most_bits ? bits[i] : most_bits;
    float most;
    memcpy(&most, &most_bits, sizeof most);
    constexpr float largest = 8e6f;  // below 2^23 - 2^15, from where on the first digit would be 128
    const bool whole = most_bits < 0x7f800000, any = most > 1e-30f;
    units_[v] = !whole ? __builtin_nanf("") : any ? most / largest : 0;  // infinities and NaN make all outputs NaN
    const float factor = whole && any ? largest / most : 0;
    auto* digits = reinterpret_cast<int8_t*>(data_ + v * stride_ * count);
    VecInt sums[count] = {};
    for (int64_t i = 0; i < in; i += lanes) {
      const Vec scaled = (Vec)_mm512_maskz_loadu_ps(some(i), x + i) * factor;
      VecInt rest = (VecInt)_mm512_maskz_cvtps_epi32(all, (__m512)scaled);
      for (int d = 0; d < count; ++d) {
        const VecInt digit = (rest << 24) >> 24;
        rest = (rest - digit) >> 8;
        sums[d] += digit;
        _mm_store_si128(reinterpret_cast<__m128i*>(digits + i * count + d * lanes), _mm512_maskz_cvtepi32_epi8(all, (__m512i)digit));
      }
    }
    for (int d = 0; d < count; ++d) {
      sums_[v][d] = 0;
      for (int i = 0; i < lanes; ++i) sums_[v][d] += sums[d][i];
    }
  }

  int64_t stride_;  // of a digit, in groups of four columns
  int32_t* data_;
  float units_[few_rows];
  int32_t sums_[few_rows][count];
};

// int8 by runs of four columns, as one instruction multiplies and adds them. It wants its first numbers unsigned, so 128 is added
// to the weights, and taken off the sums.
struct ByDigits {
  using Input = Digits;
  static constexpr int64_t size = 1, outputs = group_rows, columns = 4;
  static constexpr int together = 4;

  template <int vectors>
  static void run(const MatVec& p, const Digits& digits, const MatVec::Part& part, int64_t first, int64_t o, int64_t count) {
    const char* group = static_cast<const char*>(part.w) + o * (p.in + i8_scale_bytes);
    __m512i acc[vectors][Digits::count];
    BLT_UNROLLED for (int v = 0; v < vectors; ++v) {
      BLT_UNROLLED for (int d = 0; d < Digits::count; ++d) acc[v][d] = _mm512_set1_epi32(-128 * digits.sum(first + v, d));
    }
    each_run<columns, size, 1>(group, p.in, count, [&](const char* run, int64_t i, int) __attribute__((always_inline)) {
      const __m512i weights = _mm512_xor_si512(_mm512_loadu_si512(run), _mm512_set1_epi8(-128));
      BLT_UNROLLED for (int v = 0; v < vectors; ++v) {
        BLT_UNROLLED for (int d = 0; d < Digits::count; ++d)
          acc[v][d] = _mm512_dpbusd_epi32(acc[v][d], weights, _mm512_set1_epi32(digits.get(first + v, d, i / columns)));
      }
    });
    const Scales scales(group + p.in * count, count);
    for (int v = 0; v < vectors; ++v) {
      Vec y = {};
      for (int d = Digits::count - 1; d >= 0; --d) y = y * 256.0f + __builtin_convertvector((VecInt)acc[v][d], Vec);  // 256: exactly
      store_some(static_cast<float*>(part.y) + (first + v) * part.out + o, y * digits.unit(first + v) * load(scales.values), count);
    }
  }
};
using Int8 = ByDigits;
#else
using Int8 = ByColumns<GroupedInt8>;
#endif

template <class Layout, int vectors = Layout::together>
void run_of(int64_t wanted, const MatVec& p, const typename Layout::Input& x, const MatVec::Part& part, int64_t first, int64_t o,
            int64_t count) {
  if constexpr (vectors > 0) {
    if (wanted == vectors) return Layout::template run<vectors>(p, x, part, first, o, count);
    run_of<Layout, vectors - 1>(wanted, p, x, part, first, o, count);
  }
}

// Vectors in groups of like size: the matrix comes from the cache after the first.
template <class Layout>
void outputs_of(const MatVec& p, const typename Layout::Input& x, const MatVec::Part& part, int64_t begin, int64_t end) {
  const int64_t groups = parts(p.rows, Layout::together);
  for (int64_t o = begin; o < end; o += Layout::outputs) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t first = p.rows * g / groups;
      run_of<Layout>(p.rows * (g + 1) / groups - first, p, x, part, first, o, least(Layout::outputs, end - o));
    }
  }
}

// Tasks are runs of outputs of one part, the same however many threads there are, and enough of them to share out. All that
// a thread needs lies together here.
template <class Layout>
struct Tasks {
  MatVec p;
  typename Layout::Input x;
  int64_t step, firsts[MatVec::most_parts + 1] = {};

  explicit Tasks(const MatVec& product) : p(product), x(p) {
    constexpr int64_t task_bytes = 1 << 15;
    step = task_bytes / (Layout::size * p.in) / group_rows * group_rows;
    if (step == 0) step = group_rows;
    for (int64_t i = 0; i < p.count; ++i) firsts[i + 1] = firsts[i] + parts(p.parts[i].out, step);
  }

  void operator()(int64_t task) const {
    int64_t i = 0;
    while (task >= firsts[i + 1]) ++i;
    const int64_t begin = (task - firsts[i]) * step;
    outputs_of<Layout>(p, x, p.parts[i], begin, least(p.parts[i].out, begin + step));
  }
};

template <class Layout>
void run(const MatVec& p) {
  const Tasks<Layout> tasks(p);
  for_each_task(tasks.firsts[p.count], tasks);
}

}  // namespace

void matvec(const MatVec& p) {
  switch (p.type) {
    case WeightElement::f32: return run<ByRows<Float32>>(p);
    case WeightElement::bf16: return run<ByRows<BFloat16>>(p);
    case WeightElement::grouped_bf16: return run<ByColumns<GroupedBFloat16>>(p);
    case WeightElement::grouped_i8: return run<Int8>(p);
  }
}

}  // namespace blt::kernels::BLT_ISA
