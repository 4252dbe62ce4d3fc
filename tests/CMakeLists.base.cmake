# SPDX-License-Identifier: MIT
blt_test(base_test SOURCES unit/base_test.cpp LIBS blt_core_shared)
blt_test(config_test SOURCES unit/config_test.cpp LIBS blt_core_shared)
