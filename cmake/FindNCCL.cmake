# Finds NCCL, which installs no CMake package of its own.
#
# Target: NCCL::nccl
# Cache:  NCCL_INCLUDE_DIR, NCCL_LIBRARY; NCCL_ROOT, in CMake or the environment, is a folder to look in

find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
if(NCCL_INCLUDE_DIR)
  # The library beside the header, which may be a link: another version's would not fit it.
  get_filename_component(neural_attention_nccl_folder "${NCCL_INCLUDE_DIR}/nccl.h" REALPATH)
  get_filename_component(neural_attention_nccl_folder "${neural_attention_nccl_folder}/../.." ABSOLUTE)
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2
    HINTS "${neural_attention_nccl_folder}/lib" "${neural_attention_nccl_folder}/lib64" ${CUDAToolkit_LIBRARY_DIR})
  unset(neural_attention_nccl_folder)
endif()
mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY)

set(NCCL_VERSION "")
if(NCCL_INCLUDE_DIR)
  file(STRINGS "${NCCL_INCLUDE_DIR}/nccl.h" numbers REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${numbers}")
  list(JOIN numbers "." NCCL_VERSION)
  unset(numbers)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR VERSION_VAR NCCL_VERSION)

if(NCCL_FOUND AND NOT TARGET NCCL::nccl)
  add_library(NCCL::nccl UNKNOWN IMPORTED)
  set_target_properties(NCCL::nccl PROPERTIES
    IMPORTED_LOCATION "${NCCL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
endif()
