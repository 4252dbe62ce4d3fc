# SPDX-License-Identifier: MIT
# The project's own target helpers: warnings, sanitizers, modules, the Torch job pool.

add_library(blt_warnings INTERFACE)
target_compile_options(blt_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wnon-virtual-dtor;-Woverloaded-virtual>
  # g++ 12 warns falsely about operator+ of a literal and a string (GCC bug 105651).
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
  $<$<AND:$<BOOL:${BLT_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)

add_library(blt_sanitizers INTERFACE)
if(BLT_SANITIZE)
  target_compile_options(blt_sanitizers INTERFACE -fsanitize=${BLT_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(blt_sanitizers INTERFACE -fsanitize=${BLT_SANITIZE})
endif()

# Torch's headers cost 1 GB and many seconds a file: at most two such files compile at once.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS torch=2)

# blt_module(<name> SOURCES ... [USES <modules>...] [LINKS <targets>...])
# One module of the table in docs/architecture.md: an object library that sees only the modules it may use.
function(blt_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(blt_${name} OBJECT ${arg_SOURCES})
  target_include_directories(blt_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(blt_${name} PRIVATE blt_warnings blt_sanitizers PUBLIC ${arg_LINKS})
  foreach(module IN LISTS arg_USES)
    target_link_libraries(blt_${name} PUBLIC blt_${module}_interface)
  endforeach()
  # What users of the module inherit: its include paths and links, not its objects.
  add_library(blt_${name}_interface INTERFACE)
  target_include_directories(blt_${name}_interface INTERFACE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(blt_${name}_interface INTERFACE ${arg_LINKS})
  foreach(module IN LISTS arg_USES)
    target_link_libraries(blt_${name}_interface INTERFACE blt_${module}_interface)
  endforeach()
endfunction()

# Files that see Torch: its job pool, its include folders as system headers, per-operator headers only.
function(blt_torch_module name)
  set_target_properties(blt_${name} PROPERTIES JOB_POOL_COMPILE torch)
  target_compile_definitions(blt_${name} PRIVATE AT_PER_OPERATOR_HEADERS)
endfunction()
