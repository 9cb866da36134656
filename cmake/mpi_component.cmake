# The component `mpi`: groups of processes that train together. This project uses this file, and so does the package config in
# the project that asks for the component.

# Looks for MPI and sets <problem> to "", or to the reason why it cannot be used. A macro, as the targets must be seen by who
# calls it.
macro(neural_attention_find_mpi problem)
  set(${problem} "")
  set(MPI_CXX_SKIP_MPICXX TRUE)
  find_package(MPI 3 QUIET COMPONENTS CXX)
  if(NOT TARGET MPI::MPI_CXX)
    set(${problem} "MPI was not found (libopenmpi-dev on Debian); MPI_CXX_COMPILER can name its compiler")
  endif()
endmacro()

# Defines neural_attention::mpi of the files in <stub_dir>/mpi.
function(neural_attention_add_mpi_library stub_dir)
  file(GLOB sources CONFIGURE_DEPENDS "${stub_dir}/mpi/*.cpp")
  add_library(neural_attention_mpi STATIC ${sources})
  add_library(neural_attention::mpi ALIAS neural_attention_mpi)
  target_link_libraries(neural_attention_mpi PUBLIC neural_attention::neural_attention PRIVATE MPI::MPI_CXX)
  neural_attention_optimise_compiled(neural_attention_mpi)
  set_target_properties(neural_attention_mpi PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
