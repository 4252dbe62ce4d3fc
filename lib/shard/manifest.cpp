// SPDX-License-Identifier: MIT
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/shard/shard.h"
#include "layout.h"

namespace blt::shard {
namespace {

constexpr const char* format_name = "blt-shards";

std::string manifest_path(const std::string& folder) {
  return (std::filesystem::path(folder) / "manifest.json").string();
}

// Json copies, compares and writes itself recursively, so a hostile depth is refused before any of
// that.
void check_depth(const Json& json) {
  constexpr int max_depth = 64;
  std::vector<std::pair<const Json*, int>> open{{&json, 0}};
  while (!open.empty()) {
    const auto [value, depth] = open.back();
    open.pop_back();
    if (depth > max_depth) throw input_error("nested too deeply");
    if (!value->is_structured()) continue;
    for (const Json& inner : *value) open.emplace_back(&inner, depth + 1);
  }
}

const Json& member(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) throw input_error(cat("no field \"", key, "\""));
  return *found;
}

std::uint64_t count_member(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned()) throw input_error(cat("field \"", key, "\" is not a count"));
  return value.get<std::uint64_t>();
}

std::string text_member(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_string()) throw input_error(cat("field \"", key, "\" is not a string"));
  return value.get<std::string>();
}

void parse_shards(const Json& list, Manifest& manifest) {
  if (!list.is_array()) throw input_error("field \"shards\" is not a list");
  std::set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    with_context(cat("shard ", i), [&] {
      manifest.shards.push_back(shard_from_json(list[i]));
      if (!names.insert(manifest.shards.back().file).second)
        throw input_error("its file is listed twice");
    });
  }
}

Manifest parse_manifest(const Json& json) {
  if (!json.is_object() || json.value("format", Json()) != format_name) {
    throw input_error("not the manifest of a folder of shards");
  }
  const std::uint64_t version = count_member(json, "version");
  if (version != format_version)
    throw input_error(cat("format version ", version, " is not known"));
  Manifest manifest;
  const Json& entropies = member(json, "entropies");
  if (!entropies.is_boolean()) throw input_error("field \"entropies\" is not true or false");
  manifest.has_entropies = entropies.get<bool>();
  manifest.patching = member(json, "patching");
  manifest.entropy_model = member(json, "entropy_model");
  manifest.extra = member(json, "extra");
  parse_shards(member(json, "shards"), manifest);
  if (count_member(json, "documents") != manifest.documents() ||
      count_member(json, "bytes") != manifest.bytes() ||
      count_member(json, "patches") != manifest.patches()) {
    throw input_error("the totals are not the sums over the shards");
  }
  return manifest;
}

std::uint64_t sum(const std::vector<Manifest::Shard>& shards,
                  std::uint64_t Manifest::Shard::*count) {
  std::uint64_t total = 0;
  for (const auto& shard : shards) total += shard.*count;
  return total;
}

}  // namespace

std::string_view entropy_type_name(EntropyType type) {
  return type == EntropyType::float32 ? "float32" : "float16";
}

std::uint64_t Manifest::documents() const {
  return sum(shards, &Shard::documents);
}
std::uint64_t Manifest::bytes() const {
  return sum(shards, &Shard::bytes);
}
std::uint64_t Manifest::patches() const {
  return sum(shards, &Shard::patches);
}

Manifest::Shard shard_from_json(const Json& json) {
  if (!json.is_object()) throw input_error("not an object");
  Manifest::Shard shard;
  shard.file = text_member(json, "file");
  // Only names of files beside the manifest: it must not reach anywhere else.
  if (shard.file.empty() || shard.file == "." || shard.file == ".." ||
      shard.file.find('/') != std::string::npos || shard.file.find('\0') != std::string::npos) {
    throw input_error("field \"file\" is not a plain file name");
  }
  shard.documents = count_member(json, "documents");
  shard.bytes = count_member(json, "bytes");
  shard.patches = count_member(json, "patches");
  shard.file_bytes = count_member(json, "file_bytes");
  shard.xxh3 = text_member(json, "xxh3");
  return shard;
}

Json to_json(const Manifest::Shard& shard) {
  return {{"file", shard.file},       {"documents", shard.documents},
          {"bytes", shard.bytes},     {"patches", shard.patches},
          {"file_bytes", shard.file_bytes}, {"xxh3", shard.xxh3}};
}

Manifest read_manifest(const std::string& folder) {
  const std::string path = manifest_path(folder);
  const Json json = read_json_file(path);
  return with_context(path, [&] {
    check_depth(json);
    return parse_manifest(json);
  });
}

void write_manifest(const std::string& folder, const Manifest& manifest) {
  Json shards = Json::array();
  for (const auto& shard : manifest.shards) shards.push_back(to_json(shard));
  Json json{{"format", format_name},
            {"version", format_version},
            {"documents", manifest.documents()},
            {"bytes", manifest.bytes()},
            {"patches", manifest.patches()},
            {"entropies", manifest.has_entropies},
            {"patching", manifest.patching},
            {"entropy_model", manifest.entropy_model},
            {"shards", std::move(shards)},
            {"extra", manifest.extra}};
  write_file(manifest_path(folder), dump_json(json, 2) + "\n");
}

}  // namespace blt::shard
