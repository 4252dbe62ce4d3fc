# SPDX-License-Identifier: MIT
blt_test(text_test SOURCES unit/utf8_test.cpp unit/bpe_test.cpp LIBS blt_core_shared)
