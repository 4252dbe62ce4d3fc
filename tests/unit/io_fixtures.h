// SPDX-License-Identifier: MIT
// Files for tests of io and shard.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "blt/base/error.h"

namespace blt::test {

struct TemporaryFolder {
  std::filesystem::path path;

  TemporaryFolder() {
    static int count = 0;
    path = std::filesystem::temp_directory_path() / cat("blt-test-", ::getpid(), "-", count++);
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(std::string_view name) const { return (path / name).string(); }
  // Writes a file and returns its path.
  std::string file(std::string_view name, std::string_view content) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << content;
    return *this / name;
  }
};

inline std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Caught {
  ErrorKind kind;
  std::string message;
};

// The blt::Error that f ends with, or nothing. Its message is one line.
inline std::optional<Caught> error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    return Caught{error.kind(), error.what()};
  }
  return std::nullopt;
}

// f ends with an input error of this very message.
inline void check_input_error(const std::function<void()>& f, const std::string& message) {
  const auto caught = error_of(f);
  REQUIRE(caught);
  CHECK(caught->kind == ErrorKind::input);
  CHECK(caught->message == message);
}

// f ends with an input error whose message holds this.
inline void check_input_error_with(const std::function<void()>& f, const std::string& part) {
  const auto caught = error_of(f);
  REQUIRE(caught);
  CHECK(caught->kind == ErrorKind::input);
  CHECK_THAT(caught->message, Catch::Contains(part));
}

}  // namespace blt::test
