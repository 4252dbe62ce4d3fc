// SPDX-License-Identifier: MIT
// What several kernels do with one row of numbers.
#pragma once

#include <math.h>

#include "vec.h"

namespace blt::kernels::BLT_ISA {

// y = x / rms(x) * w; returns 1 / rms(x).
template <class T>
static inline float norm_row(const float* x, const float* w, int64_t dim, float eps, T* y) {
  Vec squares{};
  int64_t i = 0;
  for (; i + lanes <= dim; i += lanes) squares += load(x + i) * load(x + i);
  float total = sum(squares);
  for (; i < dim; ++i) total += x[i] * x[i];
  const float inverse = 1.0f / sqrtf(total / static_cast<float>(dim) + eps);
  for (i = 0; i + lanes <= dim; i += lanes) store(y + i, load(x + i) * inverse * load(w + i));
  for (; i < dim; ++i) put(y + i, x[i] * inverse * w[i]);
  return inverse;
}

static inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }
static inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

inline constexpr int64_t most_classes = 4096;

// exp(x - max) of a row into `out`; returns max and the sum.
template <class T>
static inline void soft_row(const T* x, int64_t n, float* out, float* top, float* total) {
  float most = -INFINITY;
  int64_t i = 0;
  if (n >= lanes) {
    Vec m = load(x);
    for (i = lanes; i + lanes <= n; i += lanes) m = max(m, load(x + i));
    most = maximum(m);
  }
  for (; i < n; ++i) most = get(x + i) > most ? get(x + i) : most;
  Vec sums{};
  for (i = 0; i + lanes <= n; i += lanes) {
    const Vec e = exp(load(x + i) - most);
    store(out + i, e);
    sums += e;
  }
  float rest = 0;
  for (; i < n; ++i) rest += out[i] = expf(get(x + i) - most);
  *top = most;
  *total = sum(sums) + rest;
}

// Entropy in nats of softmax(x): H = log Z - sum p x, with x taken relative to the maximum.
template <class T>
static inline float entropy_row(const T* x, int64_t n) {
  alignas(64) float soft[most_classes];
  float top, total;
  soft_row(x, n, soft, &top, &total);
  Vec dots{};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) dots += load(soft + i) * (load(x + i) - top);
  float weighted = sum(dots);
  for (; i < n; ++i) weighted += soft[i] * (get(x + i) - top);
  return logf(total) - weighted / total;
}

}  // namespace blt::kernels::BLT_ISA
