# SPDX-License-Identifier: MIT
# Imported targets for the torch wheel's shared libraries. Torch's own TorchConfig.cmake fails without a
# CUDA toolkit, and with one under CMake 3.25.1 and C++20.
#   LibTorch::c10, LibTorch::cpu, and where present LibTorch::cuda
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h HINTS ${BLT_TORCH_DIR}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu HINTS ${BLT_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 HINTS ${BLT_TORCH_DIR}/lib NO_DEFAULT_PATH)
set(LibTorch_VERSION "")
if(LibTorch_INCLUDE_DIR AND EXISTS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h)
  file(READ ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h version_header)
  foreach(part MAJOR MINOR PATCH)
    string(REGEX MATCH "TORCH_VERSION_${part} ([0-9]+)" ignored "${version_header}")
    list(APPEND version_parts ${CMAKE_MATCH_1})
  endforeach()
  list(JOIN version_parts "." LibTorch_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/setup, or set BLT_TORCH_DIR to the torch 2.11 wheel's folder, or use -DBLT_TORCH=OFF")
if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  if(LibTorch_VERSION AND NOT LibTorch_VERSION MATCHES "^2\\.11\\.")
    message(FATAL_ERROR "LibTorch ${LibTorch_VERSION} found in ${BLT_TORCH_DIR}; this toolkit needs 2.11")
  endif()
  # libtorch_cpu of the wheel needs the CUDA runtime and CUPTI at load time: a toolkit's, else the small wheels'.
  file(GLOB LibTorch_RUNTIME_DIRS LIST_DIRECTORIES true
    ${PROJECT_SOURCE_DIR}/.deps/cuda-runtime/nvidia/*/lib ${PROJECT_SOURCE_DIR}/.deps/cuda-runtime/nvidia/*/*/lib)
  foreach(dir /usr/local/cuda/lib64 /usr/local/cuda/lib /usr/local/cuda/extras/CUPTI/lib64)
    if(EXISTS ${dir})
      list(APPEND LibTorch_RUNTIME_DIRS ${dir})
    endif()
  endforeach()
  set(LibTorch_LIB_DIR ${BLT_TORCH_DIR}/lib)
  foreach(lib c10 cpu)
    string(TOUPPER ${lib} upper)
    add_library(LibTorch::${lib} SHARED IMPORTED)
    set_target_properties(LibTorch::${lib} PROPERTIES
      IMPORTED_LOCATION ${LibTorch_${upper}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  endforeach()
  set_property(TARGET LibTorch::cpu APPEND PROPERTY INTERFACE_LINK_LIBRARIES LibTorch::c10)
  target_link_options(LibTorch::cpu INTERFACE LINKER:--allow-shlib-undefined)
endif()
