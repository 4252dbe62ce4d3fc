// SPDX-License-Identifier: MIT
// Logits, entropies and boundaries of Hugging Face folders as transformers computes them (--compat hf).
#include "parity/reference.h"

using namespace blt;
using namespace blt::test;

namespace {

std::unique_ptr<Scorer> open(const std::string& folder, bool open_end) {
  auto blt = model::load_blt(folder, {.compat = "hf"});
  blt->config.semantics.open_end = open_end;
  return model::make_scorer(std::move(blt), {at::kFloat}, at::kCPU);
}

void check_folder(const std::string& folder) {
  const std::string reference = folder + "/reference.safetensors";
  const bool maximum = folder.ends_with("f_maxlen");
  OutputNames names;
  names.least_ids = maximum ? 2 : 1;
  CHECK(check_texts(*open(folder, true), reference, names) == (maximum ? 9 : 10));
  // Under a maximum patch length: also by the rule that every prefix agrees with.
  if (maximum) {
    CHECK(check_texts(*open(folder, false), reference, {"entropies", "patch_lengths_next", "logits_next", 1}) == 10);
  }
}

}  // namespace

TEST_CASE("logits of the Hugging Face reference models") { for_each_variant("hf", check_folder); }

TEST_CASE("logits of the Hugging Face model in the project's own data") {
  const std::string folder = BLT_TEST_DATA "/models/hf";
  CHECK(check_texts(*open(folder, true), folder + "/reference.safetensors", {}) > 2);
}
