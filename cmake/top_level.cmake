# Settings for building this project itself; a project that includes it keeps its own.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(NEURAL_ATTENTION_CCACHE ccache)
  mark_as_advanced(NEURAL_ATTENTION_CCACHE)
  if(NEURAL_ATTENTION_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${NEURAL_ATTENTION_CCACHE}")
  endif()
endif()

# Ninja starts two more compilers than there are cores, and Eigen code takes up to 2 GB each: one per core and per 2 GB.
if(CMAKE_GENERATOR MATCHES "Ninja" AND NOT DEFINED CMAKE_JOB_POOL_COMPILE)
  cmake_host_system_information(RESULT compile_jobs QUERY NUMBER_OF_LOGICAL_CORES)
  cmake_host_system_information(RESULT memory_mb QUERY TOTAL_PHYSICAL_MEMORY)
  math(EXPR jobs_by_memory "${memory_mb} / 2000")
  if(jobs_by_memory LESS compile_jobs)
    set(compile_jobs "${jobs_by_memory}")
  endif()
  if(compile_jobs LESS 1)
    set(compile_jobs 1)
  endif()
  set_property(GLOBAL APPEND PROPERTY JOB_POOLS neural_attention_compile=${compile_jobs})
  set(CMAKE_JOB_POOL_COMPILE neural_attention_compile)
endif()
