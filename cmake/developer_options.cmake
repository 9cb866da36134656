# neural_attention_developer_options(<target>): warnings for one of this project's own targets, never for its users.
# neural_attention_cuda_developer_options(<target>): the same for one that nvcc compiles.

function(neural_attention_cuda_developer_options target)
  target_compile_options(${target} PRIVATE -Xcompiler=-Wall,-Wextra)
  if(NEURAL_ATTENTION_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror=all-warnings)
  endif()
endfunction()

function(neural_attention_developer_options target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /permissive- /bigobj)
    if(NEURAL_ATTENTION_WARNINGS_AS_ERRORS)
      target_compile_options(${target} PRIVATE /WX)
    endif()
    return()
  endif()
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 reports its own AVX-512 intrinsics (GCC bug 105593) when Eigen's kernels are inlined, and its own
    # std::string (GCC bug 105651) where a literal and a string are joined or headers are precompiled.
    target_compile_options(${target} PRIVATE
      -Wno-uninitialized -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow)
  endif()
  if(NEURAL_ATTENTION_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
