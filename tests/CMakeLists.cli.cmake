# SPDX-License-Identifier: MIT
# The programs from outside: one ctest entry a case of tests/cli/cases (tests/cli/run tells what a case is), and
# checks of the source tree itself.
find_program(BLT_BASH bash REQUIRED)

function(blt_script_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}" SKIP_RETURN_CODE 77
    ENVIRONMENT "BLT_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(arg_TIMEOUT)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  endif()
endfunction()

# Cases are data, not sources: a new one is picked up without an edit here. A folder belongs to one program
# and its cases run only where that program is built.
foreach(program patch train generate stats)
  if(NOT TARGET blt-${program})
    continue()
  endif()
  file(GLOB cases CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases
    ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases/${program}/*.sh)
  if(BLT_TORCH)
    file(GLOB torch_cases CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases
      ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases/${program}-torch/*.sh)
    list(APPEND cases ${torch_cases})
  endif()
  foreach(case IN LISTS cases)
    string(REGEX REPLACE "\\.sh$" "" case_name ${case})
    blt_script_test(cli/${case_name} LABELS cli TIMEOUT 120
      COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/cli/run ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases/${case})
  endforeach()
  blt_script_test(documents/blt-${program} LABELS cli
    COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/cli/documents blt-${program})
endforeach()

blt_script_test(fault/kill_resume LABELS fault TIMEOUT 300
  COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/fault/kill_resume)

blt_script_test(structure/includes LABELS structure
  COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/structure/includes ${PROJECT_SOURCE_DIR})
blt_script_test(structure/includes_self_test LABELS structure
  COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/structure/includes_self_test)

# Each public header compiles alone, and twice in one file.
file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include
  ${PROJECT_SOURCE_DIR}/include/blt/base/*.h ${PROJECT_SOURCE_DIR}/include/blt/config/*.h
  ${PROJECT_SOURCE_DIR}/include/blt/text/*.h ${PROJECT_SOURCE_DIR}/include/blt/io/*.h
  ${PROJECT_SOURCE_DIR}/include/blt/shard/*.h ${PROJECT_SOURCE_DIR}/include/blt/patch/*.h
  ${PROJECT_SOURCE_DIR}/include/blt/stats/*.h)
set(header_sources)
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER ${header} identifier)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${identifier}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"@header@\"\n#include \"@header@\"\n" @ONLY)
  list(APPEND header_sources ${source})
endforeach()
add_library(blt_header_test OBJECT ${header_sources})
target_compile_options(blt_header_test PRIVATE -O0)
target_link_libraries(blt_header_test PRIVATE blt_core_shared blt_warnings)

# The installed package, as another project uses it.
set(consumer_flags "")
if(BLT_SANITIZE)
  set(consumer_flags "-fsanitize=${BLT_SANITIZE}")
endif()
blt_script_test(install/consumer LABELS install TIMEOUT 300
  COMMAND ${BLT_BASH} ${CMAKE_CURRENT_SOURCE_DIR}/install/check ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND}
    ${CMAKE_CXX_COMPILER} "${consumer_flags}")
