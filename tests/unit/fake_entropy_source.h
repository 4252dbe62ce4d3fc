// SPDX-License-Identifier: MIT
// An entropy source without a model: every position's value is a hash of the ids up to it, in [0,
// 4).
#pragma once

#include "blt/base/random.h"
#include "blt/patch/entropy_source.h"

namespace blt::test {

class FakeEntropySource final : public EntropySource {
 public:
  explicit FakeEntropySource(std::uint64_t batch = 1 << 16) : batch_(batch) {}

  static float value(std::uint64_t state) {
    return static_cast<float>(mix_seed(state, 7) % 40000) / 10000.0f;
  }

  std::vector<std::vector<float>> entropies(
      std::span<const std::vector<patch::TokenId>> documents) override {
    ++calls;
    std::vector<std::vector<float>> out;
    for (const auto& document : documents) {
      std::uint64_t state = 1;
      auto& values = out.emplace_back();
      for (const auto id : document) {
        state = mix_seed(state, id);
        values.push_back(value(state));
        ++positions;
      }
    }
    return out;
  }
  std::string digest() const override { return std::string(32, 'f'); }
  std::uint64_t batch_bytes() const override { return batch_; }

  std::uint64_t calls = 0, positions = 0;

 private:
  std::uint64_t batch_;
};

}  // namespace blt::test
