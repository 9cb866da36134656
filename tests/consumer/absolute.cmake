# Script: installs SOURCE_DIR below FOLDER with VARIABLE, CMAKE_INSTALL_INCLUDEDIR or _DATADIR, as an absolute path. The package
# config, in a project that is only configured, and the file for pkg-config must find the headers.

cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${FOLDER}")
set(CMAKE_INSTALL_INCLUDEDIR "${FOLDER}/prefix/include")
set(CMAKE_INSTALL_DATADIR "${FOLDER}/prefix/share")
set(${VARIABLE} "${FOLDER}/prefix/else/where")  # in the prefix, as CMake exports no other path below SOURCE_DIR

function(run)
  execute_process(COMMAND "${CMAKE_COMMAND}" ${ARGN} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()
run(-S "${SOURCE_DIR}" -B "${FOLDER}/build" -G "${GENERATOR}" ${CONSUMER_OPTIONS} "-DCMAKE_INSTALL_PREFIX=${FOLDER}/prefix"
  "-D${VARIABLE}=${${VARIABLE}}" -DNEURAL_ATTENTION_BUILD_TESTS=OFF -DNEURAL_ATTENTION_BUILD_EXAMPLES=OFF
  -DNEURAL_ATTENTION_CUDA=OFF)
run(--install "${FOLDER}/build")
run(-S "${CMAKE_CURRENT_LIST_DIR}/project" -B "${FOLDER}/consumer" -G "${GENERATOR}" ${CONSUMER_OPTIONS}
  -DCONSUMER_MODE=find_package -DCONSUMER_COMPONENTS=compiled -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
  "-Dneural_attention_DIR=${CMAKE_INSTALL_DATADIR}/cmake/neural_attention")

set(pcfiledir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
file(STRINGS "${pcfiledir}/neural_attention.pc" lines REGEX "^(prefix|includedir)=")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^([a-z]+)=(.*)" line "${line}")
  set(name "${CMAKE_MATCH_1}")
  string(CONFIGURE "${CMAKE_MATCH_2}" ${name})
  cmake_path(NORMAL_PATH ${name})
endforeach()
if(NOT includedir STREQUAL CMAKE_INSTALL_INCLUDEDIR)
  message(FATAL_ERROR "neural_attention.pc names ${includedir}, but the headers are in ${CMAKE_INSTALL_INCLUDEDIR}")
endif()
if(NOT EXISTS "${includedir}/neural_attention/neural_attention.hpp")
  message(FATAL_ERROR "${includedir} has no headers")
endif()
