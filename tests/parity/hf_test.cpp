// SPDX-License-Identifier: MIT
// Logits, entropies and boundaries of the Hugging Face folders in ../shared/parity/hf, whose attention is plain causal
// (spec 3.10): windows and EOS blocks are switched off.
#include <ATen/ATen.h>
#undef CHECK
#include <catch2/catch.hpp>

#include <filesystem>
#include <numeric>

#include "blt/io/safetensors.h"
#include "blt/model/inference.h"

using namespace blt;
namespace fs = std::filesystem;

namespace {

std::vector<float> floats(const io::TensorView& view) {
  const auto* data = reinterpret_cast<const float*>(view.data.data());
  return {data, data + view.data.size() / 4};
}
std::vector<std::int64_t> longs(const io::TensorView& view) {
  const auto* data = reinterpret_cast<const std::int64_t*>(view.data.data());
  return {data, data + view.data.size() / 8};
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

// HF's lengths sum to T and may end in 0: "the next byte starts a patch". Ours sum to T + 1 (spec 6.2).
std::vector<std::uint32_t> with_next(const std::vector<std::int64_t>& hf) {
  std::vector<std::uint32_t> out;
  for (const auto n : hf) out.push_back(static_cast<std::uint32_t>(n));
  out.back() += 1;
  return out;
}

void check_folder(const std::string& folder, bool next_entries) {
  auto blt = model::load_blt(folder, {.compat = "hf"});
  for (model::Semantics* s : {&blt->config.semantics, blt->patcher ? &blt->patcher->config.semantics : nullptr}) {
    if (s) *s = {0, false, true};
  }
  blt->config.encoder.max_positions = 1 << 20;
  const auto scorer = model::make_scorer(std::move(blt), {at::kFloat}, at::kCPU);
  const io::SafetensorsFile reference(folder + "/reference.safetensors");
  int texts = 0;
  for (int i = 0; reference.tensors().count(std::to_string(i) + ".ids"); ++i, ++texts) {
    const std::string key = std::to_string(i) + ".";
    const std::string suffix = next_entries && reference.tensors().count(key + "logits_next") ? "_next" : "";
    INFO(folder << " text " << i << suffix);
    std::vector<patch::TokenId> ids;
    for (const auto id : longs(reference.at(key + "ids"))) ids.push_back(static_cast<patch::TokenId>(id));
    const std::vector<std::vector<patch::TokenId>> documents = {ids};
    const auto result = scorer->score(documents, true)[0];
    if (reference.tensors().count(key + "entropies") && !result.entropies.empty()) {
      CHECK(largest_difference(result.entropies, floats(reference.at(key + "entropies"))) < 1e-4f);
    }
    const auto lengths = longs(reference.at(key + "patch_lengths" + suffix));
    const auto total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    if (total == static_cast<std::int64_t>(ids.size())) {
      CHECK(result.patch_lengths == with_next(lengths));
    } else {
      CHECK(result.patch_lengths == std::vector<std::uint32_t>(lengths.begin(), lengths.end()));
    }
    CHECK(largest_difference(result.logits, floats(reference.at(key + "logits" + suffix))) < 1e-4f);
  }
  CHECK(texts > 0);
}

}  // namespace

TEST_CASE("logits of the Hugging Face reference models") {
  const std::string root = BLT_SHARED_DIR "/parity/hf";
  if (!fs::exists(root)) {
    WARN("skipped: no " << root);
    return;
  }
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename();
    SECTION(name) { check_folder(entry.path(), name == "f_maxlen"); }
  }
}
