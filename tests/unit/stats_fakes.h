// SPDX-License-Identifier: MIT
// Models without a network, and inputs in a folder of their own.
#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "blt/base/files.h"
#include "blt/patch/entropy_source.h"

namespace blt::test {

// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "blt-stats-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const {
    return (std::filesystem::path(path_) / name).string();
  }
  std::string write(const std::string& name, const std::string& text) const {
    write_file(file(name), text);
    return file(name);
  }

 private:
  std::string path_;
};

// The entropy of a position depends on its id alone.
inline float fake_entropy(patch::TokenId id) {
  return static_cast<float>((id * 37 + 11) % 101) / 25.0f;
}

class FakeEntropies final : public EntropySource {
 public:
  std::vector<std::vector<float>> entropies(
      std::span<const std::vector<patch::TokenId>> documents) override {
    std::vector<std::vector<float>> out;
    for (const auto& ids : documents) {
      out.emplace_back();
      for (const auto id : ids) out.back().push_back(fake_entropy(id));
    }
    ++calls;
    return out;
  }
  std::string digest() const override { return std::string(32, '0'); }
  std::uint64_t batch_bytes() const override { return 64; }
  int calls = 0;
};

// Predicts byte b with probability 2^-(1 + b % 4) and EOS with 2^-8; patches of three positions
// after BOS when asked to be a BLT.
class FakeScorer final : public Scorer {
 public:
  explicit FakeScorer(bool blt) : blt_(blt) {}
  static double bits(patch::TokenId id) {
    return id == patch::eos_id ? 8 : 1 + (id - patch::byte_offset) % 4;
  }

  std::vector<Result> score(std::span<const std::vector<patch::TokenId>> documents,
                            bool keep_logits) override {
    std::vector<Result> out;
    for (const auto& ids : documents) {
      Result r;
      for (const auto id : ids) r.entropies.push_back(fake_entropy(id));
      for (std::size_t t = 1; t < ids.size(); ++t)
        r.losses.push_back(static_cast<float>(bits(ids[t]) * std::log(2.0)));
      if (keep_logits) {
        for (std::size_t t = 0; t < ids.size(); ++t) {
          for (int v = 0; v < patch::vocab_size; ++v)
            r.logits.push_back(static_cast<float>(ids[t]) + 0.001f * static_cast<float>(v));
        }
      }
      if (blt_) {
        r.patch_lengths.push_back(1);
        for (std::size_t left = ids.size(); left > 0; left -= std::min<std::size_t>(left, 3)) {
          r.patch_lengths.push_back(static_cast<std::uint32_t>(std::min<std::size_t>(left, 3)));
        }
      }
      out.push_back(std::move(r));
    }
    ++calls;
    return out;
  }
  std::string kind() const override { return blt_ ? "blt" : "byte_lm"; }
  Json facts() const override { return {{"parameters", 0}}; }
  std::uint64_t batch_bytes() const override { return 40; }
  int calls = 0;

 private:
  bool blt_;
};

}  // namespace blt::test
