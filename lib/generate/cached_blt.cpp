// SPDX-License-Identifier: MIT
#include "cached_blt.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

#include "blt/base/error.h"
#include "blt/model/inference.h"
#include "boundaries.h"

namespace blt::generate {
namespace {

std::int64_t starts_up_to(const std::vector<std::int64_t>& starts, std::int64_t position) {
  return std::upper_bound(starts.begin(), starts.end(), position) - starts.begin();
}

}  // namespace

CachedBlt::CachedBlt(model::Blt& blt, at::ScalarType type, bool heads)
    : blt_(blt),
      pass_{type},
      device_(blt.embedding.device()),
      encoder_(blt.encoder, type, device_),
      latent_(blt.latent, type, device_),
      decoder_(blt.decoder, type, device_) {
  const auto& c = blt.config;
  // Boundaries are decided in float32 whatever the rest computes in: they must not depend on how
  // rows are batched.
  if (patch::needs_entropies(c.patching.scheme)) {
    patcher_ = std::make_unique<CachedByteLm>(*blt.patcher, at::kFloat, c.patching.newline_reset);
  }
  const auto floats = at::TensorOptions().dtype(at::kFloat).device(device_);
  const std::size_t layers = c.cross_all_encoder_layers ? blt.encoder.layers.size() : 1;
  hidden_.assign(layers, Rows(c.encoder.dim, floats));
  const auto cross = c.decoder_cross_shape();
  const std::int64_t kv = cross.kv_heads * cross.head_dim();
  cross_keys_.assign(blt.decoder_cross.size(), Rows(kv, floats.dtype(type)));
  cross_values_ = cross_keys_;
  if (heads) heads_ = make_heads(blt, c.decoder.norm_eps, type);
}

at::Tensor CachedBlt::append(std::span<const patch::TokenId> ids, bool last_only, Latent latent) {
  const std::int64_t from = size();
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  const bool exact = latent == Latent::exact;
  if (exact) find_starts(from);
  const NewRows rows = byte_rows(ids_, from, blt_.config.semantics);
  const at::Tensor h = encode(from, rows);
  if (exact) close_patches();
  at::Tensor d = decode(h, from, rows);
  if (heads_ && exact) heads_->append(d, rows);
  if (last_only) d = d.slice(0, d.size(0) - 1);
  return nn::linear(
      nn::rms_norm(d, blt_.norm, blt_.config.decoder.norm_eps, pass_.type),
      blt_.head);
}

void CachedBlt::find_starts(std::int64_t from) {
  if (patcher_) {
    const at::Tensor fresh = nn::entropy(patcher_->append(ids_, from, false)).cpu();
    const auto* values = fresh.data_ptr<float>();
    model::require_numbers({values, static_cast<std::size_t>(fresh.numel())});
    entropies_.insert(entropies_.end(), values, values + fresh.numel());
  }
  auto starts = growing_starts(ids_, entropies_, blt_.config.patching);
  if (!std::equal(starts_.begin(), starts_.end(), starts.begin(),
                  starts.begin() + std::min(starts.size(), starts_.size()))) {
    throw internal_error("patches changed as the text grew");
  }
  starts_ = std::move(starts);
}

// Hash n-grams reach back over the ids before the new ones, across every border (spec section 4).
at::Tensor CachedBlt::embed(std::int64_t from) {
  std::int64_t longest = 1;
  for (const auto n : blt_.hash.group_sizes) longest = std::max<std::int64_t>(longest, n);
  const std::int64_t context = std::min(from, longest - 1);
  const std::vector<std::int32_t> ids(ids_.begin() + (from - context), ids_.end());
  const std::vector<std::int32_t> start(ids.size(), 0);
  return nn::hash_embedding(blt_.embedding, blt_.hash, int_tensor(ids, device_),
                            int_tensor(start, device_))
      .slice(0, context);
}

at::Tensor CachedBlt::encode(std::int64_t from, const NewRows& rows) {
  at::Tensor h = embed(from);
  encoder_.begin(rows);
  const std::size_t layers = blt_.encoder.layers.size();
  for (std::size_t i = 0; i < layers; ++i) {
    h = encoder_.layer(i, h);
    if (i + hidden_.size() < layers) continue;  // this layer's states make no patches
    Rows& kept = hidden_[i + hidden_.size() - layers];
    kept.reserve(h.size(0));
    kept.append(h);
  }
  return h;
}

void CachedBlt::close_patches() {
  const std::int64_t first = closed_, last = starts_up_to(starts_, size()) - 1;
  if (last <= first) return;
  const auto& c = blt_.config;
  at::Tensor x = pool_patches(first, last);
  if (blt_.latent_projection.defined())
    x = nn::linear(x.to(pass_.type), blt_.latent_projection).to(at::kFloat);
  const at::Tensor g = latent_.forward(x, patch_rows(first, last));
  const at::Tensor u = nn::linear(g.to(pass_.type), blt_.decoder_patch_projection)
                           .to(at::kFloat)
                           .view({(last - first) * c.cross_k, c.decoder.dim});
  for (std::size_t i = 0; i < blt_.decoder_cross.size(); ++i) {
    const model::CrossAttention& cross = blt_.decoder_cross[i];
    const auto kv = nn::linears(nn::rms_norm(u, cross.kv_norm, cross.config.norm_eps, pass_.type),
                                {cross.wk, cross.wv});
    for (auto* rows : {&cross_keys_[i], &cross_values_[i]}) rows->reserve(u.size(0));
    cross_keys_[i].append(kv[0]);
    cross_values_[i].append(kv[1]);
  }
  closed_ = last;
}

// Patches first .. last from the states of their bytes, as Blt::encode_bytes.
at::Tensor CachedBlt::pool_patches(std::int64_t first, std::int64_t last) {
  const auto start = [&](std::int64_t patch) { return starts_[static_cast<std::size_t>(patch)]; };
  const std::int64_t begin = start(first), k = blt_.config.cross_k, dim = blt_.config.encoder.dim;
  std::vector<std::int32_t> starts, pool_first, pool_last;
  for (std::int64_t j = first; j <= last; ++j)
    starts.push_back(static_cast<std::int32_t>(start(j) - begin));
  for (std::size_t j = 0; j + 1 < starts.size(); ++j) {
    pool_first.insert(pool_first.end(), static_cast<std::size_t>(k), starts[j]);
    pool_last.insert(pool_last.end(), static_cast<std::size_t>(k), starts[j + 1]);
  }
  const nn::Ranges pool =
      nn::make_ranges(std::move(pool_first), std::move(pool_last), 256, device_);
  const at::Tensor patch_starts = int_tensor(starts, device_);
  at::Tensor patches;
  for (std::size_t i = 0; i < hidden_.size(); ++i) {
    const at::Tensor h = hidden_[i].rows(begin, start(last));
    if (i == 0 || blt_.config.semantics.repool) {
      const at::Tensor pooled = nn::segment_max(h, patch_starts).to(pass_.type);
      patches = nn::linear(pooled, blt_.encoder_patch_projection)
                    .to(at::kFloat)
                    .view({(last - first) * k, dim});
    }
    patches = patches + patches + blt_.encoder_cross[i].forward(patches, h, pool, pass_);
  }
  return patches.view({last - first, k * dim});
}

// Latent blocks end with the patch that holds an EOS (spec 5.4).
NewRows CachedBlt::patch_rows(std::int64_t first, std::int64_t last) const {
  std::int64_t block = 0;
  const auto holds_eos = [&](std::int64_t patch) {
    const auto begin = ids_.begin() + starts_[static_cast<std::size_t>(patch)];
    const auto end = ids_.begin() + starts_[static_cast<std::size_t>(patch) + 1];
    return blt_.config.semantics.eos_blocks && std::find(begin, end, patch::eos_id) != end;
  };
  for (block = first; block > 0 && !holds_eos(block - 1); --block) {
  }
  NewRows out;
  for (std::int64_t j = first; j < last; ++j) {
    out.position.push_back(static_cast<std::int32_t>(j));
    out.first.push_back(block);
    if (holds_eos(j)) block = j + 1;
  }
  return out;
}

// Byte p sees the k vectors of the last patch that is closed at the border p | p + 1 (spec 5.8).
nn::Ranges CachedBlt::cross_ranges(std::int64_t from) const {
  const std::int64_t k = blt_.config.cross_k, base = cross_keys_[0].base();
  std::vector<std::int32_t> first, last;
  for (std::int64_t p = from; p < size(); ++p) {
    const std::int64_t patch = starts_up_to(starts_, p + 1) - 2;
    first.push_back(static_cast<std::int32_t>(patch * k - base));
    last.push_back(static_cast<std::int32_t>((patch + 1) * k - base));
  }
  return nn::make_ranges(std::move(first), std::move(last), 256, device_);
}

at::Tensor CachedBlt::decode(at::Tensor d, std::int64_t from, const NewRows& rows) {
  const nn::Ranges ranges = cross_ranges(from);
  const auto& c = blt_.config.decoder;
  const auto shape = blt_.config.decoder_cross_shape();
  decoder_.begin(rows);
  for (std::size_t i = 0; i < blt_.decoder.layers.size(); ++i) {
    if (i < blt_.decoder_cross.size()) {
      const model::CrossAttention& cross = blt_.decoder_cross[i];
      const at::Tensor q =
          nn::linear(nn::rms_norm(d, cross.q_norm, c.norm_eps, pass_.type), cross.wq);
      const at::Tensor seen = nn::attention(q, cross_keys_[i].held(), cross_values_[i].held(),
                                            ranges, {shape.heads, shape.kv_heads, shape.head_dim()});
      d = d + d + nn::linear(seen, cross.wo);
    }
    d = decoder_.layer(i, d);
  }
  return d;
}

void CachedBlt::truncate(std::int64_t end) {
  ids_.resize(static_cast<std::size_t>(end));
  if (patcher_) entropies_.resize(static_cast<std::size_t>(end));
  starts_.resize(end == 0 ? 0 : static_cast<std::size_t>(starts_up_to(starts_, end)));
  closed_ =
      end == 0 ? 0 : std::min<std::int64_t>(closed_, static_cast<std::int64_t>(starts_.size()) - 1);
  const auto cut = [end](auto& rows, std::int64_t count) {
    if (end == 0)
      rows.clear();
    else
      rows.truncate(count);
  };
  if (patcher_) cut(*patcher_, end);
  cut(encoder_, end);
  cut(decoder_, end);
  if (heads_) cut(*heads_, end);
  cut(latent_, closed_);
  for (auto& rows : hidden_) cut(rows, end);
  for (auto* list : {&cross_keys_, &cross_values_}) {
    for (auto& rows : *list) cut(rows, closed_ * blt_.config.cross_k);
  }
}

void CachedBlt::keep_from(std::int64_t row) {
  if (row <= 0) return;
  const std::int64_t window = blt_.config.semantics.window;
  if (patcher_) patcher_->keep_from(row);
  if (window > 0) {
    encoder_.drop_before(row - window + 1);
    decoder_.drop_before(row - window + 1);
    if (heads_) heads_->drop_before(row - window + 1);
  }
  // The patch that is open at `row` needs the states of its bytes; the byte there sees the patch
  // before it.
  const std::int64_t patch = starts_up_to(starts_, row) - 1;
  for (auto& rows : hidden_) rows.drop_before(starts_[static_cast<std::size_t>(patch)]);
  for (auto* list : {&cross_keys_, &cross_values_}) {
    for (auto& rows : *list) rows.drop_before((patch - 1) * blt_.config.cross_k);
  }
}

}  // namespace blt::generate
