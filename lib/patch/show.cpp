// SPDX-License-Identifier: MIT
#include "blt/patch/show.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "blt/base/error.h"
#include "blt/base/json.h"
#include "blt/base/units.h"
#include "blt/text/utf8.h"

namespace blt::patch {
namespace {

// Neighbours in turn; reverse video and underline show on light and dark terminals alike.
constexpr std::string_view styles[] = {"\033[7m", "\033[4m"};
constexpr std::string_view plain = "\033[0m";

// The text of each patch: lengths over BOS + text + EOS, whose two ends have none.
std::vector<std::string_view> patches_of(const shard::Record& record, std::uint64_t max_bytes) {
  std::vector<std::string_view> patches;
  const std::string_view text = record.text;
  std::size_t position = 0;
  for (const std::uint32_t length : record.patch_lengths) {
    const std::size_t from = position == 0 ? 0 : position - 1;
    if (max_bytes && from >= max_bytes) break;
    position += length;
    const std::size_t to = std::min(position == 0 ? 0 : position - 1, text.size());
    patches.push_back(from < to ? text.substr(from, to - from) : std::string_view());
  }
  return patches;
}

std::string with_marked_borders(std::string_view patch) {
  std::string out;
  for (const char c : text::escape(patch, {.newlines = false})) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

// Escapes end before a line break, so that no terminal paints the rest of the line.
std::string colored(std::string_view patch, std::string_view style) {
  std::string out;
  for (std::size_t from = 0; from < patch.size();) {
    const std::size_t end = std::min(patch.find('\n', from), patch.size());
    if (end > from) out += cat(style, text::escape(patch.substr(from, end - from)), plain);
    if (end < patch.size())
      out += cat(style, "\xE2\x86\xB5", plain, "\n");  // U+21B5 stands for the newline
    from = end + 1;
  }
  return out;
}

double mean_size(const shard::Record& record) {
  return record.patch_lengths.empty() ? 0
                                      : static_cast<double>(record.text.size()) /
                                            static_cast<double>(record.patch_lengths.size());
}

}  // namespace

std::string show_text(const shard::Record& record, const ShowOptions& options) {
  const std::string group = record.group.empty() ? "" : cat(" (", text::escape(record.group), ")");
  std::string out = cat("== ", text::escape(record.id), group, ": ", record.text.size(), " bytes, ",
                        record.patch_lengths.size(), " patches, ",
                        format_fixed(mean_size(record), 2), " bytes a patch ==\n");
  bool first = true;
  std::size_t number = 0, shown = 0;
  for (const auto patch : patches_of(record, options.max_bytes)) {
    shown += patch.size();
    if (patch.empty()) continue;
    if (options.color)
      out += colored(patch, styles[number++ % 2]);
    else
      out += (first ? "" : "|") + with_marked_borders(patch);
    first = false;
  }
  if (shown < record.text.size()) out += " [...]";
  return out.back() == '\n' ? out : out + '\n';
}

std::string show_json(const shard::Record& record, const ShowOptions& options) {
  Json json = {{"id", record.id}};
  if (!record.group.empty()) json["group"] = record.group;
  json["bytes"] = record.text.size();
  const auto patches = patches_of(record, options.max_bytes);
  json["patch_lengths"] = Json(record.patch_lengths);
  json["patches"] = Json::array();
  for (const auto patch : patches) json["patches"].push_back(text::escape(patch));
  if (!record.entropies.empty()) json["entropies"] = record.entropies;
  return dump_json(json) + '\n';
}

}  // namespace blt::patch
