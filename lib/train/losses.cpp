// SPDX-License-Identifier: MIT
#include "blt/train/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/sum.h>

#include <numbers>

namespace blt::train {
namespace {

constexpr std::int64_t evaluation_batch = 32768;

void score(const at::Tensor& logits, const at::Tensor& target, HeldOut& out) {
  at::Tensor losses;
  nn::cross_entropy(logits, target, 1.0, &losses);
  const at::Tensor byte = target >= static_cast<int>(patch::byte_offset);
  out.loss.nats += at::sum(losses * byte, at::kDouble).item<double>();
  out.loss.targets += byte.sum().item<std::int64_t>();
  out.hits += ((logits.argmax(1) == target) & byte).sum().item<std::int64_t>();
}

}  // namespace

double HeadLoss::bits() const { return targets > 0 ? nats / std::numbers::ln2 / static_cast<double>(targets) : 0; }

double HeldOut::acceptance() const {
  return loss.targets > 0 ? static_cast<double>(hits) / static_cast<double>(loss.targets) : 0;
}

std::vector<HeadLoss> backward(const HeadedModel& model, const model::Batch& batch, std::span<const double> weights) {
  const at::Tensor trunk = model.state(batch);
  const at::Tensor state = trunk.detach().requires_grad_(true);
  std::vector<at::Tensor> nats;
  std::vector<HeadLoss> out;
  for (std::int64_t head = 1; head <= model.heads; ++head) {
    const at::Tensor target = model::head_targets(batch, head);
    const at::Tensor loss = nn::cross_entropy(model.logits(state, head, batch), target, 1.0);
    (loss * weights[static_cast<std::size_t>(head - 1)]).backward();
    nats.push_back(loss.detach());
    out.push_back({0, head == 1 ? batch.targets : (target >= 0).sum().item<std::int64_t>()});
  }
  trunk.backward(state.grad());
  for (std::size_t i = 0; i < out.size(); ++i) out[i].nats = nats[i].item<double>();
  return out;
}

std::vector<HeldOut> evaluate(DocumentStream& documents, const HeadedModel& model, const model::Semantics& semantics,
                              std::int64_t cross_k, std::int64_t sequence_length, std::int64_t max_bytes, at::Device device) {
  const at::NoGradGuard no_grad;
  std::vector<HeldOut> total(static_cast<std::size_t>(model.heads));
  std::vector<Piece> pieces;
  std::int64_t waiting = 0, seen = 0;
  const auto run = [&] {
    std::vector<model::Segment> segments;
    for (const auto& piece : pieces) segments.push_back(piece.segment());
    const model::Batch batch = model::make_batch(segments, semantics, cross_k, device);
    const at::Tensor state = model.state(batch);
    for (std::int64_t head = 1; head <= model.heads; ++head) {
      score(model.logits(state, head, batch), model::head_targets(batch, head), total[static_cast<std::size_t>(head - 1)]);
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
