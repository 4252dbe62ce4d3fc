// SPDX-License-Identifier: MIT
// Every function of a kernel table on random inputs, for comparing one table with another: the
// emulated CUDA kernels, or the CUDA plugin on a GPU, with the CPU's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernel_run.h"

namespace kernel_cases {

struct Case {
  std::string name;
  double bound;  // of |a - b| / (|b| + root mean square of b)
  std::function<void(Run&)> body;
};

// Key ranges for attention, with tasks as nn::make_ranges splits them.
struct KeyRanges {
  std::string name;
  std::int64_t keys = 0;
  Ints first, last, tasks;

  void add(std::int32_t from, std::int32_t to) {
    first.push_back(from);
    last.push_back(to);
    keys = std::max<std::int64_t>(keys, to);
  }
  KeyRanges& split(std::int32_t least) {
    tasks = {0};
    std::int32_t seen = 0;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(first.size()); ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i > tasks.back() && first[at] >= seen && i - tasks.back() >= least) tasks.push_back(i);
      seen = std::max(seen, last[at]);
    }
    tasks.push_back(static_cast<std::int32_t>(first.size()));
    return *this;
  }
};

inline std::vector<KeyRanges> key_ranges() {
  std::vector<KeyRanges> all;
  KeyRanges causal{"window of 150 in three documents", 0, {}, {}, {}};
  for (std::int32_t i = 0; i < 333; ++i) {
    const std::int32_t document = i < 200 ? 0 : i < 207 ? 200 : 207;
    causal.add(std::max(document, i - 149), i + 1);
  }
  all.push_back(causal.split(1));

  KeyRanges pool{"two queries a patch, some patches empty", 0, {}, {}, {}},
      spread{"bytes of patches", 0, {}, {}, {}};
  std::int32_t bytes = 0;
  for (std::int32_t patch = 0; patch < 60; ++patch) {
    const std::int32_t length = patch % 7;
    for (int k = 0; k < 2; ++k) pool.add(bytes, bytes + length);
    for (std::int32_t i = 0; i < length; ++i) spread.add(2 * patch, 2 * patch + 2);
    bytes += length;
  }
  for (const std::int32_t least : {1, 16, 1000}) {
    all.push_back(pool.split(least));
    all.push_back(spread.split(least));
  }

  KeyRanges many{"more tasks than a block has threads", 0, {}, {}, {}};
  for (std::int32_t i = 0; i < 700; ++i) many.add(2 * i, 2 * i + i % 3);
  all.push_back(many.split(1));

  KeyRanges wide{"more keys than a tile, gaps that nobody sees", 0, {}, {}, {}};
  for (int i = 0; i < 5; ++i) wide.add(i < 2 ? 3 : 109, i < 2 ? 103 : 270);
  wide.keys = 300;
  all.push_back(wide.split(1));

  KeyRanges few{"a few queries of long windows, after them one that sees none", 700, {}, {}, {}};
  for (int i = 0; i < 11; ++i) few.add(120 + i, 632 + i);
  few.add(643, 643);
  all.push_back(few.split(1));
  KeyRanges one{"one query", 700, {90}, {95}, {}};
  all.push_back(one.split(1));

  KeyRanges turned{"tasks in falling order of their keys", 0, {}, {}, {}};
  for (std::int32_t i = 0; i < 70; ++i) turned.add(100 + i / 2, 101 + i);
  for (std::int32_t i = 0; i < 81; ++i) turned.add(i, i + 5);
  turned.tasks = {0, 70, 151};
  all.push_back(turned);

  KeyRanges blind{"no query sees a key", 9, {4, 4, 4}, {4, 4, 4}, {0, 3}};
  all.push_back(blind);
  KeyRanges nobody{"no query", 9, {}, {}, {0, 0}};
  all.push_back(nobody);
  return all;
}

struct Heads {
  std::int64_t heads, kv_heads, dim;
};

inline void attention_case(Run& run, const KeyRanges& ranges, const Heads& h, Element type,
                           float deviation, float unseen) {
  const auto queries = static_cast<std::int64_t>(ranges.first.size()), keys = ranges.keys;
  const std::int64_t q = queries * h.heads * h.dim, k = keys * h.kv_heads * h.dim;
  Attention p{};
  p.q = run.random(q, type, deviation);
  p.k = run.random(k, type, deviation);
  p.v = run.random(k, type);
  p.out = run.output("out", q, type);
  p.log_sum = run.output("log_sum", queries * h.heads);
  p.first = run.input(ranges.first);
  p.last = run.input(ranges.last);
  p.tasks = run.input(ranges.tasks);
  p.task_count = static_cast<std::int64_t>(ranges.tasks.size()) - 1;
  p.queries = queries;
  p.keys = keys;
  p.heads = h.heads;
  p.kv_heads = h.kv_heads;
  p.head_dim = h.dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(h.dim));
  p.type = type;
  run.table().attention(p);
  const void* dout = run.random(q, type);
  void* dq = run.output("dq", q, type);
  void* dk = run.output("dk", Floats(static_cast<std::size_t>(k), unseen), type);
  void* dv = run.output("dv", Floats(static_cast<std::size_t>(k), unseen), type);
  run.table().attention_backward({p, dout, dq, dk, dv});
}

inline std::string label(const std::string& name, Element type) {
  return name + (type == Element::f32 ? ", float32" : ", bfloat16");
}

inline void add_norm_cases(std::vector<Case>& all, Element type, double bound) {
  for (const auto& [rows, dim] :
       {std::pair<std::int64_t, std::int64_t>{600, 192}, {257, 50}, {1, 1}, {0, 8}}) {
    all.push_back(
        {label("rms_norm and its backward, " + std::to_string(rows) + " x " + std::to_string(dim),
               type),
         bound, [=, rows = rows, dim = dim](Run& run) {
           const float *x = run.random(rows * dim), *w = run.random(dim);
           float* inverse = run.output("inverse_rms", rows);
           run.table().rms_norm(
               {x, w, run.output("y", rows * dim, type), inverse, rows, dim, 1e-5f, type});
           const void* dy = run.random(rows * dim, type);
           float *dx = run.output("dx", rows * dim), *dw = run.output("dw", norm_parts(rows) * dim);
           run.table().rms_norm_backward({x, w, dy, inverse, dx, dw, rows, dim, type});
         }});
  }
}

inline void add_elementwise_cases(std::vector<Case>& all, Element type, double bound) {
  for (const bool inverse : {false, true}) {
    all.push_back({label(inverse ? "rotary, inverse" : "rotary", type), bound, [=](Run& run) {
                     const std::int64_t rows = 41, heads = 3, dim = 14;
                     Floats table(300 * dim);
                     for (std::size_t i = 0; i < table.size(); ++i)
                       table[i] = std::cos(static_cast<float>(i) * 0.37f);
                     void* x = run.output("x", run.normal(rows * heads * dim), type);
                     run.table().rotary({x, run.input(table), run.input(run.whole(rows, 0, 300)),
                                         rows, heads, dim, inverse, type});
                   }});
  }
  for (const std::int64_t count : {0, 1, 1881}) {
    all.push_back(
        {label("swiglu and its backward, " + std::to_string(count), type), bound, [=](Run& run) {
           const void *gate = run.random(count, type, 4), *up = run.random(count, type);
           run.table().swiglu({gate, up, run.output("h", count, type), count, type});
           const void* dh = run.random(count, type);
           void *dgate = run.output("dgate", count, type), *dup = run.output("dup", count, type);
           run.table().swiglu_backward({gate, up, dh, dgate, dup, count, type});
         }});
  }
}

inline void add_loss_cases(std::vector<Case>& all, Element type, double bound) {
  for (const auto& [rows, classes] :
       {std::pair<std::int64_t, std::int64_t>{50, 260}, {19, 7}, {0, 5}, {3, 1}}) {
    const std::string size = std::to_string(rows) + " x " + std::to_string(classes);
    for (const bool gradient : {true, false}) {
      all.push_back(
          {label((gradient ? "cross_entropy with gradient, " : "cross_entropy, ") + size, type),
           bound, [=, rows = rows, classes = classes](Run& run) {
             const void* logits = run.random(rows * classes, type, 3);
             const auto* target =
                 run.input(run.whole(rows, -1, static_cast<std::int32_t>(classes)));
             float* loss = run.output("loss", rows);
             void* dlogits = gradient ? run.output("dlogits", rows * classes, type) : nullptr;
             run.table().cross_entropy({logits, target, loss, dlogits, rows, classes, 0.25f, type});
           }});
    }
    all.push_back(
        {label("entropy, " + size, type), bound, [=, rows = rows, classes = classes](Run& run) {
           run.table().entropy({run.random(rows * classes, type, 3), run.output("entropy", rows),
                                rows, classes, type});
         }});
  }
}

inline void add_segment_cases(std::vector<Case>& all) {
  all.push_back({"segment_max and its backward, with ties and empty segments", 1e-6, [](Run& run) {
                   const std::int64_t dim = 37;
                   const Ints starts = {0, 1, 1, 6, 10, 10, 10, 31, 31};
                   const auto segments = static_cast<std::int64_t>(starts.size()) - 1,
                              rows = std::int64_t{31};
                   Floats x = run.normal(rows * dim);
                   for (float& value : x) value = std::round(value * 2);
                   const float* input = run.input(x);
                   float* out = run.output("out", segments * dim);
                   const auto* begins = run.input(starts);
                   run.table().segment_max({input, begins, out, segments, dim});
                   const float* dout = run.random(segments * dim);
                   float* dx = run.output("dx", rows * dim);
                   run.table().segment_max_backward({input, begins, out, dout, dx, segments, dim});
                 }});
}

inline void add_table_cases(std::vector<Case>& all) {
  all.push_back({"hash_rows", 0, [](Run& run) {
                   const std::int64_t count = 777;
                   Ints start(static_cast<std::size_t>(count), 0);
                   for (std::size_t i = 100; i < start.size(); ++i) start[i] = i < 103 ? 100 : 103;
                   const std::vector<std::uint64_t> primes = {1000000007, 5915587277, 1500450271};
                   std::int32_t* rows = run.whole_output("rows", 3 * count);
                   const auto *ids = run.input(run.whole(count, 0, 260)), *starts = run.input(start), *sizes = run.input(Ints{3, 5, 8});
                   const auto* factors = run.input(primes);
                   run.table().hash_rows({ids, starts, rows, sizes, factors, count, 3, 500002});
                   std::int32_t* last = run.whole_output("last rows", 3 * 9);
                   run.table().hash_rows({ids, starts, last, sizes, factors, count, 3, 500002, count - 9});
                 }});
  for (const bool accumulate : {false, true}) {
    all.push_back({accumulate ? "gather_sum, added" : "gather_sum", 1e-6, [=](Run& run) {
                     const std::int64_t count = 61, dim = 24, tables = 3, rows = 11;
                     float* out = static_cast<float*>(
                         run.output("out", run.normal(count * dim), Element::f32));
                     run.table().gather_sum({run.random(tables * rows * dim),
                                             run.input(run.whole(tables * count, 0, 11)), out,
                                             count, tables, rows, dim, accumulate});
                   }});
  }
  all.push_back({"scatter_sum, with an empty group", 1e-6, [](Run& run) {
                   const std::int64_t dim = 10, groups = 4;
                   const std::vector<std::int64_t> offsets = {0, 3, 3, 40, 45};
                   float* out = run.output("out", groups * dim);
                   run.table().scatter_sum({run.random(20 * dim), run.input(run.whole(45, 0, 20)),
                                            run.input(offsets), out, groups, dim});
                 }});
  for (const bool by_rows : {false, true}) {
    all.push_back({by_rows ? "adamw by rows" : "adamw", 1e-6, [=](Run& run) {
                     const std::int64_t rows = 30, dim = 17;
                     const std::vector<std::int64_t> chosen = {2, 3, 11, 29};
                     Floats squares = run.normal(rows * dim);
                     for (float& x : squares) x *= x;
                     auto* w = static_cast<float*>(
                         run.output("parameter", run.normal(rows * dim), Element::f32));
                     auto* m = static_cast<float*>(
                         run.output("moment1", run.normal(rows * dim), Element::f32));
                     auto* v = static_cast<float*>(run.output("moment2", squares, Element::f32));
                     const float* g = run.random(rows * dim);
                     run.table().adamw({w, g, m, v, by_rows ? run.input(chosen) : nullptr,
                                        by_rows ? 4 : rows * dim, by_rows ? dim : 0, 1e-2f, 0.9f,
                                        0.95f, 1e-8f, 0.1f, 0.5f, 0.271f, 0.142f});
                   }});
  }
}

inline void add_decoding_cases(std::vector<Case>& all, Element type, double bound) {
  for (const std::int64_t count : {0, 1, 1881}) {
    for (const float scale : {1.0f, 2.0f}) {
      all.push_back({label("residual, " + std::to_string(count), type), bound, [=](Run& run) {
                       auto* x = static_cast<float*>(run.output("x", run.normal(count), Element::f32));
                       run.table().residual({x, run.random(count, type), x, count, scale, type});
                     }});
    }
    for (const Element to : {Element::f32, Element::bf16}) {
      all.push_back({label("cast, " + std::to_string(count), type), 0, [=](Run& run) {
                       run.table().cast({run.random(count, type), run.output("y", count, to), count, type, to});
                     }});
    }
  }
  all.push_back({label("put_rows", type), 0, [=](Run& run) {
                   const std::int64_t dim = 22, width = type == Element::f32 ? 4 : 2;
                   void* out = run.output("out", 20 * dim, type);
                   run.table().put_rows({run.random(3 * dim, type), run.input(Ints{17, 0, 4}), out, 3, dim * width});
                 }});
}

// Activations of the CPU's are float32: of the same numbers, where the other table's are bfloat16.
inline void add_matvec_cases(std::vector<Case>& all, WeightElement weights, Element type, double bound) {
  const Element stored = weights == WeightElement::f32 ? Element::f32 : Element::bf16;
  for (const std::int64_t in : {8, 300, 301, 1024}) {
    for (const std::int64_t rows : {1, 2, 3, 5, 11, 32}) {
      all.push_back({label("matvec, " + std::to_string(rows) + " of " + std::to_string(in) +
                               (stored == Element::f32 ? ", float32 weights" : ", bfloat16 weights"),
                           type),
                     bound, [=](Run& run) {
                       const std::string table = run.table().name;
                       const bool ours = table == "cuda" || table == "emulated";
                       Floats x = run.normal(rows * in);
                       if (type == Element::bf16)
                         for (float& number : x) number = from_bf16(to_bf16(number));
                       const Element activations = ours ? type : Element::f32;
                       MatVec p{};
                       for (const std::int64_t out : {17, 1, 40}) {
                         p.parts[p.count++] = {run.random(out * in, stored), run.output("y", rows * out, activations), out};
                       }
                       p.x = run.input(x, activations);
                       p.rows = rows;
                       p.in = in;
                       p.type = weights;
                       p.activations = activations;
                       run.table().matvec(p);
                     }});
    }
  }
}

// All functions but attention.
inline std::vector<Case> simple_cases() {
  std::vector<Case> all;
  for (const Element type : {Element::f32, Element::bf16}) {
    const double bound = type == Element::f32 ? 1e-5 : 8e-3;  // one last place of bfloat16
    add_norm_cases(all, type, bound);
    add_elementwise_cases(all, type, bound);
    add_loss_cases(all, type, bound);
    add_decoding_cases(all, type, bound);
    for (const WeightElement weights : {WeightElement::f32, WeightElement::bf16}) add_matvec_cases(all, weights, type, bound);
  }
  add_segment_cases(all);
  add_table_cases(all);
  return all;
}

inline std::vector<Case> attention_cases() {
  std::vector<Case> all;
  const std::vector<Heads> heads = {{3, 3, 64},  {4, 2, 16},  {2, 1, 12}, {1, 1, 80},
                                    {2, 2, 128}, {2, 1, 200}, {1, 1, 256}};
  const auto ranges = key_ranges();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::size_t j = 0; j < heads.size(); ++j) {
      const Element type = (i + j) % 2 ? Element::bf16 : Element::f32;
      const float deviation = i == 0 ? 3 : 1;  // large scores: the running maximum moves
      const auto& h = heads[j];
      all.push_back({label("attention and its backward, " + ranges[i].name + ", heads " +
                               std::to_string(h.heads) + "/" + std::to_string(h.kv_heads) + " x " +
                               std::to_string(h.dim),
                           type),
                     type == Element::f32 ? 5e-5 : 2e-2,
                     [r = ranges[i], h, type, deviation](Run& run) {
                       attention_case(run, r, h, type, deviation, 0);
                     }});
    }
  }
  return all;
}

// The first difference of a and b beyond the bound, as text; empty: none.
inline std::string difference(const std::vector<Result>& a, const std::vector<Result>& b,
                              double bound) {
  if (a.size() != b.size()) return "different results";
  for (std::size_t r = 0; r < a.size(); ++r) {
    double squares = 0;
    for (const float y : b[r].values) squares += static_cast<double>(y) * y;
    const double typical = std::sqrt(squares / static_cast<double>(b[r].values.size()));
    for (std::size_t i = 0; i < b[r].values.size(); ++i) {
      const double x = a[r].values[i], y = b[r].values[i];
      if (std::abs(x - y) <= bound * (std::abs(y) + typical)) continue;  // false for a NaN
      return b[r].name + "[" + std::to_string(i) + "] is " + std::to_string(x) + ", not " +
             std::to_string(y);
    }
  }
  return {};
}

// Runs a case on both tables.
inline std::string compare(const Case& c, const Table& ours, Memory& memory, const Table& oracle,
                           Memory& host) {
  Run a(ours, memory, 17), b(oracle, host, 17);
  c.body(a);
  c.body(b);
  return difference(a.results(), b.results(), c.bound);
}

// Keys that no query sees keep what dk and dv hold.
inline std::string unseen_keys(const Table& table, Memory& memory) {
  for (const KeyRanges& ranges : key_ranges()) {
    const Heads h{2, 1, 32};
    std::vector<bool> seen(static_cast<std::size_t>(ranges.keys), false);
    for (std::size_t i = 0; i < ranges.first.size(); ++i) {
      for (auto j = ranges.first[i]; j < ranges.last[i]; ++j)
        seen[static_cast<std::size_t>(j)] = true;
    }
    Run run(table, memory, 5);
    attention_case(run, ranges, h, Element::f32, 1, marker);
    for (const Result& result : run.results()) {
      if (result.name != "dk" && result.name != "dv") continue;
      for (std::size_t j = 0; j < seen.size(); ++j) {
        for (std::size_t d = 0; d < 32; ++d) {
          if ((result.values[j * 32 + d] == marker) == seen[j]) {
            return ranges.name + ": " + result.name + " of key " + std::to_string(j) +
                   (seen[j] ? " is not written" : " is written");
          }
        }
      }
    }
  }
  return {};
}

}  // namespace kernel_cases
