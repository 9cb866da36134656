# Finds NCCL, which installs no CMake package of its own.
#
# Target: NCCL::nccl
# Cache:  NCCL_INCLUDE_DIR, NCCL_LIBRARY; NCCL_ROOT, in CMake or the environment, is a folder to look in

find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
# The library beside the header, which may be a link: another version's would not fit it.
if(NCCL_INCLUDE_DIR)
  get_filename_component(header "${NCCL_INCLUDE_DIR}/nccl.h" REALPATH)
  get_filename_component(folder "${header}" DIRECTORY)
endif()
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS "${folder}/../lib" "${folder}/../lib64" ${CUDAToolkit_LIBRARY_DIR})
mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY)

set(NCCL_VERSION "")
if(NCCL_INCLUDE_DIR)
  file(STRINGS "${NCCL_INCLUDE_DIR}/nccl.h" numbers REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${numbers}")
  list(JOIN numbers "." NCCL_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR VERSION_VAR NCCL_VERSION)

if(NCCL_FOUND AND NOT TARGET NCCL::nccl)
  add_library(NCCL::nccl UNKNOWN IMPORTED)
  set_target_properties(NCCL::nccl PROPERTIES
    IMPORTED_LOCATION "${NCCL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
endif()
