// SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "blt/base/signals.h"
#include "blt/shard/shard.h"
#include "shard_file.h"

namespace blt::shard {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t max_problems = 100;  // told of one shard

// The problems of one shard, each behind its name.
class Problems {
 public:
  Problems(std::string name, std::vector<std::string>& out) : name_(std::move(name)), out_(out) {}
  ~Problems() {
    if (count_ > max_problems)
      out_.push_back(cat(name_, ": ", count_ - max_problems, " more problems"));
  }
  Problems(const Problems&) = delete;
  Problems& operator=(const Problems&) = delete;

  template <class... Args>
  void add(const Args&... args) {
    if (++count_ <= max_problems) out_.push_back(cat(name_, ": ", args...));
  }
  // An error of the library tells the whole path; here the name stands before it.
  void add(const Error& error, const std::string& path) {
    const std::string_view text = error.what();
    const std::string prefix = path + ": ";
    add(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
  }

 private:
  std::string name_;
  std::vector<std::string>& out_;
  std::size_t count_ = 0;
};

void check_sum(const std::string& path, const Manifest::Shard& expected, Problems& problems) {
  const MappedFile file(path);
  if (file.bytes().size() != expected.file_bytes) {
    problems.add("has ", file.bytes().size(), " bytes, the manifest says ", expected.file_bytes);
  }
  constexpr std::size_t piece = std::size_t{16} << 20;
  Digest digest;
  for (auto rest = file.bytes(); !rest.empty() && stop_signal() == 0;
       rest = rest.subspan(std::min(piece, rest.size()))) {
    digest.update(rest.first(std::min(piece, rest.size())));
  }
  if (stop_signal() == 0 && digest.hex() != expected.xxh3) {
    problems.add("XXH3-128 is ", digest.hex(), ", the manifest says ", expected.xxh3);
  }
}

void check_blocks(const ShardFile& file, VerifyResult& result, Problems& problems) {
  Block block;
  for (std::size_t index = 0; index < file.blocks().size() && stop_signal() == 0; ++index) {
    try {
      file.read_block(index, block);
    } catch (const Error& error) {
      problems.add(error, file.path());
      continue;
    }
    for (std::size_t i = 0; i < block.documents.size(); ++i) {
      if (const auto problem = block.tiling_problem(i); !problem.empty()) {
        problems.add("document \"", block.documents[i].id, "\": ", problem);
      }
    }
    result.documents += block.documents.size();
    result.bytes += block.text_bytes();
    result.patches += block.patch_lengths.size();
  }
}

void check_content(const std::string& path, const Manifest::Shard* expected,
                   std::optional<bool> entropies, VerifyResult& result, Problems& problems) {
  const ShardFile file(path);
  const auto compare = [&](const char* what, std::uint64_t found, std::uint64_t claimed) {
    if (found != claimed) problems.add("has ", found, " ", what, ", the manifest says ", claimed);
  };
  if (expected) {
    compare("documents", file.documents(), expected->documents);
    compare("bytes of text", file.text_bytes(), expected->bytes);
    compare("patches", file.patches(), expected->patches);
  }
  if (entropies && file.has_entropies() != *entropies) {
    problems.add(file.has_entropies() ? "has" : "has no",
                 " entropies, the manifest says otherwise");
  }
  check_blocks(file, result, problems);
}

void verify_shard(const std::string& path, const Manifest::Shard* expected,
                  std::optional<bool> entropies, VerifyResult& result) {
  Problems problems(fs::path(path).filename().string(), result.problems);
  try {
    if (expected) check_sum(path, *expected, problems);
    check_content(path, expected, entropies, result, problems);
  } catch (const Error& error) {
    problems.add(error, path);
  }
}

// Shards that the manifest does not know: left from another run, or a damaged manifest.
void check_strangers(const std::string& folder, const Manifest& manifest, VerifyResult& result) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    const bool listed =
        std::any_of(manifest.shards.begin(), manifest.shards.end(),
                    [&](const Manifest::Shard& shard) { return shard.file == name; });
    if (name.ends_with(".bltz") && !listed) names.push_back(std::move(name));
  }
  if (error) throw input_error(errno_message(folder, error.value()));
  std::sort(names.begin(), names.end());
  for (const auto& name : names) result.problems.push_back(cat(name, ": not in the manifest"));
}

}  // namespace

VerifyResult verify(const std::string& path) {
  VerifyResult result;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) throw input_error(errno_message(path, error.value()));
  if (!fs::is_directory(status)) {
    verify_shard(path, nullptr, std::nullopt, result);
    return result;
  }
  std::optional<Manifest> manifest;
  try {
    manifest = read_manifest(path);
  } catch (const Error& damage) {
    Problems("manifest.json", result.problems)
        .add(damage, (fs::path(path) / "manifest.json").string());
    return result;
  }
  for (const auto& shard : manifest->shards) {
    verify_shard((fs::path(path) / shard.file).string(), &shard, manifest->has_entropies, result);
  }
  check_strangers(path, *manifest, result);
  return result;
}

}  // namespace blt::shard
