# Script: installs BUILD_DIR and moves the result to PREFIX, which is emptied first: a header that is gone must not stay
# there. An installation must not know where it was made: SOURCE_DIR, BUILD_DIR and its first place occur nowhere in it.

cmake_minimum_required(VERSION 3.25)

set(first "${PREFIX}-first")
file(REMOVE_RECURSE "${PREFIX}" "${first}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${first}" --config "${CONFIG}"
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${first}" "${PREFIX}")

file(GLOB_RECURSE files "${PREFIX}/*")
foreach(kind IN ITEMS config.cmake core.cmake .pc .hpp .cuh .cpp .cu)
  if(NOT files MATCHES "${kind}(;|$)")
    message(FATAL_ERROR "${PREFIX} has no file *${kind}")
  endif()
endforeach()
foreach(file IN LISTS files)
  file(READ "${file}" content)
  foreach(place IN ITEMS "${SOURCE_DIR}" "${BUILD_DIR}" "${first}")
    string(FIND "${content}" "${place}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${place}")
    endif()
  endforeach()
endforeach()
