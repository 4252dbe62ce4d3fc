// SPDX-License-Identifier: MIT
#include "engines.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "blt/base/error.h"
#include "blt/model/batch.h"
#include "blt/model/inference.h"
#include "boundaries.h"

namespace blt::generate {
namespace {

constexpr patch::TokenId newline = '\n' + patch::byte_offset;

// The last rows of logits.
void add_rows(const at::Tensor& logits, std::int64_t count, std::vector<float>& out) {
  const at::Tensor rows = logits.slice(0, logits.size(0) - count).to(at::kFloat).cpu().contiguous();
  out.insert(out.end(), rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel());
}

Engine::Facts facts_of(const model::ByteLm& lm) {
  return {"byte_lm", lm.config.transformer.max_positions, 0};
}

Engine::Facts facts_of(const model::Blt& blt) {
  check_growing(blt.config.patching);
  if (patch::needs_entropies(blt.config.patching.scheme) && !blt.patcher) {
    throw input_error(cat("the model's patching scheme ",
                          patch::scheme_name(blt.config.patching.scheme),
                          " needs an entropy model, and it holds none"),
                      "--entropy-model DIR names one");
  }
  return {"blt", blt.config.encoder.max_positions, blt.config.latent.max_positions};
}

bool keep_heads(const EngineOptions& options, bool any) {
  return options.heads == UseHeads::yes || (options.heads == UseHeads::if_any && any);
}

void check_ids(std::span<const patch::TokenId> ids) {
  if (ids.empty()) throw usage_error("no ids to go on with");
  for (const auto id : ids) {
    if (id >= patch::vocab_size) throw input_error(cat("id ", id, " is not below ", patch::vocab_size));
  }
}

// Appends in pieces of options.chunk, so that a long prompt needs no memory that grows with its
// square.
template <class AppendPiece>
void in_chunks(std::span<const patch::TokenId> ids, std::int64_t chunk, AppendPiece&& append) {
  for (std::size_t at = 0; at < ids.size(); at += static_cast<std::size_t>(chunk)) {
    append(ids.subspan(at, std::min(static_cast<std::size_t>(chunk), ids.size() - at)));
  }
}

}  // namespace

bool Engine::starts_patch(std::int64_t at) const {
  const auto& starts = patch_starts();
  return std::binary_search(starts.begin(), starts.end(), at);
}

std::string Engine::too_long() const {
  const Facts& known = facts();
  if (position() > known.trained_bytes)
    return cat("the text is longer than the ", known.trained_bytes, " bytes that the model is made for");
  const auto patches = static_cast<std::int64_t>(patch_starts().size());
  if (known.trained_patches > 0 && patches > known.trained_patches)
    return cat("the text has more than the ", known.trained_patches, " patches that the model is made for");
  return {};
}

std::span<const float> EngineBase::append_checked(std::span<const patch::TokenId> ids, bool all) {
  check_ids(ids);
  const at::NoGradGuard no_gradients;
  logits_.clear();
  append(ids, all, logits_);
  if (pages_) pages_->move();  // a piece now and then, so that no one waits for all
  return checked_logits();
}

std::size_t EngineBase::settle() {
  if (!pages_) return 0;
  pages_->finish();
  return pages_->moved();
}

std::span<const float> EngineBase::checked_logits() const {
  model::require_numbers(logits_);
  return logits_;
}

std::span<const float> EngineBase::future(std::int64_t head) {
  if (head < 2 || head > heads()) throw usage_error(cat("no prediction head ", head, ": this engine has ", heads()));
  const at::NoGradGuard no_gradients;
  logits_.clear();
  head_logits(head, logits_);
  return checked_logits();
}

std::span<const float> EngineBase::guess(std::span<const patch::TokenId> ids) {
  check_ids(ids);
  const at::NoGradGuard no_gradients;
  logits_.clear();
  append_guesses(ids, logits_);
  return checked_logits();
}

void EngineBase::head_logits(std::int64_t, std::vector<float>&) {
  throw internal_error("no heads");
}

void EngineBase::append_guesses(std::span<const patch::TokenId>, std::vector<float>&) {
  throw usage_error("drafts from a stale latent need a BLT and the cached engine");
}

void EngineBase::rollback(std::int64_t count) {
  if (count < 0 || count > position())
    throw internal_error(cat("cannot take ", count, " of ", position(), " ids back"));
  const at::NoGradGuard no_gradients;
  if (count > 0) truncate(position() - count);
}

std::vector<float> exact_entropies(model::ByteLm& lm, std::span<const patch::TokenId> ids,
                                   bool newline_reset) {
  std::vector<patch::TokenId> text(ids.begin(), ids.end());
  std::vector<model::Segment> segments;
  std::size_t begin = 0;
  for (std::size_t p = 0; p < text.size(); ++p) {
    if (!newline_reset || text[p] != newline) continue;
    text[p] = patch::bos_id;
    if (p > begin) segments.push_back({std::span(text).subspan(begin, p - begin), {}});
    begin = p;
  }
  segments.push_back({std::span(text).subspan(begin), {}});
  const auto batch = model::make_batch(segments, lm.config.semantics, lm.embedding.device());
  const at::Tensor entropies = nn::entropy(lm.forward(batch, {at::kFloat})).cpu();
  const std::span<const float> values(entropies.data_ptr<float>(), static_cast<std::size_t>(entropies.numel()));
  model::require_numbers(values);
  return {values.begin(), values.end()};
}

ExactByteLm::ExactByteLm(std::shared_ptr<model::ByteLm> lm, at::ScalarType type)
    : EngineBase(facts_of(*lm)), lm_(std::move(lm)), pass_{type} {}

void ExactByteLm::append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  const model::Segment segment{ids_, {}};
  const auto batch =
      model::make_batch({&segment, 1}, lm_->config.semantics, lm_->embedding.device());
  add_rows(lm_->forward(batch, pass_), all ? static_cast<std::int64_t>(ids.size()) : 1, out);
}

ExactBlt::ExactBlt(std::shared_ptr<model::Blt> blt, at::ScalarType type)
    : EngineBase(facts_of(*blt)), blt_(std::move(blt)), pass_{type} {}

void ExactBlt::append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  const auto& c = blt_->config;
  std::vector<float> entropies;
  if (patch::needs_entropies(c.patching.scheme))
    entropies = exact_entropies(*blt_->patcher, ids_, c.patching.newline_reset);
  starts_ = growing_starts(ids_, entropies, c.patching);
  const bool open = c.semantics.open_end && c.patching.max_patch_length;
  const auto lengths = lengths_between(starts_, position() + (open ? 0 : 1));
  const model::Segment segment{ids_, lengths};
  const auto batch =
      model::make_batch({&segment, 1}, c.semantics, c.cross_k, blt_->embedding.device());
  add_rows(blt_->forward(batch, pass_), all ? static_cast<std::int64_t>(ids.size()) : 1, out);
}

void ExactBlt::truncate(std::int64_t end) {
  ids_.resize(static_cast<std::size_t>(end));
  while (!starts_.empty() && (end == 0 || starts_.back() > end)) starts_.pop_back();
}

CachedByteLmEngine::CachedByteLmEngine(std::shared_ptr<model::ByteLm> lm, at::ScalarType type, const EngineOptions& options, bool keep)
    : EngineBase(facts_of(*lm)),
      lm_(std::move(lm)),
      options_(options),
      cache_(*lm_, type, false, keep_heads(options, lm_->heads.has_value())),
      inputs_(lm_->embedding.device()),
      workspace_(lm_->embedding.device(), keep) {}

void CachedByteLmEngine::head_logits(std::int64_t head, std::vector<float>& out) {
  const auto mark = workspace_.mark();
  workspace_.to_host(cache_.heads()->logits(workspace_, head, position() - 1 - piece_), out);
  workspace_.release(mark);
}

void CachedByteLmEngine::append(std::span<const patch::TokenId> fresh, bool all, std::vector<float>& out) {
  in_chunks(fresh, options_.chunk, [&](std::span<const patch::TokenId> ids) {
    piece_ = position();
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    workspace_.release({});
    inputs_.clear();
    cache_.plan(ids_, piece_, inputs_);
    inputs_.send();
    const nn::Matrix logits = cache_.append(workspace_, !all);
    if (all || ids.data() + ids.size() == fresh.data() + fresh.size()) workspace_.to_host(logits, out);
    oldest_ = std::max(oldest_, position() - options_.slack);
    cache_.keep_from(oldest_);
  });
}

void CachedByteLmEngine::truncate(std::int64_t end) {
  ids_.resize(static_cast<std::size_t>(end));
  if (end >= oldest_ && end > 0) return cache_.truncate(end);
  const std::vector<patch::TokenId> ids = std::move(ids_);
  ids_.clear();
  cache_.clear();
  oldest_ = 0;
  std::vector<float> logits;
  if (end > 0) append(ids, false, logits);
}

CachedBltEngine::CachedBltEngine(std::shared_ptr<model::Blt> blt, at::ScalarType type, const EngineOptions& options, bool keep)
    : EngineBase(facts_of(*blt)),
      blt_(std::move(blt)),
      options_(options),
      cache_(*blt_, type, keep_heads(options, blt_->heads.has_value())),
      workspace_(blt_->embedding.device(), keep) {}

void CachedBltEngine::head_logits(std::int64_t head, std::vector<float>& out) {
  const auto mark = workspace_.mark();
  workspace_.to_host(cache_.heads()->logits(workspace_, head, position() - 1 - piece_), out);
  workspace_.release(mark);
}

void CachedBltEngine::append_guesses(std::span<const patch::TokenId> ids, std::vector<float>& out) {
  piece_ = position();
  workspace_.to_host(cache_.append(workspace_, ids, false, Latent::stale), out);
}

void CachedBltEngine::append(std::span<const patch::TokenId> fresh, bool all, std::vector<float>& out) {
  in_chunks(fresh, options_.chunk, [&](std::span<const patch::TokenId> ids) {
    piece_ = position();
    const nn::Matrix logits = cache_.append(workspace_, ids, !all);
    if (all || ids.data() + ids.size() == fresh.data() + fresh.size()) workspace_.to_host(logits, out);
    oldest_ = std::max(oldest_, position() - options_.slack);
    cache_.keep_from(oldest_);
  });
}

void CachedBltEngine::truncate(std::int64_t end) {
  if (end >= oldest_ && end > 0) return cache_.truncate(end);
  const std::vector<patch::TokenId> ids(cache_.ids().begin(), cache_.ids().begin() + end);
  cache_.truncate(0);
  oldest_ = 0;
  std::vector<float> logits;
  if (end > 0) append(ids, false, logits);
}

}  // namespace blt::generate
