# SPDX-License-Identifier: MIT
blt_test(rules_test SOURCES unit/rules_test.cpp LIBS blt_core_shared)
blt_test(segmenter_test SOURCES unit/segmenter_test.cpp LIBS blt_core_shared)
blt_test(json_lines_test SOURCES unit/json_lines_test.cpp LIBS blt_core_shared)
blt_test(pipeline_test SOURCES unit/pipeline_test.cpp LIBS blt_core_shared)
blt_test(resume_test SOURCES unit/resume_test.cpp LIBS blt_core_shared)
blt_test(intervals_test SOURCES unit/intervals_test.cpp LIBS blt_core_shared)
blt_test(recut_test SOURCES unit/recut_test.cpp LIBS blt_core_shared)
blt_test(meta_patch_test SOURCES parity/meta_patch_test.cpp LIBS blt_core_shared PkgConfig::zstd)

find_package(rapidcheck REQUIRED)
blt_test(rules_property_test SOURCES property/rules_property_test.cpp LIBS blt_core_shared rapidcheck)
