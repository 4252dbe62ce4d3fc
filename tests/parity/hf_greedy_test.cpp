// SPDX-License-Identifier: MIT
// Greedy texts of the Hugging Face folders in ../shared/parity/hf, byte by byte, by both engines.
// Attention there is plain causal (spec 3.10): windows and EOS blocks are switched off.
#include <ATen/core/Tensor.h>
#undef CHECK
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "blt/generate/engine.h"
#include "blt/io/safetensors.h"
#include "blt/model/checkpoint.h"

using namespace blt;
namespace fs = std::filesystem;

namespace {

std::vector<patch::TokenId> ids_of(const io::TensorView& view) {
  const auto* data = reinterpret_cast<const std::int64_t*>(view.data.data());
  std::vector<patch::TokenId> out;
  for (std::size_t i = 0; i < view.data.size() / 8; ++i)
    out.push_back(static_cast<patch::TokenId>(data[i]));
  return out;
}

// Over all ids: the references choose special ones as well.
patch::TokenId most_likely(std::span<const float> logits) {
  return static_cast<patch::TokenId>(std::max_element(logits.begin(), logits.end()) -
                                     logits.begin());
}

std::shared_ptr<model::Blt> load(const std::string& folder) {
  std::shared_ptr<model::Blt> blt = model::load_blt(folder, {.compat = "hf"});
  blt->config.semantics = {0, false, true};
  if (blt->patcher) blt->patcher->config.semantics = {0, false, true};
  return blt;
}

// At most `texts` texts of `length` ids. The exact engine is checked on less: it computes all anew
// for each byte.
int check_folder(const std::string& folder, const generate::EngineOptions& options, int texts,
                 std::size_t length) {
  const auto engine = generate::make_engine(load(folder), options);
  const io::SafetensorsFile reference(folder + "/reference.safetensors");
  int checked = 0;
  for (int i = 0; i < 10 && checked < texts; ++i) {
    const std::string key = std::to_string(i) + ".greedy";
    if (!reference.tensors().count(key)) continue;
    // f_maxlen: the rule that every prefix agrees with.
    auto expected =
        ids_of(reference.at(reference.tensors().count(key + "_next") ? key + "_next" : key));
    expected.resize(std::min(length, expected.size()));
    engine->reset();
    patch::TokenId id = most_likely(engine->prefill(ids_of(reference.at(key + "_prompt"))));
    std::vector<patch::TokenId> chosen;
    while (chosen.push_back(id), chosen.size() < expected.size())
      id = most_likely(engine->step(id));
    INFO(folder << " text " << i);
    CHECK(chosen == expected);
    ++checked;
  }
  return checked;
}

}  // namespace

TEST_CASE("greedy texts of the Hugging Face reference models") {
  const std::string root = BLT_SHARED_DIR "/parity/hf";
  if (!fs::exists(root)) {
    WARN("skipped: no " << root);
    return;
  }
  nn::set_threads(1);  // rows are few: threads would only wait for each other
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename();
    generate::EngineOptions options;
    SECTION(name + ", cached") {
      CHECK(check_folder(entry.path(), options, 10, 48) == 5);
    }
    options.exact = true;
    SECTION(name + ", exact") {
      CHECK(check_folder(entry.path(), options, 1, 12) == 1);
    }
  }
}
