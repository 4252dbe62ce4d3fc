// SPDX-License-Identifier: MIT
// The files that a list of paths means.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/io/source.h"

namespace blt::io {
namespace fs = std::filesystem;
namespace {

struct stat status_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw input_error(errno_message(path, errno));
  return status;
}

// Device and inode of the folders above, against links that lead back to one of them.
using Ancestors = std::vector<std::pair<dev_t, ino_t>>;

std::vector<std::string> names_of(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  if (error) throw input_error(errno_message(folder, error.value()));
  std::sort(names.begin(), names.end());  // std::string compares bytes as unsigned
  return names;
}

void walk(const std::string& folder, const struct stat& status, Ancestors& ancestors,
          std::vector<std::string>& files) {
  const std::pair key{status.st_dev, status.st_ino};
  if (std::find(ancestors.begin(), ancestors.end(), key) != ancestors.end()) {
    throw input_error(cat(folder, ": a link leads back to a folder above it"));
  }
  ancestors.push_back(key);
  for (const auto& name : names_of(folder)) {
    const std::string path = folder.ends_with('/') ? folder + name : cat(folder, "/", name);
    const struct stat inner = status_of(path);
    if (S_ISDIR(inner.st_mode)) {
      walk(path, inner, ancestors, files);
    } else if (S_ISREG(inner.st_mode)) {  // sockets, pipes and devices hold no corpus
      files.push_back(path);
    }
  }
  ancestors.pop_back();
}

}  // namespace

std::vector<std::string> expand_inputs(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    if (path == "-") {
      files.push_back(path);
      continue;
    }
    const struct stat status = status_of(path);
    if (!S_ISDIR(status.st_mode)) {
      files.push_back(path);
      continue;
    }
    const std::size_t before = files.size();
    Ancestors ancestors;
    walk(path, status, ancestors, files);
    if (files.size() == before) throw input_error(cat(path, ": no files in this folder"));
  }
  return files;
}

std::uint64_t source_size(const std::string& path) {
  if (path == "-") return 0;
  const struct stat status = status_of(path);
  return S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace blt::io
