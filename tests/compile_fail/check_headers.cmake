# Script: every header below INCLUDE reaches core/language.hpp, which refuses an older standard, before its own code.

cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE headers "${INCLUDE}/*.hpp")
if(NOT headers)
  message(FATAL_ERROR "${INCLUDE} holds no headers")
endif()
foreach(header IN LISTS headers)
  file(STRINGS "${header}" includes REGEX "^#include \"neural_attention/")
  if(NOT includes AND NOT header MATCHES "core/language\\.hpp$")
    message(SEND_ERROR "${header} includes no header of the library; it needs core/language.hpp")
  endif()
endforeach()
