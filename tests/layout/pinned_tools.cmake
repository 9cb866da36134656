# clang-format and clang-tidy, each in the version that requirements.txt pins: what they say differs between versions.
# PyPI has these versions, and Debian's packages of the same version say the same.
#
#   cmake -P tests/layout/pinned_tools.cmake    installs from PyPI what is not found; included, it only finds

file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." root)
set(requirements "${CMAKE_CURRENT_LIST_DIR}/requirements.txt")
set(environment "${root}/build/clang-tools")

# The version of `tool` that is pinned.
function(pinned_version tool result)
  file(STRINGS "${requirements}" line REGEX "^${tool}==")
  string(REPLACE "${tool}==" "" version "${line}")
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

# The program `tool` of the pinned version, or an empty string.
function(find_pinned tool result)
  pinned_version(${tool} version)
  string(REGEX MATCH "^[0-9]+" major "${version}")
  string(REPLACE "." "\\." pattern "${version}")
  foreach(candidate IN ITEMS "${environment}/bin/${tool}" "${tool}-${major}" ${tool})
    execute_process(COMMAND "${candidate}" --version OUTPUT_VARIABLE answer ERROR_QUIET RESULT_VARIABLE code)
    if(code EQUAL 0 AND answer MATCHES "version ${pattern}([^0-9.]|$)")
      set(${result} "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

# Prints "skipped: …", which ctest looks for, and what to do.
function(say_skipped tool)
  pinned_version(${tool} version)
  message(NOTICE "skipped: there is no ${tool} ${version}. Install it with pip install ${tool}==${version}")
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  return()
endif()
foreach(tool IN ITEMS clang-format clang-tidy)
  pinned_version(${tool} version)
  find_pinned(${tool} program)
  if(program STREQUAL "")
    execute_process(COMMAND python3 -m venv "${environment}" RESULT_VARIABLE code OUTPUT_VARIABLE log ERROR_VARIABLE log)
    if(code EQUAL 0)
      execute_process(COMMAND "${environment}/bin/pip" install --quiet --disable-pip-version-check --retries 1
        --timeout 20 "${tool}==${version}" RESULT_VARIABLE code OUTPUT_VARIABLE log ERROR_VARIABLE log)
    endif()
    find_pinned(${tool} program)
  endif()
  if(program STREQUAL "")
    message(NOTICE "${tool} ${version} cannot be installed, so its test will be skipped (${code}):\n${log}")
  else()
    message(NOTICE "${tool} ${version}: ${program}")
  endif()
endforeach()
