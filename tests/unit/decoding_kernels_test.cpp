// SPDX-License-Identifier: MIT
// The two kernels of decoding, matvec and attention of a few queries, by every instruction set of
// this machine against sums in float64; and their promise, which speculation rests on: neither the
// rows beside a row nor the number of threads change a bit of it.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "kernel_cases.h"

using namespace blt::kernels;
using namespace kernel_cases;

namespace {

std::vector<const Table*> tables() {
  std::vector<const Table*> all;
  for (const char* name : cpu_table_names) {
    if (const Table* table = cpu_table(name)) all.push_back(table);
  }
  return all;
}

int thread_count = 1;

void run_in_threads(std::int64_t tasks, ParallelBody body, void* context) {
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t task; (task = next++) < tasks;) body(context, task);
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < thread_count; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
}

// Kernels run in so many threads while this lives.
class Threads {
 public:
  explicit Threads(int count) : before_(parallel()) {
    thread_count = count;
    set_parallel(run_in_threads);
  }
  ~Threads() { set_parallel(before_); }

 private:
  Parallel before_;
};

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

Floats part_of(const Floats& all, std::size_t begin, std::size_t count) {
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
  return {from, from + static_cast<std::ptrdiff_t>(count)};
}

// A matrix as the kernel stores it, but for the order of grouped weights, and the numbers that it then holds.
struct Matrix {
  std::vector<unsigned char> stored;  // [out, in]
  std::vector<double> values;         // [out, in]
  Floats scales;                      // [out], of int8
};

template <class T>
void append(std::vector<unsigned char>& bytes, T value) {
  const auto at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Groups of 16 rows, by runs of columns, each followed by the rows' scales.
std::vector<unsigned char> grouped(const Matrix& m, std::int64_t in, std::int64_t columns) {
  std::vector<unsigned char> all;
  const auto out = static_cast<std::int64_t>(m.values.size()) / in, size = static_cast<std::int64_t>(m.stored.size()) / (out * in);
  for (std::int64_t first = 0; first < out; first += 16) {
    const std::int64_t last = std::min(out, first + 16);
    for (std::int64_t run = 0; run < in; run += columns) {
      for (std::int64_t row = first; row < last; ++row) {
        const auto from = m.stored.begin() + (row * in + run) * size;
        all.insert(all.end(), from, from + std::min(columns, in - run) * size);
      }
    }
    for (std::int64_t row = first; row < last && !m.scales.empty(); ++row) append(all, m.scales[static_cast<std::size_t>(row)]);
  }
  return all;
}

Matrix random_int8(Run& random, std::int64_t out, std::int64_t in) {
  Matrix m;
  for (std::int64_t row = 0; row < out; ++row) {
    m.scales.push_back(0.01f * static_cast<float>(1 + row % 7));
    for (const float x : random.normal(in)) {
      const float whole = std::clamp(std::round(x * 60), -128.0f, 127.0f);
      append(m.stored, static_cast<std::int8_t>(whole));
      m.values.push_back(static_cast<double>(whole) * static_cast<double>(m.scales.back()));
    }
  }
  return m;
}

Matrix random_matrix(Run& random, std::int64_t out, std::int64_t in, WeightElement type) {
  if (type == WeightElement::grouped_i8) return random_int8(random, out, in);
  Matrix m;
  for (const float x : random.normal(out * in)) {
    if (type == WeightElement::f32) {
      append(m.stored, x);
      m.values.push_back(x);
    } else {
      append(m.stored, to_bf16(x));
      m.values.push_back(from_bf16(to_bf16(x)));
    }
  }
  return m;
}

std::vector<unsigned char> laid_out(const Table& table, const Matrix& m, std::int64_t in, WeightElement type) {
  if (type == WeightElement::grouped_bf16) return grouped(m, in, 2);
  return type == WeightElement::grouped_i8 ? grouped(m, in, table.i8_columns) : m.stored;
}

// The outputs of all parts, each with its margin.
std::vector<Floats> multiply(const Table& table, const std::vector<Matrix>& matrices,
                             const float* x, std::int64_t rows, std::int64_t in,
                             WeightElement type) {
  HostMemory memory;
  Run run(table, memory, 0);
  MatVec p{{}, static_cast<std::int64_t>(matrices.size()), x, rows, in, type};
  std::vector<std::vector<unsigned char>> stored;
  for (const Matrix& m : matrices) stored.push_back(laid_out(table, m, in, type));
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    const auto out = static_cast<std::int64_t>(matrices[i].values.size()) / in;
    p.parts[i] = {stored[i].data(), run.output("y", rows * out), out};
  }
  table.matvec(p);
  std::vector<Floats> all;
  for (const Result& result : run.results()) all.push_back(result.values);
  return all;
}

// What is wrong with y = x m^T, where y has its margin; empty: nothing.
std::string wrong_product(const Floats& y, const Matrix& m, const Floats& x, std::size_t rows,
                          std::size_t in) {
  const std::size_t out = m.values.size() / in;
  for (std::size_t i = 0; i < y.size(); ++i) {
    double sum = marker, bound = 0;  // the margin
    if (i < rows * out) {
      sum = 0;
      for (std::size_t j = 0; j < in; ++j) {
        const double product =
            m.values[i % out * in + j] * static_cast<double>(x[i / out * in + j]);
        sum += product;
        bound += 2e-6 * std::abs(product);
      }
    }
    if (!(std::abs(y[i] - sum) <= bound)) {
      return "row " + std::to_string(i / out) + ", output " + std::to_string(i % out) + " is " +
             std::to_string(y[i]) + ", not " + std::to_string(sum);
    }
  }
  return {};
}

const std::vector<std::vector<std::int64_t>> part_sizes = {{1},  {15},  {16},     {17},
                                                           {64}, {260}, {17, 64}, {260, 1, 15}};
constexpr std::size_t most_rows = 32;
static_assert(most_rows == few_rows);

// Calls check(table, matrices, x, in, type) for every table, type and shape; x has most_rows rows.
template <class Check>
void for_each_shape(Check check) {
  HostMemory memory;
  for (const std::int64_t in : {7, 16, 48, 192, 200, 2050}) {
    for (const auto type : {WeightElement::f32, WeightElement::bf16, WeightElement::grouped_bf16, WeightElement::grouped_i8}) {
      if (in > 2000 && type != WeightElement::grouped_i8) continue;  // whole numbers that add up
      for (const auto& sizes : part_sizes) {
        Run random(*cpu_table("portable"), memory, 11);
        std::vector<Matrix> matrices;
        for (const auto out : sizes) matrices.push_back(random_matrix(random, out, in, type));
        const Floats x = random.normal(static_cast<std::int64_t>(most_rows) * in);
        for (const Table* table : tables()) {
          INFO(table->name << ", in " << in << ", type " << static_cast<int>(type) << ", out "
                           << sizes.front() << " of " << sizes.size() << " parts");
          check(*table, matrices, x, in, type);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("matvec gives the sums of float64") {
  for_each_shape([](const Table& table, const std::vector<Matrix>& matrices, const Floats& x,
                    std::int64_t in, WeightElement type) {
    for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32}) {
      INFO(rows << " rows");
      const auto y = multiply(table, matrices, x.data(), static_cast<std::int64_t>(rows), in, type);
      for (std::size_t i = 0; i < matrices.size(); ++i)
        CHECK(wrong_product(y[i], matrices[i], x, rows, static_cast<std::size_t>(in)) == "");
    }
  });
}

// Where they are split into digits, the largest number decides how.
TEST_CASE("int8 products of vectors of any size") {
  HostMemory memory;
  const std::int64_t in = 200;
  Run random(*cpu_table("portable"), memory, 12);
  const std::vector<Matrix> matrices = {random_int8(random, 40, in)};
  const Floats x = random.normal(in);
  const auto out_of = [&](const Table& table, Floats numbers) {
    return part_of(multiply(table, matrices, numbers.data(), 1, in, WeightElement::grouped_i8)[0], 0, 40);
  };
  for (const Table* table : tables()) {
    INFO(table->name);
    const auto all = [&](const Floats& y, auto&& is) { CHECK(std::all_of(y.begin(), y.end(), is)); };
    for (const float size : {1e-20f, 1e20f}) {
      Floats scaled = x;
      for (float& number : scaled) number *= size;
      const Floats y = out_of(*table, scaled), plain = out_of(*table, x);
      for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::abs(y[i] / size - plain[i]) < 1e-4f);
    }
    Floats alone(static_cast<std::size_t>(in));
    all(out_of(*table, alone), [](float y) { return y == 0; });
    alone[150] = -3;
    const Floats y = out_of(*table, alone);
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(-3 * matrices[0].values[i * 200 + 150]));
    alone[7] = 1e-40f;
    CHECK(out_of(*table, alone) == y);
    alone[150] = 0;
    all(out_of(*table, alone), [](float value) { return std::abs(value) < 1e-37f; });
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Floats some = x;
      some[3] = bad;
      all(out_of(*table, some), [](float value) { return !std::isfinite(value); });
    }
  }
}

TEST_CASE("matvec gives a row the same bits alone, beside others, and in any number of threads") {
  for_each_shape([](const Table& table, const std::vector<Matrix>& matrices, const Floats& x,
                    std::int64_t in, WeightElement type) {
    std::vector<Floats> alone(matrices.size());  // rows one by one, without margins
    for (std::size_t row = 0; row < most_rows; ++row) {
      const auto y =
          multiply(table, matrices, x.data() + row * static_cast<std::size_t>(in), 1, in, type);
      for (std::size_t i = 0; i < y.size(); ++i)
        alone[i].insert(alone[i].end(), y[i].begin(), y[i].end() - margin);
    }
    for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32}) {
      for (const int count : {1, 2, 3, 7}) {
        if (count > 1 && rows != 1 && rows != 9) continue;
        INFO(rows << " rows in " << count << " threads");
        const Threads threads(count);
        const auto y =
            multiply(table, matrices, x.data(), static_cast<std::int64_t>(rows), in, type);
        for (std::size_t i = 0; i < matrices.size(); ++i) {
          const std::size_t size = y[i].size() - margin;
          CHECK(same_bits(part_of(y[i], 0, size), part_of(alone[i], 0, size)));
        }
      }
    }
  });
}

namespace {

// Queries, keys and values of one call; the numbers are what the type can hold.
struct Attended {
  KeyRanges ranges;
  Heads heads;
  Element type;
  Floats q, k, v;

  std::size_t width() const { return static_cast<std::size_t>(heads.heads * heads.dim); }
  std::size_t kv_width() const { return static_cast<std::size_t>(heads.kv_heads * heads.dim); }
};

Floats held(Floats values, Element type) {
  if (type == Element::bf16) {
    for (float& x : values) x = from_bf16(to_bf16(x));
  }
  return values;
}

Attended attended(const KeyRanges& ranges, const Heads& h, Element type) {
  HostMemory memory;
  Run random(*cpu_table("portable"), memory, 23);
  const auto queries = static_cast<std::int64_t>(ranges.first.size());
  return {ranges,
          h,
          type,
          held(random.normal(queries * h.heads * h.dim, 2), type),
          held(random.normal(ranges.keys * h.kv_heads * h.dim, 2), type),
          held(random.normal(ranges.keys * h.kv_heads * h.dim), type)};
}

// Queries [begin, begin + count): "out" and "log_sum" with their margins.
std::vector<Result> attend(const Table& table, const Attended& a, std::size_t begin,
                           std::size_t count) {
  HostMemory memory;
  Run run(table, memory, 0);
  const auto at = static_cast<std::ptrdiff_t>(begin), size = static_cast<std::ptrdiff_t>(count);
  const auto chosen = [&](const Ints& all) {
    return Ints(all.begin() + at, all.begin() + at + size);
  };
  const auto queries = static_cast<std::int64_t>(count);
  Attention p{};
  p.q = run.input(part_of(a.q, begin * a.width(), count * a.width()), a.type);
  p.k = run.input(a.k, a.type);
  p.v = run.input(a.v, a.type);
  p.out = run.output("out", queries * a.heads.heads * a.heads.dim, a.type);
  p.log_sum = run.output("log_sum", queries * a.heads.heads);
  p.first = run.input(chosen(a.ranges.first));
  p.last = run.input(chosen(a.ranges.last));
  p.tasks = run.input(Ints{0, static_cast<std::int32_t>(count)});
  p.task_count = 1;
  p.queries = queries;
  p.keys = a.ranges.keys;
  p.heads = a.heads.heads;
  p.kv_heads = a.heads.kv_heads;
  p.head_dim = a.heads.dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(a.heads.dim));
  p.type = a.type;
  table.attention(p);
  return run.results();
}

// The same in float64.
std::vector<Result> reference(const Attended& a) {
  const auto queries = a.ranges.first.size(), dim = static_cast<std::size_t>(a.heads.dim),
             heads = static_cast<std::size_t>(a.heads.heads),
             group = heads / static_cast<std::size_t>(a.heads.kv_heads);
  Floats out(queries * a.width() + margin, marker), log_sum(queries * heads + margin, marker);
  for (std::size_t q = 0; q < queries; ++q) {
    const auto first = static_cast<std::size_t>(a.ranges.first[q]),
               last = static_cast<std::size_t>(a.ranges.last[q]);
    for (std::size_t h = 0; h < heads; ++h) {
      std::vector<double> weights, sums(dim);
      double total = 0;
      for (std::size_t j = first; j < last; ++j) {
        double score = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          score += static_cast<double>(a.q[q * a.width() + h * dim + d]) *
                   static_cast<double>(a.k[j * a.kv_width() + h / group * dim + d]);
        }
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
        total += weights.back();
        for (std::size_t d = 0; d < dim; ++d)
          sums[d] +=
              weights.back() * static_cast<double>(a.v[j * a.kv_width() + h / group * dim + d]);
      }
      for (std::size_t d = 0; d < dim; ++d)
        out[q * a.width() + h * dim + d] = total > 0 ? static_cast<float>(sums[d] / total) : 0;
      log_sum[q * heads + h] = total > 0 ? static_cast<float>(std::log(total)) : 0;
    }
  }
  return {{"out", out}, {"log_sum", log_sum}};
}

// Around the limits of the path for few queries: 24 keys, 32 queries, pieces of 32 keys up to 256 and of 128 beyond.
std::vector<KeyRanges> few_ranges() {
  std::vector<KeyRanges> all;
  for (const std::int32_t keys : {24, 25, 32, 33, 255, 256, 257, 384, 512, 1100}) {
    KeyRanges one{"one query of " + std::to_string(keys) + " keys", 0, {}, {}, {}};
    one.add(0, keys);
    all.push_back(one);
  }
  for (const std::int32_t queries : {2, 5, 16, 31, 32, 33}) {
    KeyRanges causal{std::to_string(queries) + " causal queries", 0, {}, {}, {}};
    for (std::int32_t i = 0; i < queries; ++i) causal.add(0, 600 + i);
    all.push_back(causal);
    KeyRanges growing{std::to_string(queries) + " causal queries around 256 keys", 0, {}, {}, {}};
    for (std::int32_t i = 0; i < queries; ++i) growing.add(0, 255 + i);
    all.push_back(growing);
    KeyRanges window{std::to_string(queries) + " queries of a window", 0, {}, {}, {}};
    for (std::int32_t i = 0; i < queries; ++i) window.add(130 + i, 430 + i);
    all.push_back(window);
  }
  KeyRanges mixed{"queries of 0, 1, 24, 25, 300 and 900 keys", 0, {}, {}, {}};
  mixed.add(3, 3);
  mixed.add(5, 6);
  mixed.add(5, 29);
  mixed.add(7, 32);
  mixed.add(8, 308);
  mixed.add(9, 909);
  all.push_back(mixed);
  return all;
}

// 12 and 200 are no multiples of the 16 floats of a vector, which that path needs. More than 16 heads, or 1024 floats of keys,
// are several tasks.
const std::vector<Heads> few_heads = {{4, 4, 64},  {6, 2, 16},  {4, 1, 80},   {2, 1, 128}, {2, 1, 12},
                                      {1, 1, 200}, {20, 20, 16}, {24, 2, 16}, {12, 12, 128}};

template <class Check>
void for_each_attention(Check check) {
  for (const KeyRanges& ranges : few_ranges()) {
    for (const Heads& h : few_heads) {
      for (const Element type : {Element::f32, Element::bf16}) {
        const Attended a = attended(ranges, h, type);
        for (const Table* table : tables()) {
          INFO(table->name << ", " << ranges.name << ", heads " << h.heads << "/" << h.kv_heads
                           << " x " << h.dim
                           << (type == Element::f32 ? ", float32" : ", bfloat16"));
          check(*table, a);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("attention of a few queries gives what float64 does") {
  for_each_attention([](const Table& table, const Attended& a) {
    // float32: what sums of 200 products add to scores; bfloat16: half a last place of the result
    const double bound = a.type == Element::f32 ? 2e-5 : 4e-3;
    CHECK(difference(attend(table, a, 0, a.ranges.first.size()), reference(a), bound) == "");
  });
}

TEST_CASE(
    "attention gives a query the same bits alone, beside others, and in any number of threads") {
  for_each_attention([](const Table& table, const Attended& a) {
    const std::size_t queries = a.ranges.first.size(),
                      heads = static_cast<std::size_t>(a.heads.heads);
    if (queries > few_rows || a.heads.dim % 16 != 0) return;
    const auto together = attend(table, a, 0, queries);
    for (std::size_t q = 0; q < queries; ++q) {
      INFO("query " << q);
      const auto alone = attend(table, a, q, 1);
      CHECK(same_bits(part_of(alone[0].values, 0, a.width()),
                      part_of(together[0].values, q * a.width(), a.width())));
      CHECK(same_bits(part_of(alone[1].values, 0, heads),
                      part_of(together[1].values, q * heads, heads)));
    }
    for (const int count : {2, 3, 7}) {
      INFO(count << " threads");
      const Threads threads(count);
      const auto again = attend(table, a, 0, queries);
      CHECK(same_bits(again[0].values, together[0].values));
      CHECK(same_bits(again[1].values, together[1].values));
    }
  });
}

TEST_CASE("every instruction set gives what the portable kernels do") {
  HostMemory memory, other;
  for (const Case& c : simple_cases()) {
    INFO(c.name);
    for (const Table* table : tables()) CHECK(compare(c, *table, memory, *cpu_table("portable"), other) == "");
  }
}
