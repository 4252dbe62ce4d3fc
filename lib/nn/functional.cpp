// SPDX-License-Identifier: MIT
#include "blt/nn/functional.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

#include "kernel_table.h"
#include "products.h"

namespace blt::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Function::apply takes no undefined tensor.
std::optional<at::Tensor> present(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// Without gradients an operation needs no graph.
template <class F, class... Args>
auto run(Args&&... args) {
  return at::GradMode::is_enabled() ? F::apply(std::forward<Args>(args)...) : F::forward(nullptr, std::forward<Args>(args)...);
}

at::Tensor dense(const at::Tensor& tensor, at::ScalarType type) { return tensor.to(type).contiguous(); }

struct RmsNormFunction : Function<RmsNormFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, double eps, int64_t type) {
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(static_cast<at::ScalarType>(type)));
    const at::Tensor inverse = at::empty({x.size(0)}, x.options());
    kernel_table(x).rms_norm({typed<float>(x), typed<float>(w), pointer(y), typed<float>(inverse), x.size(0), x.size(1),
                              static_cast<float>(eps), element_of(y)});
    if (ctx) ctx->save_for_backward({x, w, inverse});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], dy = grads[0].contiguous();
    const at::Tensor dx = at::empty_like(x);
    const at::Tensor parts = at::empty({kernels::norm_parts(x.size(0)), x.size(1)}, x.options());
    kernel_table(x).rms_norm_backward({typed<float>(x), typed<float>(w), pointer(dy), typed<float>(saved[2]),
                                       typed<float>(dx), typed<float>(parts), x.size(0), x.size(1), element_of(dy)});
    return {dx, parts.sum(0), {}, {}};
  }
};

// One input, up to three weights: q, k, v or gate and up. The input's gradient is summed in the products themselves.
struct LinearsFunction : Function<LinearsFunction> {
  using Weight = std::optional<at::Tensor>;
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const Weight& w0, const Weight& w1,
                               const Weight& w2) {
    variable_list saved = {x}, outputs;
    for (const Weight* weight : {&w0, &w1, &w2}) {
      if (!*weight) continue;
      saved.push_back((*weight)->to(x.scalar_type()));
      outputs.push_back(at::mm(x, saved.back().t()));
    }
    ctx->save_for_backward(saved);
    return outputs;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    variable_list out(4);
    for (std::size_t i = 1; i < saved.size(); ++i) {
      const at::Tensor dy = dense(grads[i - 1], saved[0].scalar_type());
      out[i] = at::mm(dy.t(), saved[0]).to(at::kFloat);
      if (i == 1) out[0] = at::mm(dy, saved[i]);
      else out[0].addmm_(dy, saved[i]);
    }
    return out;
  }
};

kernels::Attention attention_parameters(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        const at::Tensor& out, const at::Tensor& log_sum, const Ranges& ranges,
                                        const AttentionShape& shape) {
  return {pointer(q), pointer(k), pointer(v), pointer(out), typed<float>(log_sum), typed<int32_t>(ranges.first),
          typed<int32_t>(ranges.last), typed<int32_t>(ranges.tasks), ranges.tasks.numel() - 1, q.size(0), k.size(0),
          shape.heads, shape.kv_heads, shape.head_dim, 1.0f / std::sqrt(static_cast<float>(shape.head_dim)),
          element_of(q)};
}

void rotate(const at::Tensor& x, const at::Tensor& cos_sin, const at::Tensor& position, int64_t heads, int64_t head_dim,
            bool inverse) {
  kernel_table(x).rotary({pointer(x), typed<float>(cos_sin), typed<int32_t>(position), x.size(0), heads, head_dim,
                          inverse, element_of(x)});
}

struct AttentionFunction : Function<AttentionFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& first, const at::Tensor& last, const at::Tensor& tasks,
                            const std::optional<at::Tensor>& cos_sin, const std::optional<at::Tensor>& position,
                            int64_t heads, int64_t kv_heads, int64_t head_dim) {
    if (cos_sin) {
      rotate(q, *cos_sin, *position, heads, head_dim, false);
      rotate(k, *cos_sin, *position, kv_heads, head_dim, false);
    }
    const at::Tensor out = at::empty_like(q);
    const at::Tensor log_sum = at::empty({q.size(0), heads}, q.options().dtype(at::kFloat));
    kernel_table(q).attention(
        attention_parameters(q, k, v, out, log_sum, {first, last, tasks}, {heads, kv_heads, head_dim}));
    if (!ctx) return out;
    ctx->save_for_backward({q, k, v, out, log_sum, first, last, tasks, cos_sin.value_or(at::Tensor()),
                            position.value_or(at::Tensor())});
    ctx->saved_data["shape"] = std::vector<int64_t>{heads, kv_heads, head_dim};
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto sizes = ctx->saved_data["shape"].toIntVector();
    const AttentionShape shape{sizes[0], sizes[1], sizes[2]};
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const at::Tensor dout = dense(grads[0], q.scalar_type());
    const at::Tensor dq = at::zeros_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
    kernel_table(q).attention_backward(
        {attention_parameters(q, k, v, saved[3], saved[4], {saved[5], saved[6], saved[7]}, shape), pointer(dout),
         pointer(dq), pointer(dk), pointer(dv)});
    if (saved[8].defined()) {
      rotate(dq, saved[8], saved[9], shape.heads, shape.head_dim, true);
      rotate(dk, saved[8], saved[9], shape.kv_heads, shape.head_dim, true);
    }
    return {dq, dk, dv, {}, {}, {}, {}, {}, {}, {}, {}};
  }
};

struct SwiGluFunction : Function<SwiGluFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate, const at::Tensor& up) {
    const at::Tensor h = at::empty_like(gate);
    kernel_table(gate).swiglu({pointer(gate), pointer(up), pointer(h), gate.numel(), element_of(gate)});
    if (ctx) ctx->save_for_backward({gate, up});
    return h;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor dh = dense(grads[0], saved[0].scalar_type());
    const at::Tensor dgate = at::empty_like(dh), dup = at::empty_like(dh);
    kernel_table(dh).swiglu_backward({pointer(saved[0]), pointer(saved[1]), pointer(dh), pointer(dgate), pointer(dup),
                                      dh.numel(), element_of(dh)});
    return {dgate, dup};
  }
};

// The gradient is made in the forward, where the softmax is at hand.
struct CrossEntropyFunction : Function<CrossEntropyFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& logits, const at::Tensor& target,
                            const at::Tensor& losses, double scale, bool gradient) {
    const at::Tensor dlogits = gradient ? at::empty_like(logits) : at::Tensor();
    kernel_table(logits).cross_entropy({pointer(logits), typed<int32_t>(target), typed<float>(losses),
                                        gradient ? pointer(dlogits) : nullptr, logits.size(0), logits.size(1),
                                        static_cast<float>(scale), element_of(logits)});
    ctx->save_for_backward({dlogits});
    return losses.sum() * scale;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor dlogits = ctx->get_saved_variables()[0];
    return {dlogits.mul_(grads[0]), {}, {}, {}, {}};
  }
};

struct SegmentMaxFunction : Function<SegmentMaxFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& starts) {
    const at::Tensor out = at::empty({starts.numel() - 1, x.size(1)}, x.options());
    kernel_table(x).segment_max({typed<float>(x), typed<int32_t>(starts), typed<float>(out), out.size(0), x.size(1)});
    if (ctx) ctx->save_for_backward({x, starts, out});
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor dout = dense(grads[0], at::kFloat), dx = at::empty_like(saved[0]);
    kernel_table(dout).segment_max_backward({typed<float>(saved[0]), typed<int32_t>(saved[1]), typed<float>(saved[2]),
                                             typed<float>(dout), typed<float>(dx), dout.size(0), dout.size(1)});
    return {dx, {}};
  }
};

// Mapped tables lie on the host, whatever computes: their few rows are summed there.
void add_mapped(const HashTables& tables, const at::Tensor& rows, at::Tensor out) {
  const at::Tensor host_rows = rows.cpu(), sum = out.is_cpu() ? out : out.cpu();
  kernels::cpu_table().gather_sum({nullptr, typed<int32_t>(host_rows), typed<float>(sum), host_rows.size(1), tables.tables(),
                                   tables.table_rows, sum.size(1), true, tables.mapped.tables.data(), tables.mapped.type});
  if (!out.is_cpu()) out.copy_(sum);
}

struct HashEmbeddingFunction : Function<HashEmbeddingFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& embedding, const at::Tensor& ids,
                            const std::optional<at::Tensor>& rows, int64_t tables_address) {
    const at::Tensor out = at::embedding(embedding, ids);
    if (const auto* tables = reinterpret_cast<HashTables*>(tables_address)) {
      if (tables->mapped.tables.empty()) {
        kernel_table(out).gather_sum({typed<float>(tables->weight), typed<int32_t>(*rows), typed<float>(out), ids.numel(),
                                      tables->tables(), tables->table_rows, out.size(1), true});
      } else {
        add_mapped(*tables, *rows, out);
      }
    }
    if (!ctx) return out;
    ctx->save_for_backward({ids, rows.value_or(at::Tensor())});
    ctx->saved_data["tables"] = tables_address;
    ctx->saved_data["vocabulary"] = embedding.size(0);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    auto* tables = reinterpret_cast<HashTables*>(ctx->saved_data["tables"].toInt());
    const at::Tensor dy = dense(grads[0], at::kFloat);
    if (tables && tables->trainable) tables->gradients.push_back({saved[1], dy});
    return {at::embedding_dense_backward(dy, saved[0], ctx->saved_data["vocabulary"].toInt(), -1, false), {}, {}, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::ScalarType type) {
  return run<RmsNormFunction>(x.contiguous(), weight, eps, static_cast<int64_t>(type));
}

std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<at::Tensor>& weights) {
  if (!at::GradMode::is_enabled()) return products(x, weights);
  for (const auto& w : weights) {
    if (!w.is_floating_point()) throw internal_error("narrow weights have no gradients");
  }
  const auto weight = [&](std::size_t i) { return i < weights.size() ? std::optional(weights[i]) : std::nullopt; };
  return LinearsFunction::apply(x, weight(0), weight(1), weight(2));
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) { return linears(x, {weight})[0]; }

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Ranges& ranges,
                     const AttentionShape& shape, const at::Tensor& cos_sin, const at::Tensor& position) {
  return run<AttentionFunction>(q, k, v, ranges.first, ranges.last, ranges.tasks, present(cos_sin), present(position),
                                  shape.heads, shape.kv_heads, shape.head_dim);
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) { return run<SwiGluFunction>(gate, up); }

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, double scale, at::Tensor* losses) {
  const at::Tensor rows = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat).requires_grad(false));
  if (losses) *losses = rows;
  return CrossEntropyFunction::apply(logits, target, rows, scale, logits.requires_grad());
}

at::Tensor entropy(const at::Tensor& logits) {
  const at::Tensor out = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat).requires_grad(false));
  kernel_table(logits).entropy({pointer(logits), typed<float>(out), logits.size(0), logits.size(1), element_of(logits)});
  return out;
}

at::Tensor segment_max(const at::Tensor& x, const at::Tensor& starts) { return run<SegmentMaxFunction>(x, starts); }

at::Tensor hash_embedding(const at::Tensor& embedding, HashTables& tables, const at::Tensor& ids,
                          const at::Tensor& start) {
  // The tables outlive the graph; a model without them passes none.
  const bool any = tables.tables() > 0;
  return run<HashEmbeddingFunction>(embedding, ids, any ? std::optional(hash_rows(tables, ids, start)) : std::nullopt,
                                      any ? reinterpret_cast<int64_t>(&tables) : int64_t{0});
}

}  // namespace blt::nn
