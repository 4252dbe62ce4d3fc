// SPDX-License-Identifier: MIT
// Reference outputs of other implementations: reading and comparing.
#pragma once

#include <ATen/core/Tensor.h>
#undef CHECK
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "blt/generate/engine.h"
#include "blt/io/safetensors.h"
#include "blt/model/inference.h"

namespace blt::test {

inline constexpr float bound = 1e-4f;  // of float32 logits and entropies

inline std::vector<float> floats(const io::TensorView& view) {
  const auto* data = reinterpret_cast<const float*>(view.data.data());
  return {data, data + view.data.size() / 4};
}

inline std::vector<patch::TokenId> ids_of(const io::TensorView& view) {
  const auto* data = reinterpret_cast<const std::int64_t*>(view.data.data());
  std::vector<patch::TokenId> out;
  for (std::size_t i = 0; i < view.data.size() / 8; ++i) out.push_back(static_cast<patch::TokenId>(data[i]));
  return out;
}

// Lengths that sum to `total`: HF's sum to T and may end in 0, "the next byte starts a patch"; with total = T + 1 the last
// one is longer by one (spec 6.2).
inline std::vector<std::uint32_t> lengths_of(const io::TensorView& view, std::size_t total) {
  const auto* data = reinterpret_cast<const std::int64_t*>(view.data.data());
  std::vector<std::uint32_t> out;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < view.data.size() / 8; ++i) {
    out.push_back(static_cast<std::uint32_t>(data[i]));
    sum += out.back();
  }
  if (sum + 1 == total) out.back() += 1;
  return out;
}

inline float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::isfinite(a[i]) ? std::abs(a[i] - b[i]) : INFINITY);
  return most;
}

// What the files call the three outputs of text i.
struct OutputNames {
  std::string entropies = "entropies", patch_lengths = "patch_lengths", logits = "logits";
  // HF's rule for a maximum patch length leaves a lone BOS no patch to see; its masked softmax then averages vectors that are
  // masked, where ours gives 0 (spec section 11). Texts shorter than this are left out.
  std::size_t least_ids = 1;
};

// Compares all texts of a reference file -> how many there were.
inline int check_texts(Scorer& scorer, const std::string& reference_path, const OutputNames& names) {
  const io::SafetensorsFile reference(reference_path);
  const auto has = [&](const std::string& name) { return reference.tensors().count(name) > 0; };
  int texts = 0;
  for (int i = 0; i < 32; ++i) {
    const std::string key = std::to_string(i) + ".";
    if (!has(key + "ids") || ids_of(reference.at(key + "ids")).size() < names.least_ids) continue;
    INFO(reference_path << " text " << i);
    const std::vector<std::vector<patch::TokenId>> documents = {ids_of(reference.at(key + "ids"))};
    const auto result = scorer.score(documents, true)[0];
    if (has(key + names.entropies) && !result.entropies.empty()) {
      CHECK(largest_difference(result.entropies, floats(reference.at(key + names.entropies))) < bound);
    }
    std::size_t total = 0;
    for (const auto n : result.patch_lengths) total += n;
    CHECK(result.patch_lengths == lengths_of(reference.at(key + names.patch_lengths), total));
    CHECK(largest_difference(result.logits, floats(reference.at(key + names.logits))) < bound);
    ++texts;
  }
  return texts;
}

// Over all ids: the references choose special ones as well.
inline patch::TokenId most_likely(std::span<const float> logits) {
  return static_cast<patch::TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

inline std::vector<patch::TokenId> greedy(generate::Engine& engine, std::span<const patch::TokenId> prompt, std::size_t count) {
  engine.reset();
  std::vector<patch::TokenId> chosen;
  patch::TokenId id = most_likely(engine.prefill(prompt));
  while (chosen.push_back(id), chosen.size() < count) id = most_likely(engine.step(id));
  return chosen;
}

// Runs f on each folder of ../shared/parity/KIND in a section of its own; a warning where it is not there.
template <class F>
void for_each_variant(const std::string& kind, F&& f) {
  const std::string root = std::string(BLT_SHARED_DIR) + "/parity/" + kind;
  if (!std::filesystem::exists(root)) {
    WARN("skipped: no " << root);
    return;
  }
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    SECTION(folder.filename().string()) { f(folder.string()); }
  }
}

}  // namespace blt::test
