# Fails where the pinned clang-format (pinned_tools.cmake) would change a C++ or CUDA file. Where there is none, this says
# "skipped: …" and succeeds.
#
#   cmake -P tests/layout/check_format.cmake                 checks
#   cmake -DFIX=ON -P tests/layout/check_format.cmake        formats
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/pinned_tools.cmake")

find_pinned(clang-format program)
if(program STREQUAL "")
  say_skipped(clang-format)
  return()
endif()
set(patterns "")
foreach(folder IN ITEMS include examples tests bench cmake)
  foreach(ending IN ITEMS hpp cpp cuh cu)
    list(APPEND patterns "${root}/${folder}/*.${ending}")
  endforeach()
endforeach()
file(GLOB_RECURSE sources ${patterns})
if(FIX)
  set(how -i)
else()
  set(how --dry-run -Werror --ferror-limit=3)
endif()
execute_process(COMMAND "${program}" ${how} ${sources} RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "These files are not formatted. cmake -DFIX=ON -P tests/layout/check_format.cmake does it.")
endif()
