# Fails where clang-format would change a C++ or CUDA file. Its versions disagree, so one is pinned: requirements.txt says
# which, as PyPI has it; Debian's package of the same version formats alike. Where that version is not found, this says
# "skipped: …" and succeeds.
#
#   cmake -P tests/layout/check_format.cmake                 checks
#   cmake -DFIX=ON -P tests/layout/check_format.cmake        formats
#   cmake -DINSTALL=ON -P tests/layout/check_format.cmake    installs the version from PyPI where it is not found
cmake_minimum_required(VERSION 3.25)

cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../..")
set(requirements "${CMAKE_CURRENT_LIST_DIR}/requirements.txt")
set(environment "${root}/build/clang-format")
file(STRINGS "${requirements}" version REGEX "^clang-format==")
string(REPLACE "clang-format==" "" version "${version}")

# The program of the pinned version, or an empty string.
function(find_clang_format result)
  string(REGEX MATCH "^[0-9]+" major "${version}")
  foreach(candidate IN ITEMS "${environment}/bin/clang-format" "clang-format-${major}" clang-format)
    execute_process(COMMAND "${candidate}" --version OUTPUT_VARIABLE answer ERROR_QUIET RESULT_VARIABLE code)
    string(REPLACE "." "\\." pattern "${version}")
    if(code EQUAL 0 AND answer MATCHES "version ${pattern}([^0-9.]|$)")
      set(${result} "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

find_clang_format(program)
if(INSTALL)
  if(program STREQUAL "")
    execute_process(COMMAND python3 -m venv "${environment}" RESULT_VARIABLE code OUTPUT_VARIABLE log ERROR_VARIABLE log)
    if(code EQUAL 0)
      execute_process(COMMAND "${environment}/bin/pip" install --quiet --disable-pip-version-check --retries 1
        --timeout 20 -r "${requirements}" RESULT_VARIABLE code OUTPUT_VARIABLE log ERROR_VARIABLE log)
    endif()
    find_clang_format(program)
  endif()
  if(program STREQUAL "")
    message(NOTICE "clang-format ${version} cannot be installed, so the test layout.format will be skipped (${code}):\n${log}")
  else()
    message(NOTICE "clang-format ${version}: ${program}")
  endif()
  return()
endif()

if(program STREQUAL "")
  message(NOTICE "skipped: there is no clang-format ${version}. Install it with pip install clang-format==${version}")
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
