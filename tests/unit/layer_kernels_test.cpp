// SPDX-License-Identifier: MIT
// The kernels of whole layers, by every instruction set of this machine against sums in float64, with sizes that fill no tile.
#include <catch2/catch.hpp>
#include <cmath>

#include "kernel_run.h"

using namespace blt::kernels;
using namespace kernel_cases;

namespace {

using Doubles = std::vector<double>;

std::vector<const Table*> tables() {
  std::vector<const Table*> all;
  for (const char* name : cpu_table_names) {
    if (const Table* table = cpu_table(name)) all.push_back(table);
  }
  return all;
}

Floats random_floats(std::mt19937& random, std::int64_t count, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  Floats out(static_cast<std::size_t>(count));
  for (auto& x : out) x = normal(random);
  return out;
}

std::vector<Products> all_products() {
  std::vector<Products> all = {Products::f32, Products::rounded};
  if (cpu_has_bf16()) all.push_back(Products::bf16);
  return all;
}

// Weights that products in bfloat16 find as they are.
Floats random_weights(std::mt19937& random, std::int64_t count, float deviation, bool round) {
  Floats out = random_floats(random, count, deviation);
  if (round) {
    for (auto& w : out) w = from_bf16(to_bf16(w));
  }
  return out;
}

Floats packed(const Table& table, Products products, const Floats& w, std::int64_t out, std::int64_t in, const Floats& beside = {}) {
  Floats to(static_cast<std::size_t>(table.packed_size(out, in, !beside.empty(), products)), NAN);
  table.pack({w.data(), beside.empty() ? nullptr : beside.data(), to.data(), out, in, products});
  return to;
}

double rounded(double x, bool really) { return really ? from_bf16(to_bf16(static_cast<float>(x))) : x; }

// One row times w [out, in].
Doubles times(const Doubles& x, const Floats& w, bool round) {
  Doubles out(w.size() / x.size());
  for (std::size_t o = 0; o < out.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) out[o] += x[i] * static_cast<double>(w[o * x.size() + i]);
    out[o] = rounded(out[o], round);
  }
  return out;
}

Doubles normed(const float* x, const Floats& w, double eps, bool round) {
  Doubles out(w.size());
  double squares = 0;
  for (std::size_t i = 0; i < w.size(); ++i) squares += static_cast<double>(x[i]) * x[i];
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(w.size()) + eps);
  for (std::size_t i = 0; i < w.size(); ++i) out[i] = rounded(x[i] * inverse * w[i], round);
  return out;
}

const float* row_of(const Floats& all, std::int64_t row, std::int64_t width) { return all.data() + row * width; }

// Numbers rounded to bfloat16 may fall on the other side of a tie, and then differ by a step.
void check_row(const float* got, const double* wanted, std::int64_t count, bool round) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double step = round ? 1.0 / 64 : 1e-5;
    REQUIRE(std::abs(got[i] - wanted[i]) <= step * std::max(1.0, std::abs(wanted[i])));
  }
}

constexpr float eps = 1e-5f;

struct Sizes {
  std::int64_t rows, dim, heads, kv_heads, head_dim, ffn;
};
const std::vector<Sizes> sizes = {{101, 24, 2, 1, 12, 37}, {1, 16, 1, 1, 16, 8}, {48, 64, 4, 4, 16, 96}, {7, 30, 3, 3, 10, 50}};

}  // namespace

TEST_CASE("project gives normed, multiplied and rotated rows") {
  std::mt19937 random(1);
  for (const Table* table : tables()) {
    for (const Sizes& s : sizes) {
      for (const Products products : all_products()) {
        const bool round = products != Products::f32;
        const std::int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim, half = s.head_dim / 2;
        const Floats x = random_floats(random, s.rows * s.dim, 2), norm = random_floats(random, s.dim, 1);
        const Floats w = random_weights(random, (q + 2 * kv) * s.dim, 0.2f, round), angles = random_floats(random, 9 * s.head_dim, 1);
        Ints position(static_cast<std::size_t>(s.rows));
        for (std::size_t i = 0; i < position.size(); ++i) position[i] = static_cast<std::int32_t>(i % 9);
        Floats out_q(static_cast<std::size_t>(s.rows * q)), out_k(static_cast<std::size_t>(s.rows * kv)), out_v(out_k.size());
        const Floats packed_w = packed(*table, products, w, q + 2 * kv, s.dim);
        table->project({x.data(), norm.data(), packed_w.data(), angles.data(), position.data(), out_q.data(), out_k.data(), out_v.data(),
                        s.rows, s.dim, s.heads, s.kv_heads, s.head_dim, eps, products});
        for (std::int64_t row = 0; row < s.rows; ++row) {
          Doubles all = times(normed(row_of(x, row, s.dim), norm, eps, round), w, round);
          const float* angle = row_of(angles, position[static_cast<std::size_t>(row)], s.head_dim);
          for (std::int64_t i = 0; i < q + kv; i += 2) {
            double &a = all[static_cast<std::size_t>(i)], &b = all[static_cast<std::size_t>(i + 1)];
            const double c = angle[i % s.head_dim / 2], sine = angle[half + i % s.head_dim / 2], a0 = a;
            a = rounded(a0 * c - b * sine, round);
            b = rounded(a0 * sine + b * c, round);
          }
          check_row(row_of(out_q, row, q), all.data(), q, round);
          check_row(row_of(out_k, row, kv), all.data() + q, kv, round);
          check_row(row_of(out_v, row, kv), all.data() + q + kv, kv, round);
        }
      }
    }
  }
}

TEST_CASE("feed_forward adds attention's output and SwiGLU") {
  std::mt19937 random(2);
  for (const Table* table : tables()) {
    for (const Sizes& s : sizes) {
      for (const Products products : all_products()) {
        const bool round = products != Products::f32;
        const std::int64_t width = s.heads * s.head_dim;
        const Floats before = random_floats(random, s.rows * s.dim, 2), attended = random_floats(random, s.rows * width, 1),
                     norm = random_floats(random, s.dim, 1), wo = random_weights(random, s.dim * width, 0.2f, round),
                     gate = random_weights(random, s.ffn * s.dim, 0.2f, round), up = random_weights(random, s.ffn * s.dim, 0.2f, round),
                     down = random_weights(random, s.dim * s.ffn, 0.2f, round);
        const Floats packed_wo = packed(*table, products, wo, s.dim, width), packed_gate_up = packed(*table, products, gate, s.ffn, s.dim, up),
                     packed_down = packed(*table, products, down, s.dim, s.ffn);
        Floats x = before;
        table->feed_forward({x.data(), attended.data(), norm.data(), packed_wo.data(), packed_gate_up.data(), packed_down.data(), s.rows,
                             s.dim, width, s.ffn, eps, products});
        for (std::int64_t row = 0; row < s.rows; ++row) {
          Doubles in(row_of(attended, row, width), row_of(attended, row, width) + width);
          for (auto& value : in) value = rounded(value, round);
          const Doubles out = times(in, wo, round);
          Floats middle(static_cast<std::size_t>(s.dim));
          for (std::size_t i = 0; i < middle.size(); ++i) middle[i] = static_cast<float>(row_of(before, row, s.dim)[i] + out[i]);
          const Doubles n = normed(middle.data(), norm, eps, round);
          Doubles h = times(n, gate, round);
          const Doubles u = times(n, up, round);
          for (std::size_t i = 0; i < h.size(); ++i) h[i] = rounded(h[i] / (1 + std::exp(-h[i])) * u[i], round);
          Doubles wanted = times(h, down, round);
          for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += middle[i];
          check_row(row_of(x, row, s.dim), wanted.data(), s.dim, round);
        }
      }
    }
  }
}

TEST_CASE("surprise gives entropies of the logits") {
  std::mt19937 random(3);
  for (const Table* table : tables()) {
    for (const std::int64_t classes : {5, 64, 260}) {
      for (const Products products : all_products()) {
        const bool round = products != Products::f32;
        const std::int64_t rows = 53, dim = 31;
        const Floats x = random_floats(random, rows * dim, 2), norm = random_floats(random, dim, 1),
                     w = random_weights(random, classes * dim, 0.3f, round);
        const Floats packed_w = packed(*table, products, w, classes, dim);
        Floats out(static_cast<std::size_t>(rows));
        table->surprise({x.data(), norm.data(), packed_w.data(), out.data(), rows, dim, classes, eps, products});
        for (std::int64_t row = 0; row < rows; ++row) {
          const Doubles logits = times(normed(row_of(x, row, dim), norm, eps, round), w, round);
          double total = 0, weighted = 0;
          for (const double value : logits) total += std::exp(value);
          for (const double value : logits) weighted += std::exp(value) / total * value;
          REQUIRE(out[static_cast<std::size_t>(row)] == Approx(std::log(total) - weighted).margin(round ? 0.05 : 2e-5));
        }
      }
    }
  }
}
