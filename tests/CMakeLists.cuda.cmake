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
  # They pass with a warning where there is no GPU.
  foreach(name functional_gpu engine_gpu)
    blt_nn_test(${name} gpu/${name}.cpp)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib/nn)
    add_dependencies(${name} blt_cuda_shared)
    set_tests_properties(${name} PROPERTIES LABELS gpu)
  endforeach()
endif()
