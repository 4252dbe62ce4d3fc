// SPDX-License-Identifier: MIT
// Opens libblt_nn on first use, so that programs start without Torch.
#include <dlfcn.h>

#include <filesystem>

#include "blt/base/error.h"
#include "blt/patch/entropy_source.h"

namespace blt {
namespace {

constexpr const char* library_name = "libblt_nn.so";
constexpr const char* entry_point = "blt_neural_networks";

// Build trees and installations both keep programs in X/bin (or X/tests) and libraries in X/lib; a
// multi-architecture folder (X/lib/TRIPLE) is found by the run path.
std::string beside_the_program() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const auto path = program.parent_path().parent_path() / "lib" / library_name;
  return std::filesystem::exists(path, error) ? path.string() : std::string();
}

void* open_library() {
  const std::string beside = beside_the_program();
  void* library = ::dlopen(beside.empty() ? library_name : beside.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library) return library;
  const char* reason = ::dlerror();
  throw resource_error(
      cat("models cannot be used: ", reason ? reason : library_name),
      beside.empty()
          ? "the toolkit was built without Torch; scripts/setup installs it, -DBLT_TORCH=ON uses it"
          : "a library that it needs was moved or is missing; scripts/setup installs them");
}

NeuralNetworks* load() {
  void* library = open_library();
  using Entry = NeuralNetworks* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(library, entry_point));
  if (!entry)
    throw resource_error(cat(library_name, " has no ", entry_point),
                         "program and library are of different versions");
  return entry();
}

}  // namespace

NeuralNetworks& neural_networks() {
  static NeuralNetworks* networks = load();
  if (!networks) throw internal_error(cat(library_name, " gave no networks"));
  return *networks;
}

}  // namespace blt
