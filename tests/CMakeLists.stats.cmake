# SPDX-License-Identifier: MIT
blt_test(stats_test
  SOURCES unit/lengths_test.cpp unit/svg_test.cpp unit/score_test.cpp unit/specs_test.cpp
  LIBS blt_core_shared)
target_include_directories(stats_test PRIVATE ${PROJECT_SOURCE_DIR}/lib/stats)
