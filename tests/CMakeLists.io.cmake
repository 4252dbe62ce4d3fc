# SPDX-License-Identifier: MIT
# The fuzz targets of these modules are in CMakeLists.fuzz.cmake.
find_package(rapidcheck REQUIRED)
blt_test(io_test SOURCES unit/io_test.cpp LIBS blt_core_shared ZLIB::ZLIB PkgConfig::zstd)
blt_test(safetensors_test SOURCES unit/safetensors_test.cpp LIBS blt_core_shared)
blt_test(torch_file_test SOURCES unit/torch_file_test.cpp LIBS blt_core_shared)
blt_test(shard_test SOURCES unit/shard_test.cpp unit/shard_format_test.cpp
  LIBS blt_core_shared PkgConfig::zstd PkgConfig::xxhash)
blt_test(shard_property_test SOURCES property/shard_property_test.cpp LIBS blt_core_shared rapidcheck)
blt_test(shard_damage_test SOURCES fault/shard_damage_test.cpp LIBS blt_core_shared)
