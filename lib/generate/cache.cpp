// SPDX-License-Identifier: MIT
#include "cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "blt/nn/rotary.h"
#include "cached_heads.h"

namespace blt::generate {

at::Tensor int_tensor(const std::vector<std::int32_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions().dtype(at::kInt)).to(device);
}

NewRows byte_rows(std::span<const patch::TokenId> ids, std::int64_t from,
                  const model::Semantics& semantics, bool newline_reset) {
  constexpr patch::TokenId newline = '\n' + patch::byte_offset;
  const auto id = [&](std::int64_t p) { return ids[static_cast<std::size_t>(p)]; };
  std::int64_t text = 0, block = 0;  // where the text and the block of row `from` begin
  if (newline_reset) {
    for (text = from; text > 0 && id(text) != newline; --text) {
    }
  }
  if (semantics.eos_blocks) {
    for (block = from; block > text && id(block - 1) != patch::eos_id; --block) {
    }
  }
  block = std::max(block, text);
  NewRows out;
  for (std::int64_t p = from; p < static_cast<std::int64_t>(ids.size()); ++p) {
    if (newline_reset && id(p) == newline) text = block = p;
    out.position.push_back(static_cast<std::int32_t>(p - text));
    out.first.push_back(semantics.window > 0 ? std::max(block, p - semantics.window + 1) : block);
    if (semantics.eos_blocks && id(p) == patch::eos_id) block = p + 1;
  }
  return out;
}

CachedTransformer::CachedTransformer(model::Transformer& transformer, at::ScalarType type,
                                     at::Device device)
    : transformer_(transformer), pass_{type}, device_(device) {
  const auto& c = transformer.config;
  for (std::int64_t i = 0; i < c.layers; ++i) {
    keys_.emplace_back(c.kv_heads * c.head_dim(), at::TensorOptions().dtype(type).device(device));
    values_.push_back(keys_.back());
  }
}

void CachedTransformer::begin(const NewRows& rows) {
  if (keys_.empty()) return;
  for (auto& key : keys_) key.reserve(rows.count());
  for (auto& value : values_) value.reserve(rows.count());
  const std::int64_t base = keys_[0].base(), end = keys_[0].end();
  std::vector<std::int32_t> first, last;
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    first.push_back(static_cast<std::int32_t>(rows.first[static_cast<std::size_t>(i)] - base));
    last.push_back(static_cast<std::int32_t>(end + i + 1 - base));
  }
  ranges_ = nn::make_ranges(std::move(first), std::move(last), 128, device_);
  position_ = int_tensor(rows.position, device_);
  positions_ = *std::max_element(rows.position.begin(), rows.position.end()) + 1;
}

// As Transformer::layer_forward, with the keys and values of earlier rows.
at::Tensor CachedTransformer::layer(std::size_t index, const at::Tensor& x) {
  const model::Layer& w = transformer_.layers[index];
  const model::TransformerConfig& c = transformer_.config;
  const at::Tensor& table = transformer_.rope.table(positions_, device_);
  const auto qkv =
      nn::linears(nn::rms_norm(x, w.attention_norm, c.norm_eps, pass_.type), {w.wq, w.wk, w.wv});
  nn::rotate(qkv[0], table, position_, c.heads, c.head_dim());
  nn::rotate(qkv[1], table, position_, c.kv_heads, c.head_dim());
  keys_[index].append(qkv[1]);
  values_[index].append(qkv[2]);
  const at::Tensor attended = nn::attention(qkv[0], keys_[index].held(), values_[index].held(),
                                            ranges_, {c.heads, c.kv_heads, c.head_dim()});
  const at::Tensor h = x + nn::linear(attended, w.wo);
  const auto gate_up =
      nn::linears(nn::rms_norm(h, w.ffn_norm, c.norm_eps, pass_.type), {w.w_gate, w.w_up});
  return h + nn::linear(nn::swiglu(gate_up[0], gate_up[1]), w.w_down);
}

at::Tensor CachedTransformer::forward(at::Tensor x, const NewRows& rows) {
  begin(rows);
  for (std::size_t i = 0; i < keys_.size(); ++i) x = layer(i, x);
  return x;
}

void CachedTransformer::truncate(std::int64_t end) {
  for (auto& key : keys_) key.truncate(end);
  for (auto& value : values_) value.truncate(end);
}

void CachedTransformer::drop_before(std::int64_t row) {
  for (auto& key : keys_) key.drop_before(row);
  for (auto& value : values_) value.drop_before(row);
}

void CachedTransformer::clear() {
  for (auto& key : keys_) key.clear();
  for (auto& value : values_) value.clear();
}

CachedByteLm::CachedByteLm(model::ByteLm& lm, at::ScalarType type, bool newline_reset, bool heads)
    : lm_(lm),
      pass_{type},
      newline_reset_(newline_reset),
      transformer_(lm.transformer, type, lm.embedding.device()) {
  if (heads) heads_ = make_heads(lm, lm.config.transformer.norm_eps, type);
}

CachedByteLm::~CachedByteLm() = default;

void CachedByteLm::truncate(std::int64_t end) {
  transformer_.truncate(end);
  if (heads_) heads_->truncate(end);
}

void CachedByteLm::clear() {
  transformer_.clear();
  if (heads_) heads_->clear();
}

at::Tensor CachedByteLm::append(std::span<const patch::TokenId> ids, std::int64_t from,
                                bool last_only) {
  std::vector<std::int32_t> fresh(ids.begin() + from, ids.end());
  if (newline_reset_)
    std::replace(fresh.begin(), fresh.end(), '\n' + patch::byte_offset,
                 static_cast<int>(patch::bos_id));
  const at::Tensor tensor = int_tensor(fresh, lm_.embedding.device());
  nn::HashTables none;
  const at::Tensor x = nn::hash_embedding(lm_.embedding, none, tensor, at::zeros_like(tensor));
  const NewRows rows = byte_rows(ids, from, lm_.config.semantics, newline_reset_);
  at::Tensor h = transformer_.forward(x, rows);
  if (heads_) heads_->append(h, rows);
  if (last_only) h = h.slice(0, h.size(0) - 1);
  return nn::linear(nn::rms_norm(h, lm_.norm, lm_.config.transformer.norm_eps, pass_.type),
                    lm_.head);
}

void CachedByteLm::keep_from(std::int64_t row) {
  const std::int64_t window = lm_.config.semantics.window;
  if (window <= 0) return;
  transformer_.drop_before(row - window + 1);
  if (heads_) heads_->drop_before(row - window + 1);
}

}  // namespace blt::generate
