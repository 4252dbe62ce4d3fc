// SPDX-License-Identifier: MIT
#include "blt/patch/segmenter.h"

#include <algorithm>
#include <optional>

#include "blt/base/error.h"
#include "blt/patch/entropy_source.h"

namespace blt::patch {
namespace {

using Documents = std::vector<std::vector<TokenId>>;

std::vector<std::vector<float>> ask(EntropySource& source, const Documents& documents) {
  auto entropies = source.entropies(documents);
  if (entropies.size() != documents.size())
    throw internal_error("the entropy source lost documents");
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (entropies[i].size() != documents[i].size()) {
      throw internal_error(cat("the entropy source gave ", entropies[i].size(), " values for ",
                               documents[i].size(), " ids"));
    }
  }
  return entropies;
}

// A line (without its newline) and where its context begins: at BOS or at the newline before it.
struct Line {
  std::size_t text, start;  // start: the position that BOS stands for
  std::string_view bytes;
  bool last;
};

std::vector<Line> split_lines(std::span<const std::string_view> texts) {
  std::vector<Line> lines;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::size_t from = 0;
    while (true) {
      const std::size_t end = texts[i].find('\n', from);
      const bool last = end == std::string_view::npos;
      lines.push_back({i, from, texts[i].substr(from, last ? end : end - from), last});
      if (last) break;
      from = end + 1;
    }
  }
  return lines;
}

std::vector<std::vector<float>> line_entropies(EntropySource& source,
                                               std::span<const std::string_view> texts) {
  std::vector<std::vector<float>> out(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) out[i].resize(texts[i].size() + 2);
  const std::vector<Line> lines = split_lines(texts);
  // An empty line is BOS alone, the same every time: it is asked for once.
  std::optional<std::size_t> empty;
  std::vector<std::size_t> asked(lines.size());
  Documents documents;
  for (std::size_t k = 0; k < lines.size(); ++k) {
    const bool reusable = lines[k].bytes.empty() && !lines[k].last;
    if (reusable && empty) {
      asked[k] = *empty;
      continue;
    }
    asked[k] = documents.size();
    if (reusable) empty = documents.size();
    documents.push_back(encode(lines[k].bytes, true, lines[k].last));
  }
  const auto entropies = ask(source, documents);
  for (std::size_t k = 0; k < lines.size(); ++k) {
    const auto& values = entropies[asked[k]];
    std::copy(values.begin(), values.end(),
              out[lines[k].text].begin() + static_cast<std::ptrdiff_t>(lines[k].start));
  }
  return out;
}

}  // namespace

std::vector<std::vector<float>> document_entropies(EntropySource& source,
                                                   std::span<const std::string_view> texts,
                                                   bool newline_reset) {
  if (newline_reset) return line_entropies(source, texts);
  Documents documents;
  documents.reserve(texts.size());
  for (const auto text : texts) documents.push_back(encode(text));
  return ask(source, documents);
}

}  // namespace blt::patch
