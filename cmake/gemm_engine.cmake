# neural_attention_use_gemm_engine(<target>): lets the large products of Cpu<float> in what links <target> be computed by
# the engine that NEURAL_ATTENTION_GEMM names: PORTABLE, this library's own kernel, or ONEDNN. The library is header-only,
# so the choice is made by the project that compiles it and is not part of what is installed.

function(neural_attention_use_gemm_engine target)
  if(NOT DEFINED NEURAL_ATTENTION_GEMM OR NEURAL_ATTENTION_GEMM STREQUAL "PORTABLE")
    return()
  endif()
  if(NOT NEURAL_ATTENTION_GEMM STREQUAL "ONEDNN")
    message(FATAL_ERROR "NEURAL_ATTENTION_GEMM is ${NEURAL_ATTENTION_GEMM}; it must be PORTABLE or ONEDNN")
  endif()
  if(NOT TARGET DNNL::dnnl)
    find_package(dnnl CONFIG)
  endif()
  find_package(OpenMP COMPONENTS CXX)
  if(NOT TARGET DNNL::dnnl OR NOT TARGET OpenMP::OpenMP_CXX)
    message(FATAL_ERROR "NEURAL_ATTENTION_GEMM is ONEDNN, but oneDNN (Debian and Ubuntu: apt-get install libdnnl-dev) "
                        "or the compiler's OpenMP was not found; the default, PORTABLE, needs neither.")
  endif()
  get_target_property(imported DNNL::dnnl IMPORTED)
  if(imported)
    set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
  target_compile_definitions(${target} INTERFACE "$<BUILD_INTERFACE:NEURAL_ATTENTION_ONEDNN=1>")
  # OpenMP's run time alone: it is told to leave oneDNN one thread, and nothing here is compiled with -fopenmp.
  target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:DNNL::dnnl>" "$<BUILD_INTERFACE:${OpenMP_CXX_LIBRARIES}>")
endfunction()
