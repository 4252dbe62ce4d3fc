// SPDX-License-Identifier: MIT
// What a kernel sees of its thread block. A kernel is one function over a block: code in each() or
// phase() runs once a thread, all other code once a block (on the GPU every thread repeats it), so
// that loops around barriers are the same for all threads by construction. The tests run the same
// functions with a block of plain loops.
//
// Rules: shared memory is written by phase() alone, which ends with a barrier; within one phase no
// thread reads shared memory that another one writes; each() has no barrier and touches registers
// and global memory only. Code between phases may read shared memory that no later phase writes.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "blt/kernels/kernels.h"

#ifdef __CUDACC__
#define BLT_DEVICE __device__ __forceinline__
#define BLT_BOTH __host__ __device__ __forceinline__
#define BLT_UNROLL _Pragma("unroll")
#define BLT_UNROLL_4 _Pragma("unroll 4")
#else
#define BLT_DEVICE inline
#define BLT_BOTH inline
#define BLT_UNROLL
#define BLT_UNROLL_4
#endif

namespace blt::kernels::gpu {

inline constexpr int warp = 32;

struct Bf16 {
  uint16_t bits;
};
struct alignas(16) Float4 {
  float x[4];
};
// A few registers of one thread.
template <class T, int N>
struct Row {
  T x[N];
};

BLT_DEVICE float get(const float* p) {
  return *p;
}
BLT_DEVICE void put(float* p, float x) {
  *p = x;
}
BLT_DEVICE float get(const Bf16* p) {
  const uint32_t bits = static_cast<uint32_t>(p->bits) << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
BLT_DEVICE void put(Bf16* p, float x) {  // round to nearest even
  uint32_t bits;
  memcpy(&bits, &x, 4);
  p->bits = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

BLT_DEVICE int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
BLT_DEVICE int64_t most(int64_t a, int64_t b) {
  return a > b ? a : b;
}
BLT_BOTH int64_t parts(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

struct Sum {
  template <class T>
  BLT_DEVICE static T of(T a, T b) {
    return a + b;
  }
};
struct Maximum {
  template <class T>
  BLT_DEVICE static T of(T a, T b) {
    return a > b ? a : b;
  }
};
struct Minimum {
  template <class T>
  BLT_DEVICE static T of(T a, T b) {
    return a < b ? a : b;
  }
};

#ifdef __CUDACC__
// The block of a running kernel.
class DeviceBlock {
 public:
  // A value of each thread that lives across phases.
  template <class T>
  class Registers {
   public:
    BLT_DEVICE T& operator[](int) { return value_; }

   private:
    T value_;
  };
  template <class T>
  BLT_DEVICE Registers<T> registers() const {
    return {};
  }

  BLT_DEVICE int64_t index() const { return blockIdx.x; }
  template <class F>
  BLT_DEVICE void each(F&& body) const {
    body(static_cast<int>(threadIdx.x));
  }
  template <class F>
  BLT_DEVICE void phase(F&& body) const {
    body(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  // Every thread gets the combination of its group of Width threads, by a butterfly: the same bits
  // in all of them.
  template <int Width, class Op, class T, int N>
  BLT_DEVICE void combine(Registers<Row<T, N>>& values) const {
    BLT_UNROLL
    for (int i = 0; i < N; ++i) {
      T x = values[0].x[i];
      BLT_UNROLL
      for (int apart = Width / 2; apart > 0; apart /= 2)
        x = Op::of(x, __shfl_xor_sync(0xffffffffu, x, apart));
      values[0].x[i] = x;
    }
  }
};
#endif

}  // namespace blt::kernels::gpu
