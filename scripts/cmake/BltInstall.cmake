# SPDX-License-Identifier: MIT
# Programs, libraries, public headers, man pages, completions, and the CMake package "blt" (target blt::core).
include(CMakePackageConfigHelpers)
set(blt_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/blt)

install(TARGETS blt_core_shared EXPORT bltTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(BLT_TORCH)
  # Torch stays where it was found: the programs open this library only for what needs a model.
  set_target_properties(blt_nn_shared PROPERTIES
    INSTALL_RPATH "$ORIGIN;${LibTorch_LIB_DIR};${LibTorch_RUNTIME_DIRS}")
  install(TARGETS blt_nn_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
foreach(program patch train generate stats)
  install(TARGETS blt-${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES ${PROJECT_SOURCE_DIR}/completions/blt-${program}.bash RENAME blt-${program}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
install(DIRECTORY include/blt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(DIRECTORY completions/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
  FILES_MATCHING PATTERN "_blt-*")
install(DIRECTORY completions/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
  FILES_MATCHING PATTERN "*.fish")

install(EXPORT bltTargets NAMESPACE blt:: DESTINATION ${blt_package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/bltConfig.cmake.in ${PROJECT_BINARY_DIR}/bltConfig.cmake
  INSTALL_DESTINATION ${blt_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/bltConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/bltConfig.cmake ${PROJECT_BINARY_DIR}/bltConfigVersion.cmake
  DESTINATION ${blt_package_dir})
