// SPDX-License-Identifier: MIT
#include "plan.h"

#include <algorithm>
#include <utility>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "blt/io/source.h"

namespace blt::patch {
namespace {

constexpr int plan_version = 1;

// As it comes back from a file: paths that are not valid UTF-8 change on the way.
Json as_written(const Json& json) {
  return Json::parse(dump_json(json));
}

Json files_json(const std::vector<InputFile>& files) {
  Json list = Json::array();
  for (const auto& file : files) list.push_back({file.path, file.bytes});
  return list;
}

std::string difference(const std::string& name, const Json& then, const Json& now) {
  return cat(name, " (", dump_json(then), " then, ", dump_json(now), " now)");
}

}  // namespace

std::vector<InputFile> input_files(const std::vector<std::string>& inputs) {
  std::vector<InputFile> files;
  for (auto& path : io::expand_inputs(inputs)) {
    const std::uint64_t bytes = io::source_size(path);
    files.push_back({std::move(path), bytes});
  }
  return files;
}

Json plan_options(const PipelineOptions& options, const std::string& model_digest) {
  const io::DocumentOptions& documents = options.corpus.documents;
  Json json = {{"inputs", options.corpus.inputs},
               {"format", documents.format},
               {"split_lines", documents.split_lines},
               {"field", documents.field},
               {"group_field", documents.group_field},
               {"on_error", documents.on_error},
               {"max_document_bytes", documents.max_document_bytes},
               {"held_out", options.corpus.held_out},
               {"split", options.corpus.split}};
  json.update(rules_json(options.rules));
  if (options.mean_patch_size) {
    json["threshold"] = nullptr;
    json["patch_size"] = *options.mean_patch_size;
    json["sample_size"] = options.sample_bytes;
    json["seed"] = options.seed;
  }
  if (!model_digest.empty()) {
    json["entropy_model"] = model_digest;
    json["dtype"] = options.model.dtype;
    json["compat"] = options.model.compat;
  }
  json["keep_entropies"] = options.writer.entropies;
  json["entropy_type"] = shard::entropy_type_name(options.writer.entropy_type);
  json["shard_size"] = options.writer.shard_bytes;
  json["block_size"] = options.writer.block_bytes;
  json["level"] = options.writer.compression_level;
  return json;
}

std::vector<Part> cut_parts(const std::vector<InputFile>& files, const io::DocumentOptions& options,
                            std::uint64_t bytes) {
  std::vector<Part> parts;
  std::uint64_t together = 0;  // bytes of the last part; a range counts as full
  for (std::size_t i = 0; i < files.size(); ++i) {
    const InputFile& file = files[i];
    if (const auto cuts = io::line_cuts(file.path, file.bytes, bytes, options); !cuts.empty()) {
      for (std::size_t k = 0; k <= cuts.size(); ++k) {
        parts.push_back(
            {i, i + 1, k == 0 ? 0 : cuts[k - 1], k == cuts.size() ? file.bytes : cuts[k]});
      }
      together = bytes;
    } else if (parts.empty() || parts.back().end || together + file.bytes > bytes) {
      parts.push_back({i, i + 1});
      together = file.bytes;
    } else {
      parts.back().last = i + 1;
      together += file.bytes;
    }
  }
  return parts;
}

std::string Plan::digest() const {
  Digest digest;
  digest.update(dump_json(options));
  digest.update(dump_json(files_json(files)));
  return digest.hex();
}

std::vector<io::FilePiece> Plan::pieces(std::size_t part) const {
  const Part& cut = parts[part];
  std::vector<io::FilePiece> pieces;
  for (std::size_t i = cut.first; i < cut.last; ++i)
    pieces.push_back({files[i].path, cut.begin, cut.end, files[i].bytes});
  return pieces;
}

std::uint64_t Plan::file_bytes(std::size_t part) const {
  const Part& cut = parts[part];
  if (cut.end) return cut.end - cut.begin;
  std::uint64_t bytes = 0;
  for (std::size_t i = cut.first; i < cut.last; ++i) bytes += files[i].bytes;
  return bytes;
}

Json to_json(const Plan& plan) {
  Json parts = Json::array();
  for (const auto& part : plan.parts) {
    Json& json = parts.emplace_back(Json{{"files", {part.first, part.last}}});
    if (part.end) json["bytes"] = {part.begin, part.end};
  }
  Json calibration = nullptr;
  if (const auto& fit = plan.calibration) {
    calibration = {{"threshold", fit->threshold},
                   {"patch_size", fit->patch_size},
                   {"bytes", fit->bytes},
                   {"patches", fit->patches}};
  }
  return {{"format", "blt-patch plan"},
          {"version", plan_version},
          {"options", plan.options},
          {"calibration", calibration},
          {"entropy_model", plan.entropy_model},
          {"files", files_json(plan.files)},
          {"parts", std::move(parts)}};
}

Plan plan_from_json(const Json& json) {
  try {
    if (json.at("format") != "blt-patch plan" || json.at("version") != plan_version)
      throw input_error("not a plan that this version reads");
    Plan plan;
    plan.options = json.at("options");
    if (!plan.options.is_object()) throw input_error("its options are not an object");
    plan.entropy_model = json.at("entropy_model");
    for (const auto& file : json.at("files"))
      plan.files.push_back({file.at(0).get<std::string>(), file.at(1).get<std::uint64_t>()});
    for (const auto& row : json.at("parts")) {
      Part part{row.at("files").at(0).get<std::size_t>(), row.at("files").at(1).get<std::size_t>()};
      if (const auto range = row.find("bytes"); range != row.end()) {
        part.begin = range->at(0).get<std::uint64_t>();
        part.end = range->at(1).get<std::uint64_t>();
      }
      if (part.first >= part.last || part.last > plan.files.size() || part.begin > part.end)
        throw input_error("a part is not one of its files");
      plan.parts.push_back(part);
    }
    if (const Json& fit = json.at("calibration"); !fit.is_null()) {
      plan.calibration =
          Calibration{fit.at("threshold").get<double>(), fit.at("patch_size").get<double>(),
                      fit.at("bytes").get<std::uint64_t>(), fit.at("patches").get<std::uint64_t>()};
    }
    return plan;
  } catch (const Json::exception& error) {
    throw input_error(cat("not a plan: ", error.what()));
  }
}

void require_same(const Plan& plan, const Plan& earlier, const std::string& folder,
                  const std::string& hint) {
  const Json now = as_written(plan.options);
  std::string names;
  const auto add = [&](const std::string& text) { names += (names.empty() ? "" : ", ") + text; };
  for (const auto& [name, value] : now.items()) {
    const Json then = earlier.options.value(name, Json());
    if (then != value) add(difference(name, then, value));
  }
  for (const auto& [name, value] : earlier.options.items()) {
    if (!now.contains(name)) add(difference(name, value, nullptr));
  }
  if (!names.empty())
    throw output_error(cat(folder, ": was begun with other options: ", names), hint);
  const std::size_t both = std::min(plan.files.size(), earlier.files.size());
  for (std::size_t i = 0; i < both; ++i) {
    const InputFile& file = plan.files[i];
    if (as_written(file.path) != Json(earlier.files[i].path)) {
      throw input_error(cat(file.path, ": stands where ", earlier.files[i].path, " was when ",
                            folder, " was begun"),
                        hint);
    }
    if (file.bytes != earlier.files[i].bytes) {
      throw input_error(cat(file.path, ": has ", file.bytes, " bytes now, and had ",
                            earlier.files[i].bytes, " when ", folder, " was begun"),
                        hint);
    }
  }
  if (plan.files.size() != earlier.files.size()) {
    throw input_error(cat("the corpus has ", plan.files.size(), " files now, and had ",
                          earlier.files.size(), " when ", folder, " was begun"),
                      hint);
  }
}

}  // namespace blt::patch
