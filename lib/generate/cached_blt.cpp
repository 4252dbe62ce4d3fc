// SPDX-License-Identifier: MIT
#include "cached_blt.h"

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
      patcher_workspace_(device_, /*keep=*/true),
      encoder_(blt.encoder, type, device_),
      latent_(blt.latent, type, device_),
      decoder_(blt.decoder, type, device_),
      byte_inputs_(device_),
      patch_inputs_(device_) {
  const auto& c = blt.config;
  if (patch::needs_entropies(c.patching.scheme)) {
    patcher_ = std::make_unique<CachedByteLm>(*blt.patcher, at::kFloat, c.patching.newline_reset);
  }
  const std::size_t layers = c.cross_all_encoder_layers ? blt.encoder.layers.size() : 1;
  hidden_.assign(layers, Rows(c.encoder.dim, at::kFloat, device_));
  const auto cross = c.decoder_cross_shape();
  const std::int64_t kv = cross.kv_heads * cross.head_dim();
  cross_keys_.assign(blt.decoder_cross.size(), Rows(kv, type, device_));
  cross_values_ = cross_keys_;
  if (heads) heads_ = make_heads(blt, c.decoder.norm_eps, type);
}

nn::Matrix CachedBlt::append(nn::Workspace& ws, std::span<const patch::TokenId> ids, bool last_only, Latent latent) {
  ws.release({});
  const std::int64_t from = size();
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  plan_bytes(from, latent);
  if (latent == Latent::exact) find_starts(from);
  nn::Matrix x = encode(ws);
  const std::int64_t last = latent == Latent::exact ? std::max(closed_, starts_up_to(starts_, size()) - 1) : closed_;
  do {
    const std::int64_t end = closing_end(closed_, last, size() - from);
    patch_inputs_.clear();
    if (end > closed_) plan_closing(closed_, end);
    if (end == last) plan_cross(from);
    patch_inputs_.send();
    if (end > closed_) close_patches(ws);
    if (end < last) ws.launch();  // before its inputs change
  } while (closed_ < last);
  decode(ws, x);
  if (heads_) heads_->append(ws, x);
  if (last_only) x = x.row_range(x.rows - 1, x.rows);
  return ws.linear(ws.rms_norm(x, blt_.norm, blt_.config.decoder.norm_eps, pass_.type), blt_.head);
}

// Hash n-grams reach back over the ids before the new ones, across every border (spec section 4).
void CachedBlt::plan_bytes(std::int64_t from, Latent latent) {
  nn::Inputs& inputs = byte_inputs_;
  inputs.clear();
  std::int64_t longest = 1;
  for (const auto n : blt_.hash.group_sizes) longest = std::max<std::int64_t>(longest, n);
  const std::int64_t context = std::min(from, longest - 1), count = size() - from;
  hash_ = nn::add_hash(inputs, blt_.hash, {ids_.begin() + (from - context), ids_.end()}, context);
  const NewRows rows = byte_rows(ids_, from, blt_.config.semantics);
  encoder_.plan(rows, inputs);
  for (auto& kept : hidden_) kept.reserve(count);
  hidden_index_ = inputs.add(hidden_[0].places(from, size()));
  decoder_.plan(rows, inputs);
  if (heads_) heads_->plan(rows, inputs);
  if (patcher_ && latent == Latent::exact) patcher_->plan(ids_, from, inputs);
  inputs.send();
}

void CachedBlt::find_starts(std::int64_t from) {
  if (patcher_) {
    nn::Workspace& ws = patcher_workspace_;
    ws.release({});
    ws.to_host(ws.entropy(patcher_->append(ws, false)), entropies_);
    model::require_numbers(std::span(entropies_).subspan(static_cast<std::size_t>(from)));
  }
  auto starts = growing_starts(ids_, entropies_, blt_.config.patching);
  if (!std::equal(starts_.begin(), starts_.end(), starts.begin(),
                  starts.begin() + static_cast<std::ptrdiff_t>(std::min(starts.size(), starts_.size())))) {
    throw internal_error("patches changed as the text grew");
  }
  starts_ = std::move(starts);
}

// Where the patches end that close together from `first` on. Where few ids are new, as drafts are, these are few rows, or one patch
// that is longer: then each has the bits that it has when ids come one by one.
std::int64_t CachedBlt::closing_end(std::int64_t first, std::int64_t last, std::int64_t fresh) const {
  if (fresh > kernels::few_rows || first == last) return last;
  std::int64_t end = first + 1;
  const auto few = [&](std::int64_t patch) {
    return start(patch) - start(first) <= kernels::few_rows && (patch - first) * blt_.config.cross_k <= kernels::few_rows;
  };
  while (end < last && few(end + 1)) ++end;
  return end;
}

void CachedBlt::plan_closing(std::int64_t first, std::int64_t last) {
  nn::Inputs& inputs = patch_inputs_;
  const std::int64_t k = blt_.config.cross_k;
  closing_ = {};
  closing_.patches = last - first;
  std::vector<std::int32_t> starts, pool_first, pool_last;
  for (std::int64_t j = first; j <= last; ++j) starts.push_back(static_cast<std::int32_t>(start(j) - start(first)));
  for (std::size_t j = 0; j + 1 < starts.size(); ++j) {
    pool_first.insert(pool_first.end(), static_cast<std::size_t>(k), starts[j]);
    pool_last.insert(pool_last.end(), static_cast<std::size_t>(k), starts[j + 1]);
  }
  closing_.bytes = starts.back();
  closing_.hidden_index = inputs.add(hidden_[0].places(start(first), start(last)));
  closing_.starts = inputs.add(starts);
  closing_.pool = nn::add_ranges(inputs, pool_first, pool_last, 256);
  latent_.plan(patch_rows(first, last), inputs);
  for (auto* list : {&cross_keys_, &cross_values_}) {
    for (auto& rows : *list) rows.reserve((last - first) * k);
  }
  if (!cross_keys_.empty()) closing_.cross_index = inputs.add(cross_keys_[0].places(first * k, last * k));
}

// Byte p sees the k vectors of the last patch that is closed at the border p | p + 1 (spec 5.8).
void CachedBlt::plan_cross(std::int64_t from) {
  if (cross_keys_.empty()) return;
  const std::int64_t k = blt_.config.cross_k;
  std::vector<std::int32_t> seen_first, seen_last;
  for (std::int64_t p = from; p < size(); ++p) {
    const std::int64_t patch = starts_up_to(starts_, p + 1) - 2;
    seen_first.push_back(cross_keys_[0].place(patch * k));
    seen_last.push_back(cross_keys_[0].place((patch + 1) * k));
  }
  cross_ = nn::add_ranges(patch_inputs_, seen_first, seen_last, 256);
}

// Latent blocks end with the patch that holds an EOS (spec 5.4).
NewRows CachedBlt::patch_rows(std::int64_t first, std::int64_t last) const {
  std::int64_t block = 0;
  const auto holds_eos = [&](std::int64_t patch) {
    const auto begin = ids_.begin() + start(patch), end = ids_.begin() + start(patch + 1);
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

nn::Matrix CachedBlt::encode(nn::Workspace& ws) {
  const nn::Matrix x = ws.hash_embedding(blt_.embedding, blt_.hash, hash_, byte_inputs_);
  const std::size_t layers = blt_.encoder.layers.size();
  for (std::size_t i = 0; i < layers; ++i) {
    encoder_.layer(ws, i, x);
    if (i + hidden_.size() < layers) continue;  // this layer's states make no patches
    hidden_[i + hidden_.size() - layers].append(ws, x, byte_inputs_.at(hidden_index_));
  }
  return x;
}

void CachedBlt::close_patches(nn::Workspace& ws) {
  const auto mark = ws.mark();
  const auto& c = blt_.config;
  const std::int64_t patches = closing_.patches;
  nn::Matrix x = pool_patches(ws);
  if (blt_.latent_projection.defined())
    x = ws.cast(ws.linear(ws.cast(x, pass_.type), blt_.latent_projection), at::kFloat);
  latent_.forward(ws, x);
  const nn::Matrix u = ws.cast(ws.linear(ws.cast(x, pass_.type), blt_.decoder_patch_projection), at::kFloat)
                           .view(patches * c.cross_k, c.decoder.dim);
  for (std::size_t i = 0; i < blt_.decoder_cross.size(); ++i) {
    const model::CrossAttention& cross = blt_.decoder_cross[i];
    const auto kv = ws.linears(ws.rms_norm(u, cross.kv_norm, cross.config.norm_eps, pass_.type), {cross.wk, cross.wv});
    cross_keys_[i].append(ws, kv[0], patch_inputs_.at(closing_.cross_index));
    cross_values_[i].append(ws, kv[1], patch_inputs_.at(closing_.cross_index));
  }
  closed_ += patches;
  ws.release(mark);
}

// The closing patches from the states of their bytes, as Blt::encode_bytes.
nn::Matrix CachedBlt::pool_patches(nn::Workspace& ws) {
  const std::int64_t k = blt_.config.cross_k, dim = blt_.config.encoder.dim;
  const nn::Inputs& inputs = patch_inputs_;
  nn::Matrix patches;
  for (std::size_t i = 0; i < hidden_.size(); ++i) {
    const nn::Matrix h = ws.get_rows(hidden_[i].held(), inputs.at(closing_.hidden_index), closing_.bytes);
    if (i == 0 || blt_.config.semantics.repool) {
      const nn::Matrix pooled = ws.cast(ws.segment_max(h, inputs.at(closing_.starts), closing_.patches), pass_.type);
      patches = ws.cast(ws.linear(pooled, blt_.encoder_patch_projection), at::kFloat).view(closing_.patches * k, dim);
    }
    const model::CrossAttention& cross = blt_.encoder_cross[i];
    const auto& c = cross.config;
    const nn::Matrix q = ws.linear(ws.rms_norm(patches, cross.q_norm, c.norm_eps, pass_.type), cross.wq);
    const auto kv = ws.linears(ws.rms_norm(h, cross.kv_norm, c.norm_eps, pass_.type), {cross.wk, cross.wv});
    const nn::Matrix seen =
        ws.attention(q, kv[0], kv[1], inputs, closing_.pool, {c.heads, c.kv_heads, c.head_dim()});
    ws.add(patches, 2, ws.linear(seen, cross.wo));
  }
  return patches.view(closing_.patches, k * dim);
}

void CachedBlt::decode(nn::Workspace& ws, const nn::Matrix& x) {
  const auto& c = blt_.config.decoder;
  const auto shape = blt_.config.decoder_cross_shape();
  for (std::size_t i = 0; i < blt_.decoder.layers.size(); ++i) {
    if (i < blt_.decoder_cross.size()) {
      const auto mark = ws.mark();
      const model::CrossAttention& cross = blt_.decoder_cross[i];
      const nn::Matrix q = ws.linear(ws.rms_norm(x, cross.q_norm, c.norm_eps, pass_.type), cross.wq);
      const nn::Matrix seen = ws.attention(q, cross_keys_[i].held(), cross_values_[i].held(), patch_inputs_, cross_,
                                           {shape.heads, shape.kv_heads, shape.head_dim()});
      ws.add(x, 2, ws.linear(seen, cross.wo));
      ws.release(mark);
    }
    decoder_.layer(ws, i, x);
  }
}

void CachedBlt::truncate(std::int64_t end) {
  ids_.resize(static_cast<std::size_t>(end));
  starts_.resize(end == 0 ? 0 : static_cast<std::size_t>(starts_up_to(starts_, end)));
  closed_ =
      end == 0 ? 0 : std::min<std::int64_t>(closed_, static_cast<std::int64_t>(starts_.size()) - 1);
  const auto cut = [end](auto& rows, std::int64_t count) {
    if (end == 0)
      rows.clear();
    else
      rows.truncate(count);
  };
  if (end < static_cast<std::int64_t>(entropies_.size())) {  // not among stale rows
    entropies_.resize(static_cast<std::size_t>(end));
    cut(*patcher_, end);
  }
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
