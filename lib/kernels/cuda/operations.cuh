// SPDX-License-Identifier: MIT
// The table's functions as launches: which kernel, how many blocks. Launcher::run<Kernel>(blocks,
// parameters) runs them on the GPU, or one block after the other in the tests.
#pragma once

#include "attention.cuh"
#include "attention_backward.cuh"
#include "attention_few.cuh"
#include "blt/base/error.h"
#include "flat.cuh"
#include "matvec.cuh"
#include "rows.cuh"

namespace blt::kernels::gpu {

template <class T>
struct Type {
  using type = T;
};
template <int N>
struct Number {
  static constexpr int value = N;
};

template <class F>
void by_type(Element type, F&& body) {
  if (type == Element::f32)
    body(Type<float>{});
  else
    body(Type<Bf16>{});
}

template <class F>
void by_head_dim(int64_t dim, F&& body) {
  if (dim <= 64)
    body(Number<64>{});
  else if (dim <= 128)
    body(Number<128>{});
  else if (dim <= 256)
    body(Number<256>{});
  else
    throw internal_error(
        cat("attention on this device takes heads of up to 256 numbers, not ", dim));
}

// How many vectors share one reading of the weights.
template <class F>
void by_vectors(int64_t rows, F&& body) {
  if (rows <= 1)
    body(Number<1>{});
  else if (rows <= 2)
    body(Number<2>{});
  else if (rows <= 4)
    body(Number<4>{});
  else
    body(Number<8>{});
}

template <class F>
void by_weight(WeightElement type, F&& body) {
  if (type != WeightElement::f32 && type != WeightElement::bf16) throw internal_error("weights on this device are float32 or bfloat16");
  by_type(type == WeightElement::f32 ? Element::f32 : Element::bf16, body);
}

template <class Launcher>
struct Operations {
  template <class Kernel>
  static void flat(const typename Kernel::Params& p) {
    Launcher::template run<Kernel>(parts(Kernel::count(p), Kernel::threads), p);
  }
  template <class Kernel>
  static void rows(const typename Kernel::Params& p) {
    Launcher::template run<Kernel>(parts(p.rows, Kernel::rows_a_block), p);
  }

  static void rms_norm(const RmsNorm& p) {
    by_type(p.type, [&](auto t) { rows<RmsNormKernel<typename decltype(t)::type>>(p); });
  }
  static void rms_norm_backward(const RmsNormBackward& p) {
    by_type(p.type, [&](auto t) {
      rows<RmsNormInputGradient<typename decltype(t)::type>>(p);
      flat<RmsNormWeightGradient<typename decltype(t)::type>>(p);
    });
  }
  static void rotary(const Rotary& p) {
    by_type(p.type, [&](auto t) { flat<RotaryKernel<typename decltype(t)::type>>(p); });
  }
  static void swiglu(const SwiGlu& p) {
    by_type(p.type, [&](auto t) { flat<SwiGluKernel<typename decltype(t)::type>>(p); });
  }
  static void swiglu_backward(const SwiGluBackward& p) {
    by_type(p.type, [&](auto t) { flat<SwiGluGradient<typename decltype(t)::type>>(p); });
  }
  static void cross_entropy(const CrossEntropy& p) {
    by_type(p.type, [&](auto t) { rows<CrossEntropyKernel<typename decltype(t)::type>>(p); });
  }
  static void entropy(const Entropy& p) {
    by_type(p.type, [&](auto t) { rows<EntropyKernel<typename decltype(t)::type>>(p); });
  }
  static void segment_max(const SegmentMax& p) { flat<SegmentMaxKernel>(p); }
  static void segment_max_backward(const SegmentMaxBackward& p) { flat<SegmentMaxGradient>(p); }
  static void hash_rows(const HashRows& p) { flat<HashRowsKernel>(p); }
  static void gather_sum(const GatherSum& p) { flat<GatherSumKernel>(p); }
  static void scatter_sum(const ScatterSum& p) { flat<ScatterSumKernel>(p); }
  static void adamw(const AdamW& p) { flat<AdamWKernel>(p); }

  static void matvec(const MatVec& p) {
    int64_t outputs = 0;
    for (int64_t i = 0; i < p.count; ++i) outputs += p.parts[i].out;
    by_weight(p.type, [&](auto w) {
      by_type(p.activations, [&](auto t) {
        by_vectors(p.rows, [&](auto n) {
          using Kernel = MatVecKernel<typename decltype(w)::type, typename decltype(t)::type, decltype(n)::value>;
          Launcher::template run<Kernel>(parts(outputs, Kernel::rows_a_block), p);
        });
      });
    });
  }
  static void residual(const Residual& p) {
    by_type(p.type, [&](auto t) { flat<ResidualKernel<typename decltype(t)::type>>(p); });
  }
  static void cast(const Cast& p) {
    by_type(p.from, [&](auto from) {
      by_type(p.to, [&](auto to) { flat<CastKernel<typename decltype(from)::type, typename decltype(to)::type>>(p); });
    });
  }
  static void put_rows(const PutRows& p) { flat<PutRowsKernel>(p); }

  static void attention(const Attention& p) {
    by_type(p.type, [&](auto t) {
      by_head_dim(p.head_dim, [&](auto d) {
        if (p.queries <= few_rows) {
          using Few = AttentionFewKernel<typename decltype(t)::type, decltype(d)::value>;
          Launcher::template run<Few>(p.queries * p.heads, p);
          return;
        }
        using Kernel = AttentionKernel<typename decltype(t)::type, decltype(d)::value>;
        Launcher::template run<Kernel>(parts(p.queries, Kernel::S::rows) * p.heads, p);
      });
    });
  }
  static void attention_backward(const AttentionBackward& b) {
    const Attention& p = b.forward;
    by_type(p.type, [&](auto t) {
      by_head_dim(p.head_dim, [&](auto d) {
        using Queries = QueryGradient<typename decltype(t)::type, decltype(d)::value>;
        using Keys = KeyGradient<typename decltype(t)::type, decltype(d)::value>;
        Launcher::template run<Queries>(parts(p.queries, Queries::S::rows) * p.heads, b);
        Launcher::template run<Keys>(parts(p.keys, Keys::S::rows) * p.kv_heads, b);
      });
    });
  }
};

}  // namespace blt::kernels::gpu
