# Script: compiles SOURCE, which must fail with the text that its first line names.

cmake_minimum_required(VERSION 3.25)
file(STRINGS "${SOURCE}" first_line LIMIT_COUNT 1)
if(NOT first_line MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line is not `// expect: <text>`")
endif()
set(expected "${CMAKE_MATCH_1}")

include("${FLAGS_FILE}")
list(TRANSFORM includes PREPEND "-I")
list(TRANSFORM defines PREPEND "-D")

execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only ${NO_CARETS} ${includes} ${defines} "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE log ERROR_VARIABLE log)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles; expected was an error with the text: ${expected}")
endif()
string(FIND "${log}" "${expected}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "${SOURCE}: no error contains the text: ${expected}\nThe compiler said:\n${log}")
endif()
