# SPDX-License-Identifier: MIT
if(BLT_TORCH)
  # blt_nn_test(<name> <sources>...): a test that sees Torch.
  function(blt_nn_test name)
    blt_test(${name} SOURCES ${ARGN} LIBS blt_nn_shared TIMEOUT 900)
    set_target_properties(${name} PROPERTIES JOB_POOL_COMPILE torch
      BUILD_RPATH "${LibTorch_LIB_DIR};${LibTorch_RUNTIME_DIRS}")
  endfunction()
  blt_nn_test(functional_test unit/functional_test.cpp)
  blt_test(decoding_kernels_test SOURCES unit/decoding_kernels_test.cpp LIBS blt_nn_shared TIMEOUT 300)
  blt_test(layer_kernels_test SOURCES unit/layer_kernels_test.cpp LIBS blt_nn_shared TIMEOUT 300)
  set_target_properties(decoding_kernels_test layer_kernels_test PROPERTIES BUILD_RPATH "${LibTorch_LIB_DIR};${LibTorch_RUNTIME_DIRS}")
  blt_nn_test(hf_parity_test parity/hf_test.cpp)
  blt_nn_test(meta_parity_test parity/meta_test.cpp)
  blt_nn_test(stored_test unit/stored_test.cpp)
  blt_nn_test(model_test unit/model_test.cpp)
  blt_nn_test(heads_test unit/heads_test.cpp)
  blt_nn_test(train_test unit/train_test.cpp)
  blt_nn_test(sampler_test unit/sampler_test.cpp)
  blt_nn_test(generate_test unit/generate_test.cpp)
  blt_nn_test(engine_test unit/engine_test.cpp)
  target_include_directories(engine_test PRIVATE ${PROJECT_SOURCE_DIR}/lib/nn)
  blt_nn_test(speculation_test unit/speculation_test.cpp)
  blt_nn_test(likelihood_test unit/likelihood_test.cpp)
  blt_nn_test(hf_greedy_test parity/hf_greedy_test.cpp)
  if(BLT_BENCH)
    add_test(NAME bench/generate COMMAND bench_generate ${CMAKE_CURRENT_SOURCE_DIR}/data/models/hf
      --prompt-file ${PROJECT_SOURCE_DIR}/README.md --prompts 8,40 -n 4 --rounds 1 --dtype float32 --dtype bfloat16)
    add_test(NAME bench/patcher COMMAND bench_patcher ${CMAKE_CURRENT_SOURCE_DIR}/data/models/hf
      --corpus ${PROJECT_SOURCE_DIR}/README.md --rounds 1 --dtype float32 --dtype bfloat16 --dtype int8)
  endif()
endif()

# Constraints need no Torch: their sources are part of the test, so that every preset's sanitizers see them.
set(constraint_sources)
foreach(source automaton characters constraint grammar json_grammar json_schema regex)
  list(APPEND constraint_sources ${PROJECT_SOURCE_DIR}/lib/generate/${source}.cpp)
endforeach()
blt_test(constraint_test SOURCES unit/constraint_test.cpp unit/json_constraint_test.cpp ${constraint_sources} LIBS blt_core_shared)
