// SPDX-License-Identifier: MIT
#include "cache.h"

#include <algorithm>

#include "cached_heads.h"

namespace blt::generate {

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
    const std::int64_t oldest = semantics.window > 0 ? std::max(text, from - semantics.window + 1) : text;  // no row sees further back
    for (block = from; block > oldest && id(block - 1) != patch::eos_id; --block) {
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
    : transformer_(transformer), pass_{type}, device_(device), rope_(transformer.rope) {
  const auto& c = transformer.config;
  keys_.assign(static_cast<std::size_t>(c.layers), Rows(c.kv_heads * c.head_dim(), type, device));
  values_ = keys_;
}

void CachedTransformer::plan(const NewRows& rows, nn::Inputs& inputs) {
  inputs_ = &inputs;
  if (keys_.empty()) return;
  for (auto* list : {&keys_, &values_}) {
    for (auto& kept : *list) kept.reserve(rows.count());
  }
  const Rows& keys = keys_[0];
  const std::int64_t end = keys.end();
  std::vector<std::int32_t> first, last;
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    first.push_back(keys.place(rows.first[static_cast<std::size_t>(i)]));
    last.push_back(keys.place(end + i + 1));
  }
  ranges_ = nn::add_ranges(inputs, first, last, 128);
  position_ = inputs.add(rows.position);
  index_ = inputs.add(keys.places(end, end + rows.count()));
  cos_sin_ = rope_.table(*std::max_element(rows.position.begin(), rows.position.end()) + 1, device_);
}

// As Transformer::layer_forward, with the keys and values of earlier rows.
void CachedTransformer::layer(nn::Workspace& ws, std::size_t i, const nn::Matrix& x) {
  const auto mark = ws.mark();
  const model::Layer& w = transformer_.layers[i];
  const model::TransformerConfig& c = transformer_.config;
  const nn::AttentionShape shape{c.heads, c.kv_heads, c.head_dim()};
  const auto qkv = ws.linears(ws.rms_norm(x, w.attention_norm, c.norm_eps, pass_.type), {w.wq, w.wk, w.wv});
  for (const auto* rotated : {&qkv[0], &qkv[1]}) ws.rotate(*rotated, cos_sin_, inputs_->at(position_), shape);
  keys_[i].append(ws, qkv[1], inputs_->at(index_));
  values_[i].append(ws, qkv[2], inputs_->at(index_));
  const nn::Matrix seen = ws.attention(qkv[0], keys_[i].held(), values_[i].held(), *inputs_, ranges_, shape);
  ws.add(x, 1, ws.linear(seen, w.wo));
  const auto gate_up = ws.linears(ws.rms_norm(x, w.ffn_norm, c.norm_eps, pass_.type), {w.w_gate, w.w_up});
  ws.add(x, 1, ws.linear(ws.swiglu(gate_up[0], gate_up[1]), w.w_down));
  ws.release(mark);
}

void CachedTransformer::forward(nn::Workspace& ws, const nn::Matrix& x) {
  for (std::size_t i = 0; i < keys_.size(); ++i) layer(ws, i, x);
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

void CachedByteLm::plan(std::span<const patch::TokenId> ids, std::int64_t from, nn::Inputs& inputs) {
  std::vector<std::int32_t> fresh(ids.begin() + from, ids.end());
  if (newline_reset_)
    std::replace(fresh.begin(), fresh.end(), '\n' + patch::byte_offset,
                 static_cast<int>(patch::bos_id));
  const NewRows rows = byte_rows(ids, from, lm_.config.semantics, newline_reset_);
  inputs_ = &inputs;
  ids_ = inputs.add(fresh);
  count_ = rows.count();
  transformer_.plan(rows, inputs);
  if (heads_) heads_->plan(rows, inputs);
}

nn::Matrix CachedByteLm::append(nn::Workspace& ws, bool last_only) {
  nn::Matrix h = ws.embedding(lm_.embedding, inputs_->at(ids_), count_);
  transformer_.forward(ws, h);
  if (heads_) heads_->append(ws, h);
  if (last_only) h = h.row_range(count_ - 1, count_);
  return ws.linear(ws.rms_norm(h, lm_.norm, lm_.config.transformer.norm_eps, pass_.type), lm_.head);
}

void CachedByteLm::keep_from(std::int64_t row) {
  const std::int64_t window = lm_.config.semantics.window;
  if (window <= 0) return;
  transformer_.drop_before(row - window + 1);
  if (heads_) heads_->drop_before(row - window + 1);
}

}  // namespace blt::generate
