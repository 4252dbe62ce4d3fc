// SPDX-License-Identifier: MIT
#include "blt/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

#include "blt/base/error.h"

namespace blt {
namespace fs = std::filesystem;
namespace {

Error output_failure(const std::string& path, int error) {
  std::string hint;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) hint = "free some space or choose another output";
  return output_error(errno_message(path, error), hint);
}

void write_all(int fd, const std::string& path, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw output_failure(path, errno);
    }
    data = data.subspan(static_cast<std::size_t>(written));
  }
}

// A rename is durable only when its folder is synced too.
void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

std::string parent_of(const std::string& path) {
  const auto parent = fs::path(path).parent_path();
  return parent.empty() ? std::string(".") : parent.string();
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// Process ids alone are not unique where several machines write to one folder.
std::string temporary_name(const std::string& path) {
  static const std::uint64_t unique = [] {
    std::random_device random;
    return (std::uint64_t{random()} << 32 | random()) ^ static_cast<std::uint64_t>(::getpid());
  }();
  return cat(path, ".tmp-", unique);
}

}  // namespace

std::string errno_message(const std::string& path, int error) {
  return cat(path, ": ", std::generic_category().message(error));
}

AtomicFile::AtomicFile(std::string path, bool force)
    : path_(std::move(path)), temporary_(temporary_name(path_)) {
  check_output_path(path_, force);
  fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) throw output_failure(path_, errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> data) {
  write_all(fd_, path_, data);
  size_ += data.size();
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw output_failure(path_, errno);
    }
    offset += static_cast<std::uint64_t>(written);
    data = data.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) throw output_failure(path_, errno);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    throw output_failure(path_, error);
  }
  sync_folder(parent_of(path_));
}

StagedFolder::StagedFolder(std::string path, bool force)
    : path_(without_trailing_slash(std::move(path))), temporary_(temporary_name(path_)) {
  check_output_path(path_, force);
  std::error_code error;
  fs::remove_all(temporary_, error);
  if (!fs::create_directory(temporary_, error)) throw output_failure(path_, error.value());
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void StagedFolder::commit() {
  move_folder(temporary_, path_, fs::exists(path_));
  committed_ = true;
}

void move_folder(const std::string& from, const std::string& raw_to, bool replace) {
  const std::string to = without_trailing_slash(raw_to);
  sync_folder(from);
  // An old folder moves aside first: at no moment is there neither the old nor the new one under some name.
  const std::string old = cat(to, ".old-", ::getpid());
  if (replace && ::rename(to.c_str(), old.c_str()) != 0) throw output_failure(to, errno);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int error = errno;
    if (replace) ::rename(old.c_str(), to.c_str());
    throw output_failure(to, error);
  }
  sync_folder(parent_of(to));
  std::error_code ignored;
  if (replace) fs::remove_all(old, ignored);
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw input_error(errno_message(path, errno));
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw input_error(cat(path, ": not a regular file"));
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ > 0) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    if (data == MAP_FAILED) throw input_error(errno_message(path, error));
    data_ = static_cast<const std::byte*>(data);
  } else {
    ::close(fd);
  }
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> bytes) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t begin = (address + page - 1) / page * page, end = (address + bytes.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw input_error(errno_message(path, errno));
  std::string text;
  std::size_t used = 0;
  for (;;) {
    text.resize(used + (std::size_t{1} << 16));
    const ssize_t count = ::read(fd, text.data() + used, text.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      ::close(fd);
      throw input_error(errno_message(path, error));
    }
    used += static_cast<std::size_t>(count);
    if (count == 0) break;
  }
  ::close(fd);
  text.resize(used);
  return text;
}

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

bool write_file_once(const std::string& path, std::string_view text) {
  const std::string whole = temporary_name(path) + "-whole";
  write_file(whole, text);
  int error = ::link(whole.c_str(), path.c_str()) == 0 ? 0 : errno;
  // File systems without links: two at once may both be told that they were the first.
  if ((error == EPERM || error == EOPNOTSUPP || error == ENOSYS) && !fs::exists(path))
    error = ::rename(whole.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(whole.c_str());
  if (error && error != EEXIST) throw output_failure(path, error);
  if (error == 0) sync_folder(parent_of(path));
  return error == 0;
}

void check_output_path(const std::string& raw_path, bool force) {
  if (raw_path.empty()) throw usage_error("the output path is empty");
  const std::string path = without_trailing_slash(raw_path);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !force) {
    throw output_error(cat(path, ": already exists"), "--force replaces it");
  }
  const std::string parent = parent_of(path);
  if (::stat(parent.c_str(), &status) != 0) throw output_error(errno_message(parent, errno));
  if (!S_ISDIR(status.st_mode)) throw output_error(errno_message(parent, ENOTDIR));
  if (::access(parent.c_str(), W_OK) != 0) throw output_error(errno_message(parent, errno));
}

}  // namespace blt
