# Configures the project twice, as the build tool does when a file is new: the GPUs that CUDA code is for must stay.
#   cmake -DSOURCE_DIR=… -DFOLDER=… -P check_reconfiguration.cmake
foreach(run IN ITEMS first second)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -G Ninja -S "${SOURCE_DIR}" -B "${FOLDER}" -DNEURAL_ATTENTION_CUDA=AUTO
      -DNEURAL_ATTENTION_BUILD_TESTS=OFF -DNEURAL_ATTENTION_BUILD_EXAMPLES=OFF -DNEURAL_ATTENTION_BUILD_BENCH=OFF
    OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "the ${run} run of CMake failed:\n${output}")
  endif()
  file(READ "${FOLDER}/build.ninja" rules)
  if(NOT rules MATCHES "neural_attention_cuda.dir/[^\n]*cuda.cu.o")
    message("skipped: CUDA cannot be compiled here")
    return()
  endif()
  string(REGEX MATCHALL "arch=compute_[0-9]+" found "${rules}")
  list(REMOVE_DUPLICATES found)
  if(NOT found STREQUAL "arch=compute_80;arch=compute_90")
    message(FATAL_ERROR "the ${run} run of CMake compiles for ${found}")
  endif()
endforeach()
