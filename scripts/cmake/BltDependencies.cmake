# SPDX-License-Identifier: MIT
# Everything found outside the project. Debian's packages carry CMake files for most of it.

find_package(Threads REQUIRED)
find_package(CLI11 REQUIRED)
find_package(TBB REQUIRED)
find_package(ZLIB REQUIRED)
find_package(simdjson REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
find_path(FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h REQUIRED)  # headers alone
add_library(flatbuffers_headers INTERFACE IMPORTED)
target_include_directories(flatbuffers_headers INTERFACE ${FLATBUFFERS_INCLUDE_DIR})
find_package(tomlplusplus QUIET)
if(NOT TARGET tomlplusplus::tomlplusplus)
  add_library(tomlplusplus::tomlplusplus INTERFACE IMPORTED)
endif()

if(BLT_TORCH)
  find_package(LibTorch REQUIRED)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
