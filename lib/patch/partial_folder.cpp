// SPDX-License-Identifier: MIT
#include "partial_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>
#include <system_error>

#include "blt/base/error.h"
#include "blt/base/files.h"

namespace blt::patch {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view shard_prefix = "shard-", part_prefix = "part-";

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

bool ours(const std::string& name) {
  return name == "shards" || name.starts_with("plan.json") || name.starts_with("manifest.json") ||
         name.starts_with(part_prefix);
}

// Of shard-00012-001.bltz.tmp-7: 12. Only of half-written files.
std::optional<std::size_t> part_of_rest(const std::string& name) {
  if (!name.starts_with(shard_prefix) || name.find(".tmp-") == std::string::npos)
    return std::nullopt;
  std::size_t part = 0;
  const char* begin = name.data() + shard_prefix.size();
  if (std::from_chars(begin, name.data() + name.size(), part).ec != std::errc())
    return std::nullopt;
  return part;
}

}  // namespace

PartialFolder::PartialFolder(const std::string& output) : path_(output) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  path_ += ".partial";
}

PartialFolder::~PartialFolder() {
  if (lock_ >= 0) ::close(lock_);
}

void PartialFolder::open(bool alone, bool anew) {
  std::error_code error;
  fs::create_directory(path_, error);
  if (error) throw output_error(errno_message(path_, error.value()));
  for (const auto& name : names_in(path_)) {
    if (!ours(name))
      throw output_error(cat(path_, ": holds ", name, ", which no run of blt-patch left there"),
                         "move it away, or choose another output");
  }
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) throw output_error(errno_message(path_, errno));
  if (::flock(lock_, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw output_error(cat(path_, ": another process is at work there"));
  if (anew) {
    for (const auto& name : names_in(path_)) fs::remove_all(fs::path(path_) / name, error);
  }
  fs::create_directory(shards(), error);
  if (error) throw output_error(errno_message(shards(), error.value()));
}

std::optional<Json> PartialFolder::plan() const {
  const std::string path = path_ + "/plan.json";
  if (!fs::exists(path)) return std::nullopt;
  return read_json_file(path);
}

bool PartialFolder::publish(const Json& plan) const {
  return write_file_once(path_ + "/plan.json", dump_json(plan) + "\n");
}

std::string PartialFolder::record_path(std::size_t part) const {
  char name[32];
  std::snprintf(name, sizeof name, "/part-%05zu.json", part);
  return path_ + name;
}

std::optional<PartRecord> PartialFolder::record(std::size_t part) const {
  const std::string path = record_path(part);
  if (!fs::exists(path)) return std::nullopt;
  try {
    const Json json = read_json_file(path);
    PartRecord record;
    record.skipped = json.at("skipped").get<std::uint64_t>();
    record.skipped_records = json.at("skipped_records").get<std::vector<std::string>>();
    record.left_out = json.at("left_out").get<std::uint64_t>();
    for (const auto& shard : json.at("shards")) {
      record.shards.push_back(shard::shard_from_json(shard));
      if (fs::file_size(shards() + "/" + record.shards.back().file) !=
          record.shards.back().file_bytes)
        return std::nullopt;
    }
    return record;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void PartialFolder::write_record(std::size_t part, const PartRecord& record) const {
  Json shards = Json::array();
  for (const auto& shard : record.shards) shards.push_back(shard::to_json(shard));
  const Json json = {{"skipped", record.skipped},
                     {"skipped_records", record.skipped_records},
                     {"left_out", record.left_out},
                     {"shards", std::move(shards)}};
  write_file(record_path(part), dump_json(json) + "\n");
}

void PartialFolder::clean(const std::function<bool(std::size_t)>& mine) const {
  std::error_code error;
  for (const auto& name : names_in(shards())) {
    if (const auto part = part_of_rest(name); part && mine(*part))
      fs::remove(fs::path(shards()) / name, error);
  }
}

void PartialFolder::finish(const shard::Manifest& manifest, const std::string& output,
                           bool replace) {
  std::set<std::string> listed;
  for (const auto& shard : manifest.shards) listed.insert(shard.file);
  std::error_code error;
  for (const auto& name : names_in(shards())) {
    if (!listed.count(name) && name != "manifest.json")
      fs::remove(fs::path(shards()) / name, error);
  }
  // Written outside: shards/ may be renamed by another process at any moment, and must hold no
  // temporary file then.
  shard::write_manifest(path_, manifest);
  fs::rename(path_ + "/manifest.json", shards() + "/manifest.json", error);
  if (error) throw output_error(errno_message(shards(), error.value()));
  move_folder(shards(), output, replace);
  remove();
}

void PartialFolder::remove() {
  std::error_code error;
  for (const auto& name : names_in(path_)) {
    if (ours(name)) fs::remove_all(fs::path(path_) / name, error);
  }
  fs::remove(path_, error);  // only when it is empty
}

void PartialFolder::remove_rest() {
  if (!fs::exists(shards())) remove();
}

}  // namespace blt::patch
