// SPDX-License-Identifier: MIT
// Greedy texts of Hugging Face folders, byte by byte, by both engines, as transformers gave them (--compat hf).
#include "parity/reference.h"

using namespace blt;
using namespace blt::test;

namespace {

// At most `texts` texts of `length` ids. The exact engine is checked on less: it computes all anew for each byte.
int check_texts_of(const std::string& folder, bool exact, bool open_end, const std::string& suffix, int texts, std::size_t length) {
  std::shared_ptr<model::Blt> blt = model::load_blt(folder, {.compat = "hf"});
  blt->config.semantics.open_end = open_end;
  generate::EngineOptions options;
  options.exact = exact;
  const auto engine = generate::make_engine(std::move(blt), options);
  const io::SafetensorsFile reference(folder + "/reference.safetensors");
  int checked = 0;
  for (int i = 0; i < 10 && checked < texts; ++i) {
    const std::string key = std::to_string(i) + ".greedy";
    if (!reference.tensors().count(key + suffix)) continue;
    auto expected = ids_of(reference.at(key + suffix));
    expected.resize(std::min(length, expected.size()));
    INFO(folder << " text " << i);
    CHECK(greedy(*engine, ids_of(reference.at(key + "_prompt")), expected.size()) == expected);
    ++checked;
  }
  return checked;
}

void check_folder(const std::string& folder) {
  nn::set_threads(1);  // rows are few: threads would only wait for each other
  const bool maximum = folder.ends_with("f_maxlen");
  // Under a maximum patch length by the rule that every prefix agrees with, and by HF's own.
  CHECK(check_texts_of(folder, false, false, maximum ? "_next" : "", 10, 48) == 5);
  CHECK(check_texts_of(folder, true, false, maximum ? "_next" : "", 1, 12) == 1);
  if (maximum) CHECK(check_texts_of(folder, false, true, "", 2, 24) == 2);
}

}  // namespace

TEST_CASE("greedy texts of the Hugging Face reference models") { for_each_variant("hf", check_folder); }
