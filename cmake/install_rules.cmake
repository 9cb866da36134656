# Installs headers, one export file per component, and the sources of `compiled` and `cuda`, which the package config
# builds in the project that asks for them (a binary would fix the compiler's flags, and Eigen's alignment depends on
# them; and the GPUs).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/neural_attention")
set(stub_dir "${CMAKE_INSTALL_DATADIR}/neural_attention/stubs")

# No FILE_SET: CMake 3.25 exports an absolute CMAKE_INSTALL_INCLUDEDIR as if it lay in the prefix.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(TARGETS neural_attention EXPORT neural_attention-core INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT neural_attention-core NAMESPACE neural_attention:: DESTINATION "${package_dir}")

foreach(component IN ITEMS io text study)
  if(TARGET neural_attention_${component})
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/cmake/stubs/${component}" DESTINATION "${stub_dir}")
    set_target_properties(neural_attention_${component} PROPERTIES EXPORT_NAME ${component})
    install(TARGETS neural_attention_${component} EXPORT neural_attention-${component})
    install(EXPORT neural_attention-${component} NAMESPACE neural_attention:: DESTINATION "${package_dir}")
  endif()
endforeach()

file(GLOB cuda_stubs CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/stubs/*.cu")
install(FILES ${stubs} ${cuda_stubs} DESTINATION "${stub_dir}")
foreach(folder IN ITEMS cpu mpi nccl)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/cmake/stubs/${folder}" DESTINATION "${stub_dir}")
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/neural_attention-config.cmake.in"
  "${PROJECT_BINARY_DIR}/neural_attention-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS stub_dir NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/neural_attention-config-version.cmake"
  VERSION "${PROJECT_VERSION}" COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  "${PROJECT_BINARY_DIR}/neural_attention-config.cmake"
  "${PROJECT_BINARY_DIR}/neural_attention-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindNCCL.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindSentencePiece.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindPCRE2.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/compiled_options.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/cpu_targets.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/cuda_component.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/gemm_engine.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/isolate_target.sh"
  "${PROJECT_SOURCE_DIR}/cmake/mpi_component.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/nccl_component.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/speed_note.cmake"
  DESTINATION "${package_dir}")
# For projects without CMake. An installation may be moved, so the files find their prefix from where they are, unless
# that is an absolute folder, which need not lie in it.
set(pc_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
if(IS_ABSOLUTE "${pc_dir}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH pc_prefix "/${pc_dir}" "/")
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
set(pc_includedir "\${prefix}")
cmake_path(APPEND pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")  # an absolute one replaces it
function(neural_attention_install_pc name description requires cflags libs)
  foreach(field IN ITEMS name description requires cflags libs)
    set(pc_${field} "${${field}}")
  endforeach()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/neural_attention.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${pc_dir}")
endfunction()
neural_attention_install_pc(neural_attention "Transformers with neural projections, header-only; needs -std=c++20"
  "eigen3 >= 3.4" "-I\${includedir} -pthread" "-pthread")
if(TARGET neural_attention_io)
  neural_attention_install_pc(neural_attention-io "Model directories and training of neural_attention"
    "neural_attention nlohmann_json" "" "")
endif()
if(TARGET neural_attention_text)
  neural_attention_install_pc(neural_attention-text "Tokenizers, corpora and the translator of neural_attention"
    "neural_attention-io zlib sentencepiece libpcre2-8" "" "-lsentencepiece_train")
endif()

if(TARGET neural_attention_study)
  neural_attention_install_pc(neural_attention-study "Statistics of experiments, of neural_attention"
    "neural_attention-io" "" "")  # Boost's headers have no .pc file
endif()

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
