# Script: compiles SOURCE with COMPILER twice; the better of both must stay within the limit in its first line. Fails, too,
# where it reads a header of a package: with neural_attention::compiled these are needed in the library only.

cmake_minimum_required(VERSION 3.25)

file(STRINGS "${SOURCE}" first LIMIT_COUNT 1)
if(NOT first MATCHES "^// limit: ([0-9]+) s$")
  message(FATAL_ERROR "${SOURCE} must begin with `// limit: <seconds> s`")
endif()
math(EXPR limit "1000 * ${CMAKE_MATCH_1}")

include("${FLAGS_FILE}")
list(TRANSFORM includes PREPEND -I)
list(TRANSFORM defines PREPEND -D)
set(command "${COMPILER}" -std=c++20 -O2 ${defines} ${includes} -c "${SOURCE}" -o "${OBJECT}" -MD -MF "${OBJECT}.d")

set(best 1000000)
foreach(run RANGE 1 2)
  # `times` of the shell ends with the user and system time of its children, such as 0m2.61s 0m0.20s.
  execute_process(COMMAND sh -c "\"$@\" && times" sh ${command}
    RESULT_VARIABLE result OUTPUT_VARIABLE times ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${SOURCE} does not compile:\n${errors}")
  endif()
  if(NOT times MATCHES "\n([0-9]+)m([0-9]+)[.]([0-9]+)s[^\n]*\n$")
    message(FATAL_ERROR "sh says of the time:\n${times}")
  endif()
  string(SUBSTRING "${CMAKE_MATCH_3}000" 0 3 fraction)
  math(EXPR milliseconds "60000 * ${CMAKE_MATCH_1} + 1000 * ${CMAKE_MATCH_2} + 1${fraction} - 1000")
  message(STATUS "${milliseconds} ms")
  if(milliseconds LESS best)
    set(best "${milliseconds}")
  endif()
endforeach()
if(best GREATER limit)
  message(FATAL_ERROR "${SOURCE} takes ${best} ms of the compiler's user time, more than ${limit} ms")
endif()

file(READ "${OBJECT}.d" read_files)
if(NOT read_files MATCHES "neural_attention[.]hpp")
  message(FATAL_ERROR "${OBJECT}.d does not say which headers ${SOURCE} includes:\n${read_files}")
endif()
# nlohmann's forward declarations and what names their namespace may be read.
string(REGEX REPLACE "[^ ]*/nlohmann/(json_fwd|detail/abi_macros)[.]hpp" "" read_files "${read_files}")
foreach(package IN ITEMS "/Eigen/" "/nlohmann/" "/sentencepiece_[a-z]+[.]h" "/zlib[.]h" "/pcre2[.]h")
  if(read_files MATCHES "[^ ]*${package}[^ ]*")
    message(FATAL_ERROR "${SOURCE} includes ${CMAKE_MATCH_0}")
  endif()
endforeach()
