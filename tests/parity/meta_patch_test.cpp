// SPDX-License-Identifier: MIT
// The patch rules against the outputs of the original implementation: every case that it computes
// and that does not hang on ties must agree. A small part lies in tests/data; the whole is read
// where the reference outputs are.
#include <zstd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/patch/rules.h"

using namespace blt;
using patch::Rules;
using patch::Scheme;

namespace {

using Lengths = std::vector<std::uint32_t>;

struct Input {
  std::vector<std::vector<patch::TokenId>> tokens;
  std::vector<std::vector<float>> entropies;
};

struct Agreement {
  std::map<std::string, std::pair<int, int>> schemes;  // agreed, compared
  int skipped = 0;
  std::vector<std::string> failures;
};

std::string decompress(const std::string& file) {
  const std::string packed = read_file(file);
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                    ZSTD_freeDStream);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string text, block(ZSTD_DStreamOutSize(), '\0');
  while (in.pos < in.size) {
    ZSTD_outBuffer out{block.data(), block.size(), 0};
    REQUIRE_FALSE(ZSTD_isError(ZSTD_decompressStream(stream.get(), &out, &in)));
    text.append(block, 0, out.pos);
  }
  return text;
}

Scheme scheme_of(const std::string& name) {
  static const std::map<std::string, Scheme> names = {{"entropy", Scheme::entropy},
                                                      {"entropy_monotonicity", Scheme::monotonic},
                                                      {"entropy_threshold_add", Scheme::combined},
                                                      {"entropy_topk", Scheme::topk},
                                                      {"static", Scheme::strided},
                                                      {"space", Scheme::space},
                                                      {"byte", Scheme::byte},
                                                      {"bpe", Scheme::delimiter}};
  return names.at(name);
}

Rules rules_of(const Json& line) {
  Rules rules;
  rules.scheme = scheme_of(line.at("scheme"));
  if (line.at("threshold").is_number()) rules.threshold = line["threshold"];
  if (line.at("threshold_add").is_number()) rules.threshold_add = line["threshold_add"];
  if (line.at("patch_size").is_number()) rules.patch_size = line["patch_size"];
  if (line.at("max_patch_length").is_number())
    rules.max_patch_length = line["max_patch_length"].get<std::int64_t>();
  rules.include_next_token = line.at("include_next_token");
  return rules;
}

// Rows of a batch are padded with zeros there.
Lengths without_padding(Lengths lengths) {
  while (!lengths.empty() && lengths.back() == 0) lengths.pop_back();
  return lengths;
}

Agreement compare(const std::string& text) {
  Agreement result;
  std::map<int, Input> inputs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    if (json.at("kind") == "input") {
      inputs[json.at("id")] = {json.at("tokens").get<std::vector<std::vector<patch::TokenId>>>(),
                               json.at("entropies").get<std::vector<std::vector<float>>>()};
      continue;
    }
    if (!json.at("error").is_null() || json.at("ambiguous").get<bool>()) {
      ++result.skipped;
      continue;
    }
    const Input& input = inputs.at(json.at("input"));
    const auto expected = json.at("patch_lengths").get<std::vector<Lengths>>();
    bool agrees = expected.size() == input.tokens.size();
    for (std::size_t row = 0; agrees && row < expected.size(); ++row) {
      agrees = patch::cut(input.tokens[row], input.entropies[row], rules_of(json)) ==
               without_padding(expected[row]);
    }
    auto& [agreed, compared] = result.schemes[json.at("scheme")];
    ++compared;
    if (agrees)
      ++agreed;
    else if (result.failures.size() < 5)
      result.failures.push_back(line.substr(0, 400));
  }
  return result;
}

void check(const Agreement& result, const std::string& name) {
  int agreed = 0, compared = 0;
  for (const auto& [scheme, counts] : result.schemes) {
    INFO(scheme);
    CHECK(counts.first == counts.second);
    agreed += counts.first;
    compared += counts.second;
  }
  for (const auto& failure : result.failures) UNSCOPED_INFO(failure);
  CHECK(result.failures.empty());
  CHECK(result.schemes.size() == 8);
  std::cout << name << ": " << agreed << " of " << compared << " cases agree, " << result.skipped
            << " skipped (the original fails, or ties)\n";
}

}  // namespace

TEST_CASE("patch rules agree with the committed reference cases") {
  check(compare(read_file(BLT_TEST_DATA "/meta_patch_subset.jsonl")), "subset");
}

TEST_CASE("patch rules agree with all reference cases") {
  const std::string file = BLT_SHARED_DIR "/parity/meta_patch.jsonl.zst";
  if (!std::filesystem::exists(file)) {
    WARN("skipped: no " << file);
    return;
  }
  const Agreement result = compare(decompress(file));
  check(result, "all");
  CHECK(result.schemes.at("entropy").second > 1000);
}
