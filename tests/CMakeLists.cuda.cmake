# SPDX-License-Identifier: MIT
if(BLT_TORCH)
  # The CUDA kernels' source on the CPU: no Torch, no nvcc.
  blt_test(cuda_emulation_test SOURCES unit/cuda_emulation_test.cpp LIBS blt_nn_shared TIMEOUT 300)
  target_include_directories(cuda_emulation_test PRIVATE ${PROJECT_SOURCE_DIR}/lib/kernels)
  set_target_properties(cuda_emulation_test PROPERTIES
    BUILD_RPATH "${LibTorch_LIB_DIR};${LibTorch_RUNTIME_DIRS}")

  blt_nn_test(device_test unit/device_test.cpp)
endif()
if(BLT_TORCH AND BLT_CUDA)
  # Passes with a warning where there is no GPU.
  blt_nn_test(functional_gpu gpu/functional_gpu.cpp)
  target_include_directories(functional_gpu PRIVATE ${PROJECT_SOURCE_DIR}/lib/nn)
  add_dependencies(functional_gpu blt_cuda_shared)
  set_tests_properties(functional_gpu PROPERTIES LABELS gpu)
endif()
