# SPDX-License-Identifier: MIT
# The fuzz targets of these modules are in CMakeLists.fuzz.cmake.
find_package(rapidcheck REQUIRED)
blt_test(io_test SOURCES unit/io_test.cpp LIBS blt_core_shared ZLIB::ZLIB PkgConfig::zstd)
blt_test(pieces_test SOURCES unit/pieces_test.cpp LIBS blt_core_shared)
blt_test(safetensors_test SOURCES unit/safetensors_test.cpp LIBS blt_core_shared)
blt_test(torch_file_test SOURCES unit/torch_file_test.cpp LIBS blt_core_shared)
blt_test(shard_test SOURCES unit/shard_test.cpp unit/shard_format_test.cpp
  LIBS blt_core_shared PkgConfig::zstd PkgConfig::xxhash)
# The example of docs/format.md, as it stands there.
file(READ ${PROJECT_SOURCE_DIR}/docs/format.md format)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/format.md)
string(REGEX REPLACE ".*\n```cpp\n(.*)\n```\n.*" "\\1" example "${format}")
file(CONFIGURE OUTPUT shard_example.cpp CONTENT "${example}\n" @ONLY)
add_executable(shard_example ${CMAKE_CURRENT_BINARY_DIR}/shard_example.cpp)
target_link_libraries(shard_example PRIVATE blt_core_shared blt_warnings blt_sanitizers)
set_target_properties(shard_example PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
blt_test(shard_property_test SOURCES property/shard_property_test.cpp LIBS blt_core_shared rapidcheck)
blt_test(shard_damage_test SOURCES fault/shard_damage_test.cpp LIBS blt_core_shared)
