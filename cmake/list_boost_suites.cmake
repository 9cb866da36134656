# Script: asks a Boost.Test program (PROGRAM) for its suites and writes one add_test for each to LIST_FILE.
# Test cases outside any suite get an entry each, the instances of a template together.

cmake_minimum_required(VERSION 3.25)

set(ENV{ASAN_OPTIONS} "detect_leaks=0")
execute_process(COMMAND "${PROGRAM}" --list_content=HRF --color_output=no
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} --list_content=HRF ended with ${result}:\n${output}${error}")
endif()

# Boost prints the tree to stderr: a name per line, indented by its depth, with * where it is enabled by default.
string(REGEX REPLACE ";" "\\\\;" lines "${output}${error}")
string(REPLACE "\n" ";" lines "${lines}")
set(script "")
set(seen "")
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^([A-Za-z_][^*:]*)(\\*?)")
    continue()
  endif()
  set(enabled "${CMAKE_MATCH_2}")
  string(STRIP "${CMAKE_MATCH_1}" suite)
  set(filter "${suite}")
  if(suite MATCHES "^([^<]+)<")
    set(suite "${CMAKE_MATCH_1}")
    set(filter "${suite}<*")
  endif()
  if(suite IN_LIST seen)
    continue()
  endif()
  list(APPEND seen "${suite}")

  set(labels "${AREA}")
  set(timeout 300)
  if(suite MATCHES "_data$")
    list(APPEND labels data)
  elseif(suite MATCHES "_models$")
    list(APPEND labels models)
  elseif(suite MATCHES "_slow$")
    list(APPEND labels slow)
    set(timeout 3600)
  endif()
  set(options --color_output=no --log_level=message)
  if(SANITIZED)
    list(APPEND options --catch_system_errors=no)
    math(EXPR timeout "${timeout} * 3")
  endif()
  list(JOIN options " " options)

  # Skipped only if nothing else in the suite failed; the two streams may arrive in either order.
  set(test "[==[${AREA}.${NAME}.${suite}]==]")
  string(APPEND script
    "add_test(${test} [==[${PROGRAM}]==] [==[--run_test=${filter}]==] ${options})\n"
    "set_tests_properties(${test} PROPERTIES LABELS [==[${labels}]==] TIMEOUT ${timeout} SKIP_REGULAR_EXPRESSION "
    "[==[SKIPPED.*No errors detected;No errors detected.*SKIPPED]==]")
  if(NOT enabled)
    string(APPEND script " DISABLED TRUE")
  endif()
  string(APPEND script ")\n")
endforeach()

if(script STREQUAL "")
  message(FATAL_ERROR "${PROGRAM} lists no tests:\n${output}${error}")
endif()
file(WRITE "${LIST_FILE}" "${script}")
