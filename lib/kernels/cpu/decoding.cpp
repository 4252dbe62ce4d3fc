// SPDX-License-Identifier: MIT
// What the incremental engine needs beside the operations of training.
#include "vec.h"

namespace blt::kernels::BLT_ISA {
namespace {

constexpr int64_t flat_part = 16384;

// body(i, vectors) for whole vectors, then body(i, single).
template <class Whole, class Single>
void each_number(int64_t count, Whole&& whole, Single&& single) {
  for_each_task(parts(count, flat_part), [&](int64_t task) {
    const int64_t end = least(count, (task + 1) * flat_part);
    int64_t i = task * flat_part;
    for (; i + lanes <= end; i += lanes) whole(i);
    for (; i < end; ++i) single(i);
  });
}

template <class T>
void add(const Residual& p) {
  const T* y = static_cast<const T*>(p.y);
  each_number(
      p.count, [&](int64_t i) { store(p.out + i, load(p.x + i) * p.scale + load(y + i)); },
      [&](int64_t i) { p.out[i] = p.x[i] * p.scale + get(y + i); });
}

template <class From, class To>
void convert(const Cast& p) {
  const From* x = static_cast<const From*>(p.x);
  To* y = static_cast<To*>(p.y);
  each_number(
      p.count, [&](int64_t i) { store(y + i, load(x + i)); }, [&](int64_t i) { put(y + i, get(x + i)); });
}

}  // namespace

void residual(const Residual& p) { p.type == Element::f32 ? add<float>(p) : add<Bf16>(p); }

void cast(const Cast& p) {
  if (p.from == Element::f32) {
    p.to == Element::f32 ? convert<float, float>(p) : convert<float, Bf16>(p);
  } else {
    p.to == Element::f32 ? convert<Bf16, float>(p) : convert<Bf16, Bf16>(p);
  }
}

void put_rows(const PutRows& p) {
  const auto bytes = static_cast<size_t>(p.row_bytes);
  for (int64_t i = 0; i < p.rows; ++i) {
    memcpy(static_cast<char*>(p.out) + p.index[i] * p.row_bytes, static_cast<const char*>(p.x) + i * p.row_bytes, bytes);
  }
}

}  // namespace blt::kernels::BLT_ISA
