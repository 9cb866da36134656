# The component `nccl`: groups of processes with a GPU each. This project uses this file, and so does the package config in the
# project that asks for the component. The components `cuda` and `mpi` come before it.

# The first version with communicators that do not block.
set(neural_attention_oldest_nccl 2.14)

# Looks for NCCL and sets <problem> to "", or to the reason why it cannot be used. A macro, because the caller must see the
# target.
macro(neural_attention_find_nccl problem)
  set(${problem} "")
  if(NOT TARGET neural_attention::cuda OR NOT TARGET neural_attention::mpi)
    set(${problem} "it needs the components cuda and mpi")
  else()
    find_package(CUDAToolkit QUIET)  # another folder may have found it for `cuda`
    find_package(NCCL ${neural_attention_oldest_nccl} QUIET)
    if(NOT TARGET NCCL::nccl)
      set(${problem} "NCCL ${neural_attention_oldest_nccl} or newer was not found; NCCL_ROOT can name its folder")
    endif()
  endif()
endmacro()

# Defines neural_attention::nccl of the file in <stub_dir>/nccl, which nvcc compiles, as it does `cuda`. It needs only the
# declarations of the CPU's kernels.
function(neural_attention_add_nccl_library stub_dir)
  add_library(neural_attention_nccl STATIC "${stub_dir}/nccl/nccl_group.cu")
  add_library(neural_attention::nccl ALIAS neural_attention_nccl)
  target_link_libraries(neural_attention_nccl
    PUBLIC neural_attention::cuda neural_attention::mpi PRIVATE NCCL::nccl CUDA::cudart_static)
  target_compile_definitions(neural_attention_nccl PRIVATE NEURAL_ATTENTION_COMPILED=1)
  neural_attention_compile_for_gpus(neural_attention_nccl)
  get_target_property(architectures neural_attention_cuda CUDA_ARCHITECTURES)
  set_target_properties(neural_attention_nccl PROPERTIES CUDA_ARCHITECTURES "${architectures}")
endfunction()
