# Script: compiles SOURCE, which must fail with the text that its first line names. Further lines of that kind may say
# with which standard, and how many lines the compiler may then say at most.

cmake_minimum_required(VERSION 3.25)
file(STRINGS "${SOURCE}" first_line LIMIT_COUNT 1)
if(NOT first_line MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line is not `// expect: <text>`")
endif()
set(expected "${CMAKE_MATCH_1}")
file(STRINGS "${SOURCE}" standard_line REGEX "^// standard: ")
string(REGEX REPLACE "^// standard: " "" standard "${standard_line}")
if(NOT standard)
  set(standard "c++20")
endif()
file(STRINGS "${SOURCE}" most_lines REGEX "^// lines: ")
string(REGEX REPLACE "^// lines: " "" most_lines "${most_lines}")

include("${FLAGS_FILE}")
list(TRANSFORM includes PREPEND "-I")
list(TRANSFORM defines PREPEND "-D")

execute_process(
  COMMAND "${COMPILER}" "-std=${standard}" -fsyntax-only ${NO_CARETS} ${includes} ${defines} "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE log ERROR_VARIABLE log)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles; expected was an error with the text: ${expected}")
endif()
string(FIND "${log}" "${expected}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "${SOURCE}: no error contains the text: ${expected}\nThe compiler said:\n${log}")
endif()
if(most_lines)
  string(REGEX MATCHALL "\n" ends "${log}")
  list(LENGTH ends count)
  if(count GREATER most_lines)
    message(FATAL_ERROR "${SOURCE}: the compiler says ${count} lines, more than ${most_lines}:\n${log}")
  endif()
endif()
