// SPDX-License-Identifier: MIT
// Norms, rotary embedding, SwiGLU and the losses: one pass over memory each.
#include <math.h>

#include "rows.h"

namespace blt::kernels::BLT_ISA {
namespace {

// With n = x r, r = inverse rms: dx = r (dy w - n mean(dy w n)); dw += dy n.
template <class T>
void norm_backward_row(const RmsNormBackward& p, int64_t row, float* dw) {
  const float* x = p.x + row * p.dim;
  const T* dy = static_cast<const T*>(p.dy) + row * p.dim;
  float* dx = p.dx + row * p.dim;
  const float r = p.inverse_rms[row];
  Vec dots{};
  int64_t i = 0;
  for (; i + lanes <= p.dim; i += lanes) {
    const Vec n = load(x + i) * r, g = load(dy + i);
    dots += g * load(p.w + i) * n;
    store(dw + i, load(dw + i) + g * n);
  }
  float total = sum(dots);
  for (; i < p.dim; ++i) {
    total += get(dy + i) * p.w[i] * x[i] * r;
    dw[i] += get(dy + i) * x[i] * r;
  }
  const float mean = total / static_cast<float>(p.dim);
  for (i = 0; i + lanes <= p.dim; i += lanes) {
    store(dx + i, (load(dy + i) * load(p.w + i) - load(x + i) * (r * mean)) * r);
  }
  for (; i < p.dim; ++i) dx[i] = (get(dy + i) * p.w[i] - x[i] * r * mean) * r;
}

template <class T>
void rotate(const Rotary& p) {
  const int64_t half = p.head_dim / 2, step = rows_per_task(p.heads * p.head_dim);
  for_each_task(parts(p.rows, step), [&](int64_t task) {
    for (int64_t row = task * step; row < least(p.rows, (task + 1) * step); ++row) {
      const float* c = p.cos_sin + static_cast<int64_t>(p.position[row]) * p.head_dim;
      const float* s = c + half;
      const float sign = p.inverse ? -1.0f : 1.0f;
      for (int64_t head = 0; head < p.heads; ++head) {
        T* x = static_cast<T*>(p.x) + (row * p.heads + head) * p.head_dim;
        for (int64_t i = 0; i < half; ++i) {
          const float a = get(x + 2 * i), b = get(x + 2 * i + 1), sine = sign * s[i];
          put(x + 2 * i, a * c[i] - b * sine);
          put(x + 2 * i + 1, a * sine + b * c[i]);
        }
      }
    }
  });
}

constexpr int64_t flat_part = 16384;

template <class T>
void gate(const SwiGlu& p) {
  const T *g = static_cast<const T*>(p.gate), *u = static_cast<const T*>(p.up);
  T* h = static_cast<T*>(p.h);
  for_each_task(parts(p.count, flat_part), [&](int64_t task) {
    const int64_t end = least(p.count, (task + 1) * flat_part);
    int64_t i = task * flat_part;
    for (; i + lanes <= end; i += lanes) {
      const Vec x = load(g + i);
      store(h + i, x * sigmoid(x) * load(u + i));
    }
    for (; i < end; ++i) put(h + i, get(g + i) * sigmoid(get(g + i)) * get(u + i));
  });
}

template <class T>
void gate_backward(const SwiGluBackward& p) {
  const T *g = static_cast<const T*>(p.gate), *u = static_cast<const T*>(p.up), *dh = static_cast<const T*>(p.dh);
  T *dg = static_cast<T*>(p.dgate), *du = static_cast<T*>(p.dup);
  const auto step = [](auto x, auto up, auto dout, auto& dgate, auto& dup) {
    const auto s = sigmoid(x);
    dup = dout * x * s;
    dgate = dout * up * s * (1.0f + x * (1.0f - s));
  };
  for_each_task(parts(p.count, flat_part), [&](int64_t task) {
    const int64_t end = least(p.count, (task + 1) * flat_part);
    int64_t i = task * flat_part;
    for (; i + lanes <= end; i += lanes) {
      Vec dgate, dup;
      step(load(g + i), load(u + i), load(dh + i), dgate, dup);
      store(dg + i, dgate);
      store(du + i, dup);
    }
    for (; i < end; ++i) {
      float dgate, dup;
      step(get(g + i), get(u + i), get(dh + i), dgate, dup);
      put(dg + i, dgate);
      put(du + i, dup);
    }
  });
}

template <class T>
void cross_entropy_rows(const CrossEntropy& p) {
  const int64_t step = rows_per_task(p.classes);
  for_each_task(parts(p.rows, step), [&](int64_t task) {
    alignas(64) float soft[most_classes];
    for (int64_t row = task * step; row < least(p.rows, (task + 1) * step); ++row) {
      const T* x = static_cast<const T*>(p.logits) + row * p.classes;
      T* dx = p.dlogits ? static_cast<T*>(p.dlogits) + row * p.classes : nullptr;
      const int64_t target = p.target[row];
      if (target < 0) {
        p.loss[row] = 0;
        if (dx) memset(dx, 0, sizeof(T) * static_cast<size_t>(p.classes));
        continue;
      }
      float top, total;
      soft_row(x, p.classes, soft, &top, &total);
      p.loss[row] = logf(total) + top - get(x + target);
      if (!dx) continue;
      const float factor = p.scale / total;
      int64_t i = 0;
      for (; i + lanes <= p.classes; i += lanes) store(dx + i, load(soft + i) * factor);
      for (; i < p.classes; ++i) put(dx + i, soft[i] * factor);
      put(dx + target, soft[target] * factor - p.scale);
    }
  });
}

template <class T>
void entropy_rows(const Entropy& p) {
  const int64_t step = rows_per_task(p.classes);
  for_each_task(parts(p.rows, step), [&](int64_t task) {
    for (int64_t row = task * step; row < least(p.rows, (task + 1) * step); ++row)
      p.entropy[row] = entropy_row(static_cast<const T*>(p.logits) + row * p.classes, p.classes);
  });
}

}  // namespace

void rms_norm(const RmsNorm& p) {
  const int64_t step = rows_per_task(p.dim);
  for_each_task(parts(p.rows, step), [&](int64_t task) {
    for (int64_t row = task * step; row < least(p.rows, (task + 1) * step); ++row) {
      const float* x = p.x + row * p.dim;
      p.inverse_rms[row] = p.type == Element::f32 ? norm_row(x, p.w, p.dim, p.eps, static_cast<float*>(p.y) + row * p.dim)
                                                  : norm_row(x, p.w, p.dim, p.eps, static_cast<Bf16*>(p.y) + row * p.dim);
    }
  });
}

void rms_norm_backward(const RmsNormBackward& p) {
  for_each_task(norm_parts(p.rows), [&](int64_t part) {
    float* dw = p.dw_parts + part * p.dim;
    memset(dw, 0, sizeof(float) * static_cast<size_t>(p.dim));
    for (int64_t row = part * norm_part_rows; row < least(p.rows, (part + 1) * norm_part_rows); ++row) {
      p.type == Element::f32 ? norm_backward_row<float>(p, row, dw) : norm_backward_row<Bf16>(p, row, dw);
    }
  });
}

void rotary(const Rotary& p) { p.type == Element::f32 ? rotate<float>(p) : rotate<Bf16>(p); }
void swiglu(const SwiGlu& p) { p.type == Element::f32 ? gate<float>(p) : gate<Bf16>(p); }
void swiglu_backward(const SwiGluBackward& p) {
  p.type == Element::f32 ? gate_backward<float>(p) : gate_backward<Bf16>(p);
}
void cross_entropy(const CrossEntropy& p) {
  p.type == Element::f32 ? cross_entropy_rows<float>(p) : cross_entropy_rows<Bf16>(p);
}
void entropy(const Entropy& p) { p.type == Element::f32 ? entropy_rows<float>(p) : entropy_rows<Bf16>(p); }

}  // namespace blt::kernels::BLT_ISA
