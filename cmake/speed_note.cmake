# neural_attention_speed_note(): says once per configuration that an x86-64 build without -march is slow.

function(neural_attention_speed_note)
  get_property(said GLOBAL PROPERTY neural_attention_speed_note_said)
  if(said OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i.86)$")
    return()
  endif()
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  get_directory_property(directory_options COMPILE_OPTIONS)
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${config}} ${directory_options}")
  if(NOT flags MATCHES "-march=|-mavx|[-/]arch:AVX")
    set_property(GLOBAL PROPERTY neural_attention_speed_note_said TRUE)
    message(STATUS "neural_attention: compiled without -march=native (or similar), its CPU kernels use SSE2 only and "
                   "are several times slower; set it in CMAKE_CXX_FLAGS, for the whole program.")
  endif()
endfunction()
