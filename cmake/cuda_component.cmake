# The component `cuda`: the CUDA backend, compiled by nvcc. This project uses this file, and so does the package config
# in the project that asks for the component.

include(CheckLanguage)

# Enables the language CUDA and sets <problem> to "", or to the reason why CUDA cannot be used here. A macro, as
# enable_language() may not be called in a function.
macro(neural_attention_enable_cuda problem)
  set(${problem} "")
  # What the project says of architectures counts; what CMake takes without asking does not. It keeps that in the cache,
  # where the next run would find it, so the choice is kept there first.
  if(NOT DEFINED neural_attention_cuda_architectures)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "The GPUs that CUDA code is compiled for")
    endif()
    set(neural_attention_cuda_architectures "${CMAKE_CUDA_ARCHITECTURES}")
  endif()
  get_property(neural_attention_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "CUDA" IN_LIST neural_attention_languages)
    find_program(NEURAL_ATTENTION_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin
      DOC "NVIDIA's compiler")
    mark_as_advanced(NEURAL_ATTENTION_NVCC)
    if(NEURAL_ATTENTION_NVCC AND NOT DEFINED ENV{CUDACXX})
      set(ENV{CUDACXX} "${NEURAL_ATTENTION_NVCC}")
    endif()
    if(NOT DEFINED CMAKE_CUDA_HOST_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
    endif()
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
    else()
      set(${problem} "there is no CUDA compiler (nvcc) that works; CMAKE_CUDA_COMPILER can name one")
    endif()
  endif()
  unset(neural_attention_languages)
  if("${${problem}}" STREQUAL "")
    find_package(CUDAToolkit QUIET)
    find_path(NEURAL_ATTENTION_CUBLASLT_HEADER cublasLt.h PATHS ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH)
    mark_as_advanced(NEURAL_ATTENTION_CUBLASLT_HEADER)
    if(NOT TARGET CUDA::cudart_static OR NOT NEURAL_ATTENTION_CUBLASLT_HEADER)
      set(${problem} "the CUDA compiler ${CMAKE_CUDA_COMPILER} has no library cudart_static or no cublasLt.h beside it")
    endif()
  endif()
  # CMake 3.25.1 does not know how nvcc is asked for C++20.
  if(CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA" AND NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
  endif()
endmacro()

# Sets what all libraries need that nvcc compiles.
function(neural_attention_compile_for_gpus target)
  target_compile_options(${target} PRIVATE --expt-relaxed-constexpr)
  set_target_properties(${target} PROPERTIES
    CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_ARCHITECTURES "${neural_attention_cuda_architectures}"
    POSITION_INDEPENDENT_CODE ON)
endfunction()

# Defines neural_attention::cuda of the .cu files in <stub_dir>. cuBLASLt is loaded when the first device is used (see
# cublas_lt.cuh), and CUDA's driver by cudart_static: programs start without both.
function(neural_attention_add_cuda_library stub_dir)
  file(GLOB stubs CONFIGURE_DEPENDS "${stub_dir}/*.cu")
  add_library(neural_attention_cuda STATIC ${stubs})
  add_library(neural_attention::cuda ALIAS neural_attention_cuda)
  target_link_libraries(neural_attention_cuda
    PUBLIC neural_attention::neural_attention PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
  neural_attention_compile_for_gpus(neural_attention_cuda)
endfunction()
