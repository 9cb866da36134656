# Installs missing Debian packages while this project itself is configured through a preset. The presets name this file
# in CMAKE_PROJECT_TOP_LEVEL_INCLUDES; projects that use the library never see it.
# It acts as root where apt-get exists; elsewhere it prints the command to type.

option(NEURAL_ATTENTION_INSTALL_DEPENDENCIES "Install missing packages with apt-get (as root)" ON)

set(neural_attention_package_Eigen3 libeigen3-dev)
set(neural_attention_package_Boost libboost-test-dev)
set(neural_attention_package_benchmark libbenchmark-dev)
set(neural_attention_package_nlohmann_json nlohmann-json3-dev)
set(neural_attention_package_CLI11 libcli11-dev)
set(neural_attention_package_SentencePiece libsentencepiece-dev)
set(neural_attention_package_ZLIB zlib1g-dev)
set(neural_attention_package_PCRE2 libpcre2-dev)
set(neural_attention_package_dnnl libdnnl-dev)
set(neural_attention_package_Doxygen doxygen)
if(NEURAL_ATTENTION_MPI STREQUAL "ON")  # AUTO takes what is there
  set(neural_attention_package_MPI libopenmpi-dev)
endif()

# Installs the package of one dependency, or says how.
function(neural_attention_install_package dependency package)
  set(by_hand "apt-get install libeigen3-dev libboost-test-dev libbenchmark-dev nlohmann-json3-dev libcli11-dev \
libsentencepiece-dev zlib1g-dev libpcre2-dev")
  if(NOT by_hand MATCHES " ${package}( |$)")
    string(APPEND by_hand " ${package}")
  endif()
  find_program(NEURAL_ATTENTION_APT_GET apt-get)
  mark_as_advanced(NEURAL_ATTENTION_APT_GET)
  if(NOT NEURAL_ATTENTION_APT_GET)
    message(NOTICE "-- ${dependency} was not found, and there is no apt-get to install it. "
                   "On Debian and Ubuntu all that the project needs comes with:\n\n    ${by_hand}\n")
    return()
  endif()
  if(NOT NEURAL_ATTENTION_INSTALL_DEPENDENCIES)
    message(NOTICE "-- ${dependency} was not found, and NEURAL_ATTENTION_INSTALL_DEPENDENCIES is OFF. Type\n\n"
                   "    sudo ${by_hand}\n")
    return()
  endif()
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT user STREQUAL "0")
    message(NOTICE "-- ${dependency} was not found, and only root can install it. Type\n\n    sudo ${by_hand}\n")
    return()
  endif()

  set(apt_get "${CMAKE_COMMAND}" -E env DEBIAN_FRONTEND=noninteractive
    "${NEURAL_ATTENTION_APT_GET}" -o DPkg::Lock::Timeout=300 -q)
  get_property(updated GLOBAL PROPERTY neural_attention_apt_updated)
  if(NOT updated)
    message(STATUS "Updating the list of packages (apt-get update)")
    execute_process(COMMAND ${apt_get} update OUTPUT_QUIET ERROR_QUIET)
    set_property(GLOBAL PROPERTY neural_attention_apt_updated TRUE)
  endif()
  message(STATUS "Installing ${package} (apt-get install)")
  execute_process(COMMAND ${apt_get} install -y --no-install-recommends ${package}
    RESULT_VARIABLE result OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(NOT result EQUAL 0)
    message(NOTICE "-- apt-get install ${package} failed:\n${log}\nWhen that is solved, type\n\n    ${by_hand}\n")
  endif()
endfunction()

# A macro, since find_package must define its results in the scope of the caller. <name>_FOUND stays unset where the
# package is not there, so that CMake's own search and error message follow. The guard keeps a search that a package's
# own files start from being answered with another installation.
macro(neural_attention_provide_dependency method dependency)
  if(DEFINED neural_attention_package_${dependency} AND NOT neural_attention_providing)
    set(neural_attention_providing TRUE)
    set(neural_attention_find_arguments ${ARGN})
    list(REMOVE_ITEM neural_attention_find_arguments REQUIRED QUIET)
    find_package(${dependency} ${neural_attention_find_arguments} QUIET BYPASS_PROVIDER)
    # Boost's headers alone count as found, though a component that was asked for is not there.
    foreach(neural_attention_component IN LISTS neural_attention_find_arguments)
      if(DEFINED ${dependency}_${neural_attention_component}_FOUND
         AND NOT ${dependency}_${neural_attention_component}_FOUND)
        set(${dependency}_FOUND FALSE)
      endif()
    endforeach()
    if(NOT ${dependency}_FOUND)
      neural_attention_install_package(${dependency} ${neural_attention_package_${dependency}})
      unset(${dependency}_DIR CACHE)
      unset(${dependency}_FOUND)
    endif()
    unset(neural_attention_find_arguments)
    unset(neural_attention_providing)
  endif()
endmacro()

cmake_language(SET_DEPENDENCY_PROVIDER neural_attention_provide_dependency SUPPORTED_METHODS FIND_PACKAGE)
