// SPDX-License-Identifier: MIT
#include "blt/model/batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "blt/base/error.h"
#include "blt/nn/transfer.h"

namespace blt::model {
namespace {

using Ints = std::vector<std::int32_t>;

std::int32_t small(std::size_t n) { return static_cast<std::int32_t>(n); }

// Collects the pieces of a batch on the host; finish() makes tensors.
class Packer {
 public:
  Packer(const Semantics& semantics, std::int64_t k) : semantics_(semantics), k_(static_cast<std::int32_t>(k)) {}

  void add(const Segment& s) {
    if (s.ids.empty()) throw input_error("an empty document piece");
    const std::int32_t base = small(ids_.size());
    positions_ = std::max(positions_, static_cast<std::int64_t>(s.ids.size()));
    std::int32_t block = base;  // an EOS closes the block that it ends
    for (std::size_t i = 0; i < s.ids.size(); ++i) {
      const std::int32_t at = base + small(i);
      const bool last = i + 1 == s.ids.size();
      ids_.push_back(s.ids[i]);
      position_.push_back(small(i));
      hash_start_.push_back(base);
      const std::int32_t next = last ? s.next_id : s.ids[i + 1];
      const bool scored = static_cast<std::int64_t>(i) >= s.first_target && next >= 0;
      target_.push_back(scored ? next : -1);
      targets_ += scored;
      const auto window = static_cast<std::int32_t>(semantics_.window);
      first_.push_back(window > 0 ? std::max(block, at - window + 1) : block);
      last_.push_back(at + 1);
      if (semantics_.eos_blocks && s.ids[i] == patch::eos_id) block = at + 1;
    }
    if (k_ > 0) add_patches(s, base);
  }

  Batch finish(at::Device device) {
    Batch b;
    b.bytes = small(ids_.size());
    b.targets = targets_;
    b.positions = positions_;
    b.ids = nn::int_tensor(ids_, device);
    b.position = nn::int_tensor(position_, device);
    b.hash_start = nn::int_tensor(hash_start_, device);
    b.target = nn::int_tensor(target_, device);
    b.local = nn::make_ranges(std::move(first_), std::move(last_), 128, device);
    if (k_ == 0) return b;
    b.patches = small(patch_position_.size());
    b.patch_positions = patch_positions_;
    starts_.push_back(small(ids_.size()));
    b.patch_starts = nn::int_tensor(starts_, device);
    b.patch_position = nn::int_tensor(patch_position_, device);
    b.pool = nn::make_ranges(std::move(pool_first_), std::move(pool_last_), 256, device);
    b.latent = nn::make_ranges(std::move(latent_first_), std::move(latent_last_), 32, device);
    b.decoder = nn::make_ranges(std::move(decoder_first_), std::move(decoder_last_), 256, device);
    return b;
  }

 private:
  void add_patches(const Segment& s, std::int32_t base) {
    const std::size_t count = s.ids.size();
    std::size_t sum = 0;
    for (const auto length : s.patch_lengths) sum += length;
    if (sum != count && sum != count + 1) {
      throw input_error(cat("patch lengths sum to ", sum, ", the document piece has ", count, " positions"));
    }
    if (s.patch_lengths.empty() || s.patch_lengths[0] != 1) throw input_error("the first patch is not one byte long");
    const std::int32_t first_patch = small(patch_position_.size());
    std::int32_t latent_block = first_patch;
    std::size_t start = 0;
    for (const auto length : s.patch_lengths) {
      const std::size_t end = std::min(start + length, count);
      if (start >= end) break;  // only the next byte is in it
      const std::int32_t patch = small(patch_position_.size());
      starts_.push_back(base + small(start));
      patch_position_.push_back(patch - first_patch);
      latent_first_.push_back(latent_block);
      latent_last_.push_back(patch + 1);
      const auto ids = s.ids.subspan(start, end - start);
      if (semantics_.eos_blocks && std::find(ids.begin(), ids.end(), patch::eos_id) != ids.end()) latent_block = patch + 1;
      for (std::int32_t r = 0; r < k_; ++r) {
        pool_first_.push_back(base + small(start));
        pool_last_.push_back(base + small(end));
      }
      start = end;
    }
    patch_positions_ = std::max(patch_positions_, static_cast<std::int64_t>(small(patch_position_.size()) - first_patch));
    add_decoder(s, first_patch);
  }

  // Byte p sees the k vectors of patch(p + 1) - 1, the last patch closed at the border p | p+1 (spec 5.8).
  void add_decoder(const Segment& s, std::int32_t first_patch) {
    std::size_t patch = 0, end = 0;  // the patch of p + 1, and where it ends
    for (std::size_t p = 0; p < s.ids.size(); ++p) {
      while (patch < s.patch_lengths.size() && end + s.patch_lengths[patch] <= p + 1) end += s.patch_lengths[patch++];
      // Without the next byte in the lengths, the last position belongs to the still open last patch.
      const std::size_t of_next = std::min(patch, s.patch_lengths.size() - 1);
      const std::int32_t key = (first_patch + small(of_next) - 1) * k_;
      const bool any = of_next > 0;
      decoder_first_.push_back(any ? key : first_patch * k_);
      decoder_last_.push_back(any ? key + k_ : first_patch * k_);
    }
  }

  const Semantics& semantics_;
  std::int32_t k_;
  std::int64_t targets_ = 0, positions_ = 0, patch_positions_ = 0;
  Ints ids_, position_, hash_start_, target_, first_, last_;
  Ints starts_, patch_position_, pool_first_, pool_last_, latent_first_, latent_last_, decoder_first_, decoder_last_;
};

}  // namespace

std::vector<std::uint32_t> with_first_byte_patch(std::span<const std::uint32_t> lengths) {
  std::vector<std::uint32_t> out(lengths.begin(), lengths.end());
  if (!out.empty() && out[0] > 1) {
    out[0] -= 1;
    out.insert(out.begin(), 1);
  }
  return out;
}

Batch make_batch(std::span<const Segment> segments, const Semantics& semantics, std::int64_t cross_k, at::Device device) {
  Packer packer(semantics, cross_k);
  for (const auto& segment : segments) packer.add(segment);
  return packer.finish(device);
}

Batch make_batch(std::span<const Segment> segments, const Semantics& semantics, at::Device device) {
  return make_batch(segments, semantics, 0, device);
}

at::Tensor head_targets(const Batch& batch, std::int64_t index) {
  const std::int64_t ahead = index - 1, count = batch.bytes - ahead;
  if (ahead == 0) return batch.target;
  at::Tensor out = at::full_like(batch.target, -1);
  if (count <= 0) return out;
  const auto here = [&](const at::Tensor& x) { return x.slice(0, 0, count); };
  const auto there = [&](const at::Tensor& x) { return x.slice(0, ahead); };
  // Positions start anew with each piece; context without targets has none in any head.
  const at::Tensor same_piece = there(batch.position) - here(batch.position) == ahead;
  here(out).copy_(at::where(same_piece & (here(batch.target) >= 0), there(batch.target), here(out)));
  return out;
}

}  // namespace blt::model
