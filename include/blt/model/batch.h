// SPDX-License-Identifier: MIT
// A packed batch: pieces of documents one after the other, no padding, nobody sees another document.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "blt/model/config.h"
#include "blt/nn/functional.h"

namespace blt::model {

// A document or a piece of one. For a BLT the piece is whole patches and the first patch is one byte long (spec 6.1, 8.3).
struct Segment {
  std::span<const patch::TokenId> ids;
  std::span<const std::uint32_t> patch_lengths;  // BLT: sum = ids.size() or ids.size() + 1 (with the next byte)
  std::int32_t next_id = -1;   // the id after the piece, if known: the last position's target
  std::int64_t first_target = 0;  // positions before this one have no target (they are context)
};

// Lengths whose first patch is one byte: [n, ...] -> [1, n - 1, ...] (Meta's packer, spec 8.3).
std::vector<std::uint32_t> with_first_byte_patch(std::span<const std::uint32_t> lengths);

struct Batch {
  std::int64_t bytes = 0, patches = 0, targets = 0;
  std::int64_t positions = 0, patch_positions = 0;  // longest segment, in bytes and patches
  at::Tensor ids, position, hash_start, target;     // int32 [bytes]
  nn::Ranges local;                                 // byte self-attention
  // BLT only
  at::Tensor patch_starts;    // int32 [patches + 1]
  at::Tensor patch_position;  // int32 [patches]
  nn::Ranges pool;            // the k queries of each patch over its bytes: [patches * k] on [bytes]
  nn::Ranges latent;          // causal over the patches of a block
  nn::Ranges decoder;         // byte p over the k vectors of patch(p + 1) - 1: [bytes] on [patches * k]
};

Batch make_batch(std::span<const Segment> segments, const Semantics& semantics, at::Device device);
// cross_k > 0 adds the patch side. Errors: input when lengths do not tile or the first patch is not one byte.
Batch make_batch(std::span<const Segment> segments, const Semantics& semantics, std::int64_t cross_k, at::Device device);

// Targets of head `index`: int32 [bytes]; that of head 1 index - 1 positions further, -1 where the piece has no byte there.
at::Tensor head_targets(const Batch& batch, std::int64_t index);

}  // namespace blt::model
