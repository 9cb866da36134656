# neural_attention_optimise_compiled(<target> <source of kernels>...): the component `compiled` is optimised in every
# build, as its kernels are more than thirty times slower without, and it is seldom they that are debugged.
# NEURAL_ATTENTION_OPTIMISE_COMPILED=OFF leaves its flags to the build type; KERNELS optimises only these sources, and
# little, which compiles fast under sanitizers.
#
# neural_attention_compile_component(<component> <stub directory>): adds io or text, whose target must be defined, to what
# `compiled` holds.
#
# neural_attention_optimisation_note(): says once per configuration that header-only kernels are slow in such a build.

set(NEURAL_ATTENTION_OPTIMISE_COMPILED ON CACHE STRING
  "Optimise neural_attention::compiled also where the build type does not: ON, OFF, or KERNELS (a little, its kernels alone)")
set_property(CACHE NEURAL_ATTENTION_OPTIMISE_COMPILED PROPERTY STRINGS ON OFF KERNELS)
string(TOUPPER "${NEURAL_ATTENTION_OPTIMISE_COMPILED}" optimise_compiled)
if(NOT optimise_compiled MATCHES "^(ON|YES|TRUE|1|OFF|NO|FALSE|0|)$"
   AND NOT NEURAL_ATTENTION_OPTIMISE_COMPILED STREQUAL "KERNELS")
  message(FATAL_ERROR
    "NEURAL_ATTENTION_OPTIMISE_COMPILED is \"${NEURAL_ATTENTION_OPTIMISE_COMPILED}\"; it must be ON, OFF or KERNELS.")
endif()

# Sets <result> to the configurations whose flags do not optimise, "" for that of a build without a type.
function(neural_attention_slow_configurations result)
  set(slow "")
  if(CMAKE_CONFIGURATION_TYPES)
    set(configurations ${CMAKE_CONFIGURATION_TYPES})
  else()
    set(configurations "${CMAKE_BUILD_TYPE}")
  endif()
  get_directory_property(directory_options COMPILE_OPTIONS)
  if(configurations STREQUAL "")
    set(configurations NONE)
  endif()
  foreach(configuration IN LISTS configurations)
    string(TOUPPER "${configuration}" upper)
    set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${upper}} ${directory_options}")
    if(NOT flags MATCHES "(^|[ ;])[-/]O([1-9sgz]|fast|x|t)?($|[ ;])")
      list(APPEND slow "${configuration}")
    endif()
  endforeach()
  set(${result} "${slow}" PARENT_SCOPE)
endfunction()

function(neural_attention_optimise_compiled target)
  neural_attention_slow_configurations(slow)
  if(MSVC OR NOT slow OR NOT NEURAL_ATTENTION_OPTIMISE_COMPILED)  # MSVC's /O2 does not go with its /RTC1 of Debug
    return()
  endif()
  set(level -O2)
  if(NEURAL_ATTENTION_OPTIMISE_COMPILED STREQUAL "KERNELS")
    set(level -O1)
  endif()
  if(CMAKE_CONFIGURATION_TYPES)
    list(JOIN slow "," slow)
    set(level "$<$<CONFIG:${slow}>:${level}>")
  endif()
  if(NEURAL_ATTENTION_OPTIMISE_COMPILED STREQUAL "KERNELS")
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS "${level}")
  else()
    target_compile_options(${target} PRIVATE "${level}")
  endif()
endfunction()

function(neural_attention_compile_component component stub_dir)
  get_target_property(held neural_attention_compiled NEURAL_ATTENTION_COMPONENTS)
  if(component IN_LIST held)  # find_package was called before
    return()
  endif()
  set_property(TARGET neural_attention_compiled APPEND PROPERTY NEURAL_ATTENTION_COMPONENTS "${component}")
  file(GLOB sources CONFIGURE_DEPENDS "${stub_dir}/${component}/*.cpp")
  target_sources(neural_attention_compiled PRIVATE ${sources})
  # Private: who links `compiled` alone gets none of the packages' headers.
  target_link_libraries(neural_attention_compiled PRIVATE neural_attention::${component})
endfunction()

function(neural_attention_optimisation_note)
  get_property(said GLOBAL PROPERTY neural_attention_optimisation_note_said)
  neural_attention_slow_configurations(slow)
  if(said OR NOT slow)
    return()
  endif()
  set_property(GLOBAL PROPERTY neural_attention_optimisation_note_said TRUE)
  if(CMAKE_BUILD_TYPE)
    set(where "the build type ${CMAKE_BUILD_TYPE} does not optimise")
  elseif(CMAKE_CONFIGURATION_TYPES)
    list(JOIN slow ", " slow)
    set(where "the configuration ${slow} does not optimise")
  else()
    set(where "there is no CMAKE_BUILD_TYPE, so nothing is optimised")
  endif()
  set(compiled "is optimised nevertheless")
  if(NEURAL_ATTENTION_OPTIMISE_COMPILED STREQUAL "KERNELS")
    set(compiled "has optimised kernels nevertheless")
  elseif(NOT NEURAL_ATTENTION_OPTIMISE_COMPILED)
    set(compiled "is not optimised either, as NEURAL_ATTENTION_OPTIMISE_COMPILED is OFF")
  endif()
  message(STATUS "neural_attention: ${where}, and kernels are more than thirty times slower then: "
                 "-DCMAKE_BUILD_TYPE=Release is what you want, or link neural_attention::compiled, which ${compiled}.")
endfunction()
