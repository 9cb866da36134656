# Script: writes OUT, a C++ file with the commit of the sources in the folder SOURCE, if it is not so already. The commit
# is empty where SOURCE is not a Git repository itself.

cmake_minimum_required(VERSION 3.25)

set(commit "")
find_program(git git)
if(git)
  execute_process(COMMAND "${git}" -C "${SOURCE}" rev-parse --show-prefix
    RESULT_VARIABLE result OUTPUT_VARIABLE prefix ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(result EQUAL 0 AND prefix STREQUAL "")
    execute_process(COMMAND "${git}" -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
      OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
endif()
file(CONFIGURE OUTPUT "${OUT}" @ONLY CONTENT [[
#include "projector_study/commit.hpp"

namespace examples {

const std::string_view commit_of_sources = "@commit@";

}  // namespace examples
]])
