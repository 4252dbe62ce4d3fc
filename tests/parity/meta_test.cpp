// SPDX-License-Identifier: MIT
// Logits, entropies, boundaries and greedy texts of Meta's layouts: under the released semantics (windows, EOS blocks) as
// Meta's own code gave them, and under plain causal attention as transformers did.
#include "blt/base/error.h"
#include "parity/reference.h"

using namespace blt;
using namespace blt::test;
namespace fs = std::filesystem;

namespace {

void check_layout(const std::string& folder, const std::string& entropy_model, const std::string& reference, int texts) {
  INFO(folder);
  const auto open = [&](const char* compat) {
    return model::make_scorer(model::load_blt(folder, {.compat = compat, .entropy_model = entropy_model}), {at::kFloat}, at::kCPU);
  };
  CHECK(check_texts(*open(""), reference, {}) == texts);
  const auto blt = std::get<model::BltConfig>(model::open_stored(folder).config);
  const bool maximum = blt.patching.max_patch_length.has_value();
  const OutputNames names{"entropies_sdpa", "hf_patch_lengths", "hf_logits", maximum ? std::size_t{2} : 1};
  CHECK(check_texts(*open("hf"), reference, names) == texts - maximum);
}

void check_greedy(const std::string& folder, const std::string& reference_path) {
  nn::set_threads(1);  // rows are few: threads would only wait for each other
  const auto engine = generate::make_engine(std::shared_ptr<model::Blt>(model::load_blt(folder)), {});
  const io::SafetensorsFile reference(reference_path);
  for (int i = 0; i < 8; ++i) {
    const std::string key = cat("g", i, ".");
    if (!reference.tensors().count(key + "greedy")) continue;
    INFO(folder << " greedy " << i);
    const auto expected = ids_of(reference.at(key + "greedy"));
    CHECK(greedy(*engine, ids_of(reference.at(key + "prompt")), expected.size()) == expected);
  }
}

void check_folder(const std::string& folder) {
  const std::string reference = folder + "/reference.safetensors";
  check_layout(folder, "", reference, 10);
  check_layout(folder + "/hub", folder + "/hub_entropy", reference, 10);
  if (fs::exists(folder + "/hf")) check_layout(folder + "/hf", "", reference, 10);
  check_greedy(folder, reference);
}

}  // namespace

TEST_CASE("logits and greedy texts of Meta's reference models") { for_each_variant("meta_model", check_folder); }

TEST_CASE("logits and greedy texts of Meta's model in the project's own data") {
  const std::string folder = BLT_TEST_DATA "/models/meta";
  check_layout(folder, "", folder + "/reference.safetensors", 2);
  check_greedy(folder, folder + "/reference.safetensors");
}
