# Script: makes the Python environment VENV with the packages of REQUIREMENTS, checks it and writes STAMP. With PYTHON
# set, that interpreter is only checked.

cmake_minimum_required(VERSION 3.25)

cmake_path(GET REQUIREMENTS PARENT_PATH reference)
set(by_hand "An environment made by hand can be given with cmake --preset parity "
            "-DNEURAL_ATTENTION_REFERENCE_PYTHON=/.../bin/python (tests/reference/README.md says how to make one).")

function(run_step what advice)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(NOT result EQUAL 0)
    file(REMOVE "${STAMP}")
    message(FATAL_ERROR "${what} failed (${result}):\n${log}\n${advice}\n" ${by_hand})
  endif()
endfunction()

if(NOT PYTHON)
  find_program(python3 NAMES python3.11 python3)
  if(NOT python3)
    message(FATAL_ERROR "The reference values are made by Python 3.11, and there is no python3. "
                        "On Debian and Ubuntu: apt-get install python3-venv\n" ${by_hand})
  endif()
  set(PYTHON "${VENV}/bin/python")
  message(STATUS "Making a Python environment in ${VENV}; pip may load some 2.5 GB")
  file(REMOVE_RECURSE "${VENV}")
  run_step("${python3} -m venv"
    "It needs the modules venv and ensurepip (Debian and Ubuntu: apt-get install python3-venv)."
    "${python3}" -m venv "${VENV}")
  run_step("pip install -r ${REQUIREMENTS}" "It needs Python 3.11, the network, and about 6 GB of disk."
    "${PYTHON}" -m pip install --disable-pip-version-check -q -r "${REQUIREMENTS}")
endif()
run_step("${PYTHON} ${reference}/check_environment.py" "Other versions compute other values."
  "${PYTHON}" "${reference}/check_environment.py" "${REQUIREMENTS}")
file(TOUCH "${STAMP}")
