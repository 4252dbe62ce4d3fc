// SPDX-License-Identifier: MIT
// Segment maximum (patch pooling), hash n-gram tables, and the optimiser's update.
#include <math.h>

#include "vec.h"

namespace blt::kernels::BLT_ISA {
namespace {

void maximum_of(const SegmentMax& p, int64_t segment) {
  float* out = p.out + segment * p.dim;
  const int64_t begin = p.starts[segment], end = p.starts[segment + 1];
  if (begin == end) {
    memset(out, 0, sizeof(float) * static_cast<size_t>(p.dim));
    return;
  }
  memcpy(out, p.x + begin * p.dim, sizeof(float) * static_cast<size_t>(p.dim));
  for (int64_t row = begin + 1; row < end; ++row) {
    const float* x = p.x + row * p.dim;
    for (int64_t i = 0; i < p.dim; ++i) out[i] = x[i] > out[i] ? x[i] : out[i];
  }
}

void share_gradient(const SegmentMaxBackward& p, int64_t segment, float* ties) {
  const float *out = p.out + segment * p.dim, *dout = p.dout + segment * p.dim;
  const int64_t begin = p.starts[segment], end = p.starts[segment + 1];
  memset(ties, 0, sizeof(float) * static_cast<size_t>(p.dim));
  for (int64_t row = begin; row < end; ++row) {
    const float* x = p.x + row * p.dim;
    for (int64_t i = 0; i < p.dim; ++i) ties[i] += x[i] == out[i] ? 1.0f : 0.0f;
  }
  for (int64_t row = begin; row < end; ++row) {
    const float* x = p.x + row * p.dim;
    float* dx = p.dx + row * p.dim;
    for (int64_t i = 0; i < p.dim; ++i) dx[i] = x[i] == out[i] ? dout[i] / ties[i] : 0.0f;
  }
}

constexpr int64_t most_dim = 8192;

void update(const AdamW& p, float* w, const float* g, float* m, float* v, int64_t count) {
  const float a = 1.0f - p.beta1, b = 1.0f - p.beta2, keep = 1.0f - p.learning_rate * p.weight_decay;
  const float step = p.learning_rate / p.correction1, root = 1.0f / sqrtf(p.correction2);
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] * p.gradient_scale;
    m[i] = p.beta1 * m[i] + a * gradient;
    v[i] = p.beta2 * v[i] + b * gradient * gradient;
    w[i] = w[i] * keep - step * m[i] / (sqrtf(v[i]) * root + p.eps);
  }
}

}  // namespace

void segment_max(const SegmentMax& p) {
  const int64_t step = 64;
  for_each_task(parts(p.segments, step), [&](int64_t task) {
    for (int64_t s = task * step; s < least(p.segments, (task + 1) * step); ++s) maximum_of(p, s);
  });
}

void segment_max_backward(const SegmentMaxBackward& p) {
  const int64_t step = 64;
  for_each_task(parts(p.segments, step), [&](int64_t task) {
    alignas(64) float ties[most_dim];
    for (int64_t s = task * step; s < least(p.segments, (task + 1) * step); ++s) share_gradient(p, s, ties);
  });
}

void hash_rows(const HashRows& p) {
  const int64_t step = 2048;
  for_each_task(parts(p.count - p.skip, step) * p.tables, [&](int64_t task) {
    const int64_t table = task % p.tables, from = p.skip + task / p.tables * step;
    const int64_t n = p.group_sizes[table];
    uint64_t powers[64];
    powers[0] = 1;
    for (int64_t k = 1; k < n; ++k) powers[k] = powers[k - 1] * p.primes[table];
    for (int64_t i = from; i < least(p.count, from + step); ++i) {
      uint64_t hash = 0;  // ids before the start are 0 and add nothing; the oldest has power 0
      for (int64_t k = 0; k < n; ++k) {
        const int64_t j = i - n + 1 + k;
        if (j >= p.start[i]) hash += static_cast<uint64_t>(p.ids[j]) * powers[k];
      }
      int64_t row = static_cast<int64_t>(hash) % p.table_rows;
      if (row < 0) row += p.table_rows;
      p.rows[table * (p.count - p.skip) + i - p.skip] = static_cast<int32_t>(row);
    }
  });
}

namespace {

float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// IEEE half to float without branches that vary by element: exponents are moved by a product, which denormals survive.
float float_of_half(uint16_t half) {
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13, sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const float scaled = float_of_bits(magnitude) * 0x1p112f;
  const uint32_t special = float_of_bits(magnitude) >= 0x1p-96f ? 0x7f800000u | magnitude : 0u;  // infinite or no number
  uint32_t bits;
  memcpy(&bits, &scaled, sizeof bits);
  return float_of_bits((special ? special : bits) | sign);
}

// A table's row added to out.
void add_row(const GatherSum& p, int64_t table, int64_t row, float* out) {
  if (!p.apart) {
    const float* x = p.table + (table * p.table_rows + row) * p.dim;
    for (int64_t d = 0; d < p.dim; ++d) out[d] += x[d];
    return;
  }
  switch (p.type) {
    case TableElement::f32: {
      const float* x = static_cast<const float*>(p.apart[table]) + row * p.dim;
      for (int64_t d = 0; d < p.dim; ++d) out[d] += x[d];
      break;
    }
    case TableElement::bf16: {
      const uint16_t* x = static_cast<const uint16_t*>(p.apart[table]) + row * p.dim;
      for (int64_t d = 0; d < p.dim; ++d) out[d] += float_of_bits(static_cast<uint32_t>(x[d]) << 16);
      break;
    }
    case TableElement::f16: {
      const uint16_t* x = static_cast<const uint16_t*>(p.apart[table]) + row * p.dim;
      for (int64_t d = 0; d < p.dim; ++d) out[d] += float_of_half(x[d]);
      break;
    }
  }
}

}  // namespace

void gather_sum(const GatherSum& p) {
  const int64_t step = rows_per_task(p.dim * p.tables);
  for_each_task(parts(p.count, step), [&](int64_t task) {
    for (int64_t i = task * step; i < least(p.count, (task + 1) * step); ++i) {
      float* out = p.out + i * p.dim;
      if (!p.accumulate) memset(out, 0, sizeof(float) * static_cast<size_t>(p.dim));
      for (int64_t t = 0; t < p.tables; ++t) add_row(p, t, p.rows[t * p.count + i], out);
    }
  });
}

void scatter_sum(const ScatterSum& p) {
  const int64_t step = 32;
  for_each_task(parts(p.groups, step), [&](int64_t task) {
    for (int64_t g = task * step; g < least(p.groups, (task + 1) * step); ++g) {
      float* out = p.out + g * p.dim;
      memset(out, 0, sizeof(float) * static_cast<size_t>(p.dim));
      for (int64_t j = p.offsets[g]; j < p.offsets[g + 1]; ++j) {
        const float* dy = p.dy + static_cast<int64_t>(p.positions[j]) * p.dim;
        for (int64_t d = 0; d < p.dim; ++d) out[d] += dy[d];
      }
    }
  });
}

void adamw(const AdamW& p) {
  if (!p.rows) {
    const int64_t step = 16384;
    for_each_task(parts(p.count, step), [&](int64_t task) {
      const int64_t i = task * step;
      update(p, p.parameter + i, p.gradient + i, p.moment1 + i, p.moment2 + i, least(step, p.count - i));
    });
    return;
  }
  const int64_t step = rows_per_task(p.dim);
  for_each_task(parts(p.count, step), [&](int64_t task) {
    for (int64_t i = task * step; i < least(p.count, (task + 1) * step); ++i) {
      const int64_t at = p.rows[i] * p.dim;
      update(p, p.parameter + at, p.gradient + i * p.dim, p.moment1 + at, p.moment2 + at, p.dim);
    }
  });
}

}  // namespace blt::kernels::BLT_ISA
