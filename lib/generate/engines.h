// SPDX-License-Identifier: MIT
// The engines: exact (all anew for each byte) and cached, for both kinds of models.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "blt/base/memory.h"
#include "blt/generate/engine.h"
#include "blt/model/models.h"
#include "cached_blt.h"

namespace blt::generate {

// What all engines share: checks, and logits as floats on the host.
class EngineBase : public Engine {
 public:
  std::span<const float> prefill(std::span<const patch::TokenId> ids) final { return append_checked(ids, false); }
  std::span<const float> extend(std::span<const patch::TokenId> ids) final { return append_checked(ids, true); }
  std::span<const float> future(std::int64_t head) final;
  std::span<const float> guess(std::span<const patch::TokenId> ids) final;
  void rollback(std::int64_t count) final;
  const std::vector<std::int64_t>& patch_starts() const override { return none_; }
  const Facts& facts() const final { return facts_; }
  std::size_t settle() final;
  // The model's weights that still lie in their file.
  void set_pages(std::shared_ptr<PageMover> pages) { pages_ = std::move(pages); }

 protected:
  explicit EngineBase(Facts facts) : facts_(std::move(facts)) {}
  // Adds logits to `out`: of every new row, [ids.size(), 260], or of the last.
  virtual void append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) = 0;
  virtual void truncate(std::int64_t end) = 0;
  virtual void head_logits(std::int64_t head, std::vector<float>& out);  // after the last id
  virtual void append_guesses(std::span<const patch::TokenId> ids, std::vector<float>& out);

 private:
  std::span<const float> append_checked(std::span<const patch::TokenId> ids, bool all);
  std::span<const float> checked_logits() const;

  Facts facts_;
  std::shared_ptr<PageMover> pages_;
  std::vector<std::int64_t> none_;
  std::vector<float> logits_;
};

class ExactByteLm final : public EngineBase {
 public:
  ExactByteLm(std::shared_ptr<model::ByteLm> lm, at::ScalarType type);
  bool can_verify() const override { return false; }
  std::int64_t position() const override { return static_cast<std::int64_t>(ids_.size()); }

 private:
  void append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) override;
  void truncate(std::int64_t end) override { ids_.resize(static_cast<std::size_t>(end)); }

  std::shared_ptr<model::ByteLm> lm_;
  model::Pass pass_;
  std::vector<patch::TokenId> ids_;
};

class ExactBlt final : public EngineBase {
 public:
  ExactBlt(std::shared_ptr<model::Blt> blt, at::ScalarType type);
  bool can_verify() const override { return false; }
  std::int64_t position() const override { return static_cast<std::int64_t>(ids_.size()); }
  const std::vector<std::int64_t>& patch_starts() const override { return starts_; }

 private:
  void append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) override;
  void truncate(std::int64_t end) override;

  std::shared_ptr<model::Blt> blt_;
  model::Pass pass_;
  std::vector<patch::TokenId> ids_;
  std::vector<std::int64_t> starts_;
};

class CachedByteLmEngine final : public EngineBase {
 public:
  // keep: as Workspace's.
  CachedByteLmEngine(std::shared_ptr<model::ByteLm> lm, at::ScalarType type, const EngineOptions& options, bool keep);
  std::int64_t position() const override { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t heads() const override { return cache_.heads() ? cache_.heads()->count() : 1; }

 private:
  void append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) override;
  void truncate(std::int64_t end) override;
  void head_logits(std::int64_t head, std::vector<float>& out) override;

  std::shared_ptr<model::ByteLm> lm_;
  EngineOptions options_;
  CachedByteLm cache_;
  nn::Inputs inputs_;
  nn::Workspace workspace_;
  std::vector<patch::TokenId> ids_;
  std::int64_t oldest_ = 0;  // truncations below this compute anew
  std::int64_t piece_ = 0;   // where the last piece that was appended begins
};

class CachedBltEngine final : public EngineBase {
 public:
  CachedBltEngine(std::shared_ptr<model::Blt> blt, at::ScalarType type, const EngineOptions& options, bool keep);
  std::int64_t position() const override { return static_cast<std::int64_t>(cache_.ids().size()); }
  const std::vector<std::int64_t>& patch_starts() const override { return cache_.starts(); }
  bool can_guess() const override { return true; }
  std::int64_t heads() const override { return cache_.heads() ? cache_.heads()->count() : 1; }

 private:
  void append(std::span<const patch::TokenId> ids, bool all, std::vector<float>& out) override;
  void truncate(std::int64_t end) override;
  void head_logits(std::int64_t head, std::vector<float>& out) override;
  void append_guesses(std::span<const patch::TokenId> ids, std::vector<float>& out) override;

  std::shared_ptr<model::Blt> blt_;
  EngineOptions options_;
  CachedBlt cache_;
  nn::Workspace workspace_;
  std::int64_t oldest_ = 0, piece_ = 0;
};

// Entropies in nats of each position, all computed anew; with newline_reset each line is a text of
// its own.
std::vector<float> exact_entropies(model::ByteLm& lm, std::span<const patch::TokenId> ids,
                                   bool newline_reset);

}  // namespace blt::generate
