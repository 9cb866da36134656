# Components that a build may do without: AUTO builds them if it can, ON insists, OFF leaves them out.

# Defines the cache variable NEURAL_ATTENTION_<COMPONENT> with the value <usual>.
function(neural_attention_component_option component usual help)
  string(TOUPPER "NEURAL_ATTENTION_${component}" option)
  set(${option} "${usual}" CACHE STRING "${help}")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  if(NOT ${option} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "${option} is ${${option}}; it must be AUTO, ON or OFF")
  endif()
endfunction()

# Sets the properties of neural_attention::<component>, which could be defined if <problem> is empty. Otherwise says why it
# could not, with an error if the build insists; <without> are the words for a build that does without.
function(neural_attention_finish_component component problem without)
  string(TOUPPER "NEURAL_ATTENTION_${component}" option)
  if(problem STREQUAL "")
    if(NOT PROJECT_IS_TOP_LEVEL)
      set_target_properties(neural_attention_${component} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  elseif(${option} STREQUAL "ON")
    message(FATAL_ERROR "${option} is ON, but ${problem}. OFF or AUTO builds ${without}.")
  else()
    message(STATUS "neural_attention: there is no neural_attention::${component}, because ${problem}")
  endif()
endfunction()
