# Fails where the pinned clang-tidy (pinned_tools.cmake) finds a fault in the library's headers, by the checks of .clang-tidy.
# One file includes them all, so that what they include is read once; programs and tests would take many times as long.
# Where there is no such clang-tidy, this says "skipped: …" and succeeds.
#
#   cmake -DSOURCE=FILE "-DINCLUDE_DIRS=DIR;…" -P tests/layout/check_tidy.cmake
#
# SOURCE is written; INCLUDE_DIRS are those of Eigen and the other packages.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/pinned_tools.cmake")

find_pinned(clang-tidy program)
if(program STREQUAL "")
  say_skipped(clang-tidy)
  return()
endif()

# Packages are system headers: their faults are not ours. The compiler looks into /usr/include by itself, and must do it last.
set(flags -std=c++20 "-I${root}/include")
foreach(dir IN LISTS INCLUDE_DIRS)
  if(NOT dir MATCHES "^(|/usr/include|${root}/.*)$")
    list(APPEND flags -isystem "${dir}")
  endif()
endforeach()
set(command "${program}" --quiet "--config-file=${root}/.clang-tidy" "${SOURCE}" -- ${flags})

# A planted fault: the check must find it.
file(WRITE "${SOURCE}" "#include <string>\n#include <utility>\n"
  "std::string moved(std::string a) {\n  const std::string b = std::move(a);\n  return b + a;\n}\n")
execute_process(COMMAND ${command} RESULT_VARIABLE code OUTPUT_VARIABLE log ERROR_VARIABLE log)
if(code EQUAL 0 OR NOT log MATCHES "bugprone-use-after-move")
  message(FATAL_ERROR "clang-tidy does not find the use of a string that was moved from:\n${log}")
endif()

file(GLOB_RECURSE headers "${root}/include/neural_attention/*.hpp")
set(text "")
foreach(header IN LISTS headers)
  # The parts of backend/cpu/cpu.hpp are left to it: nobody else includes them.
  if(NOT header MATCHES "/backend/cpu/" OR header MATCHES "/cpu\\.hpp$")
    string(APPEND text "#include \"${header}\"\n")
  endif()
endforeach()
file(WRITE "${SOURCE}" "${text}")
execute_process(COMMAND ${command} RESULT_VARIABLE code ERROR_VARIABLE log)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "clang-tidy finds faults. Mend them; NOLINT(check) only with the reason beside it.\n${log}")
endif()
