// SPDX-License-Identifier: MIT
#include "run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "blt/base/error.h"
#include "blt/base/files.h"

namespace blt::train {
namespace fs = std::filesystem;
namespace {

void link_over(const std::string& target, const std::string& path) {
  const std::string temporary = path + ".tmp";
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (!error) fs::rename(temporary, path, error);
  if (error) throw output_error(cat(path, ": ", error.message()));
}

}  // namespace

RunFolder::RunFolder(std::string path, bool force, bool resume) : path_(std::move(path)) {
  if (resume) {
    if (!latest()) throw input_error(cat(path_, ": no checkpoint to resume from"));
    return;
  }
  check_output_path(path_, force);
  // Only a folder that looks like a run of ours is emptied; anything else is refused by name.
  if (fs::exists(path_)) {
    if (!fs::is_directory(path_) || (!fs::is_empty(path_) && !fs::exists(path_ + "/metrics.jsonl"))) {
      throw output_error(cat(path_, ": exists and is not a training run; it is not replaced"));
    }
    fs::remove_all(path_);
  }
  std::error_code error;
  if (!fs::create_directory(path_, error)) throw output_error(cat(path_, ": ", error.message()));
  write_file(path_ + "/metrics.jsonl", "");
}

std::optional<std::string> RunFolder::latest() const {
  const std::string path = path_ + "/latest";
  if (!fs::exists(path + "/trainer.json")) return std::nullopt;
  return path;
}

void RunFolder::save(std::int64_t step, const std::function<void(const std::string&)>& write) {
  const std::string name = cat("checkpoint-", step);
  {
    StagedFolder folder(path_ + "/" + name, true);
    write(folder.path());
    folder.commit();
  }
  link_over(name, path_ + "/latest");
  for (const char* file : {"config.json", "model.safetensors", "heads.safetensors"}) {
    if (fs::exists(path_ + "/latest/" + file)) link_over(cat("latest/", file), path_ + "/" + file);
  }
  std::vector<std::pair<std::int64_t, fs::path>> all;
  for (const auto& entry : fs::directory_iterator(path_)) {
    const std::string file = entry.path().filename().string();
    if (file.rfind("checkpoint-", 0) == 0 && file.find('.') == std::string::npos) {
      all.emplace_back(std::stoll(file.substr(11)), entry.path());
    }
  }
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i + 2 < all.size(); ++i) fs::remove_all(all[i].second);
}

void RunFolder::add_metrics(const Json& line) {
  const std::string path = path_ + "/metrics.jsonl";
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (!file) throw output_error(errno_message(path, errno));
  const std::string text = dump_json(line) + "\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) throw output_error(errno_message(path, errno));
}

void RunFolder::trim_metrics(std::int64_t step) {
  const std::string path = path_ + "/metrics.jsonl";
  if (!fs::exists(path)) return;
  std::istringstream lines(read_file(path));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object() && json.value("step", std::int64_t{0}) <= step) kept += line + "\n";
  }
  write_file(path, kept);
}

}  // namespace blt::train
