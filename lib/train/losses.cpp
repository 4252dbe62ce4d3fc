// SPDX-License-Identifier: MIT
#include "blt/train/losses.h"

#include <ATen/core/grad_mode.h>

#include <numbers>

namespace blt::train {
namespace {

constexpr std::int64_t evaluation_batch = 32768;

}  // namespace

double BitsPerByte::value() const { return bytes > 0 ? nats / std::numbers::ln2 / static_cast<double>(bytes) : 0; }

BitsPerByte evaluate(DocumentStream& documents, const Forward& forward, const model::Semantics& semantics,
                     std::int64_t cross_k, std::int64_t sequence_length, std::int64_t max_bytes, at::Device device) {
  const at::NoGradGuard no_grad;
  BitsPerByte total;
  std::vector<Piece> pieces;
  std::int64_t waiting = 0, seen = 0;
  const auto run = [&] {
    std::vector<model::Segment> segments;
    for (const auto& piece : pieces) segments.push_back(piece.segment());
    const model::Batch batch = model::make_batch(segments, semantics, cross_k, device);
    at::Tensor losses;
    nn::cross_entropy(forward(batch), batch.target, 1.0, &losses);
    const at::Tensor host = losses.cpu(), target = batch.target.cpu();
    for (std::int64_t i = 0; i < batch.bytes; ++i) {
      if (target.data_ptr<std::int32_t>()[i] < patch::byte_offset) continue;
      total.nats += static_cast<double>(host.data_ptr<float>()[i]);
      ++total.bytes;
    }
    pieces.clear();
    waiting = 0;
  };
  TokenDocument document;
  while (seen < max_bytes && documents.next(document)) {
    for (auto& piece : cut_pieces(document, sequence_length)) {
      if (seen >= max_bytes) break;
      const auto size = static_cast<std::int64_t>(piece.ids.size());
      if (waiting > 0 && waiting + size > evaluation_batch) run();
      waiting += size;
      seen += size;
      pieces.push_back(std::move(piece));
    }
  }
  if (!pieces.empty()) run();
  return total;
}

}  // namespace blt::train
