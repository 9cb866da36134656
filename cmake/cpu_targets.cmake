# neural_attention_add_cpu_targets(<stub directory>): adds to neural_attention_compiled its kernels for each instruction set
# that NEURAL_ATTENTION_CPU_TARGETS names, among which a program chooses at run time: OFF, a list of those below, or AUTO,
# all of them where that can be built and the flags do not choose instructions themselves.
#
# neural_attention_chosen_instructions(<result>): the flags by which this directory chooses instructions itself, or "".

set(NEURAL_ATTENTION_KNOWN_CPU_TARGETS avx2 avx2_vnni avx512 avx512_vnni avx512_bf16)  # the best last

# Of a set with VNNI, only the kernel of int8 products is built; all others are those of its REST.
set(NEURAL_ATTENTION_CPU_REST_avx2_vnni avx2)
set(NEURAL_ATTENTION_CPU_REST_avx512_vnni avx512)

set(NEURAL_ATTENTION_CPU_OPTIONS_avx2 -mavx2 -mfma -mbmi -mbmi2)
set(NEURAL_ATTENTION_CPU_OPTIONS_avx512 ${NEURAL_ATTENTION_CPU_OPTIONS_avx2}
  -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl)
set(NEURAL_ATTENTION_CPU_OPTIONS_avx2_vnni ${NEURAL_ATTENTION_CPU_OPTIONS_avx2} -mavxvnni)
set(NEURAL_ATTENTION_CPU_OPTIONS_avx512_vnni ${NEURAL_ATTENTION_CPU_OPTIONS_avx512} -mavx512vnni)
# AMX, too: its kernel asks the processor by itself, and compilers use its instructions nowhere else.
set(NEURAL_ATTENTION_CPU_OPTIONS_avx512_bf16 ${NEURAL_ATTENTION_CPU_OPTIONS_avx512_vnni} -mavx512bf16
  -mamx-tile -mamx-bf16)

function(neural_attention_all_flags result)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  get_directory_property(directory_options COMPILE_OPTIONS)
  set(${result} "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${config}} ${directory_options}" PARENT_SCOPE)
endfunction()

function(neural_attention_chosen_instructions result)
  neural_attention_all_flags(flags)
  string(REGEX REPLACE "-march=x86-64(-v2)?($|[ ;])" " " flags "${flags}")  # no more than a baseline
  string(REGEX MATCH "-march=[^ ;]*|-mavx[^ ;]*|[-/]arch:AVX[^ ;]*" chosen "${flags}")
  set(${result} "${chosen}" PARENT_SCOPE)
endfunction()

# Sets <result> to why kernels for several instruction sets cannot be built, or "".
function(neural_attention_cpu_targets_problem result)
  set(${result} "" PARENT_SCOPE)
  neural_attention_slow_configurations(slow)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" OR NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(${result} "they are for 64-bit x86" PARENT_SCOPE)
  elseif(NOT UNIX OR APPLE OR CYGWIN OR NOT CMAKE_CXX_COMPILER_ID MATCHES "^(GNU|Clang)$")
    set(${result} "they need g++ or clang and object files in the format ELF" PARENT_SCOPE)
  elseif(NOT CMAKE_NM OR NOT CMAKE_OBJCOPY)
    set(${result} "they need nm and objcopy, of binutils or LLVM" PARENT_SCOPE)
  elseif(slow AND NOT NEURAL_ATTENTION_OPTIMISE_COMPILED)
    # Eigen's constants: the compiler computes them only when it optimises.
    set(${result} "unoptimised (NEURAL_ATTENTION_OPTIMISE_COMPILED is OFF), they would run code before the processor is known"
      PARENT_SCOPE)
  endif()
endfunction()

function(neural_attention_add_cpu_targets stub_dir)
  if(NOT DEFINED NEURAL_ATTENTION_CPU_TARGETS)
    set(NEURAL_ATTENTION_CPU_TARGETS AUTO)
  endif()
  set(targets "${NEURAL_ATTENTION_CPU_TARGETS}")
  neural_attention_cpu_targets_problem(problem)
  if(targets STREQUAL "AUTO")
    neural_attention_chosen_instructions(chosen)
    neural_attention_all_flags(flags)
    # Sanitizers and counters run code of each file when the program starts, whatever its instructions are.
    if(problem OR chosen OR flags MATCHES "-fsanitize=|-fprofile|--coverage")
      return()
    endif()
    set(targets ${NEURAL_ATTENTION_KNOWN_CPU_TARGETS})
  elseif(targets STREQUAL "OFF")
    return()
  elseif(problem)
    message(FATAL_ERROR "NEURAL_ATTENTION_CPU_TARGETS is \"${targets}\", but there are no such kernels here: ${problem}.")
  endif()

  set(wanted)
  foreach(target IN LISTS targets)
    if(NOT target IN_LIST NEURAL_ATTENTION_KNOWN_CPU_TARGETS)
      list(JOIN NEURAL_ATTENTION_KNOWN_CPU_TARGETS ", " known)
      message(FATAL_ERROR "NEURAL_ATTENTION_CPU_TARGETS names ${target}; it must be AUTO, OFF or a list of ${known}.")
    endif()
    list(APPEND wanted ${target} ${NEURAL_ATTENTION_CPU_REST_${target}})
  endforeach()
  list(JOIN wanted "|" wanted)
  set(targets ${NEURAL_ATTENTION_KNOWN_CPU_TARGETS})  # in their order: a program takes the last that the processor has
  list(FILTER targets INCLUDE REGEX "^(${wanted})$")
  foreach(target IN LISTS targets)
    set(stub target.cpp)
    if(NEURAL_ATTENTION_CPU_REST_${target})
      set(stub int8_target.cpp)
    endif()
    set(kernels neural_attention_cpu_${target})
    add_library(${kernels} OBJECT "${stub_dir}/cpu/${stub}")
    target_compile_definitions(${kernels} PRIVATE NEURAL_ATTENTION_COMPILED=1 NEURAL_ATTENTION_CPU_TARGET=${target})
    target_link_libraries(${kernels} PRIVATE neural_attention::neural_attention)
    # Without optimisation at link time, which would see the names of before.
    target_compile_options(${kernels} PRIVATE ${NEURAL_ATTENTION_CPU_OPTIONS_${target}} -fno-lto)
    neural_attention_optimise_compiled(${kernels} "${stub_dir}/cpu/${stub}")
    # A list: without a launcher of the user's, no empty word at its end.
    set(launcher sh "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/isolate_target.sh" ${target} "${CMAKE_NM}" "${CMAKE_OBJCOPY}"
      ${CMAKE_CXX_COMPILER_LAUNCHER})
    get_target_property(excluded neural_attention_compiled EXCLUDE_FROM_ALL)
    set_target_properties(${kernels} PROPERTIES
      POSITION_INDEPENDENT_CODE ON INTERPROCEDURAL_OPTIMIZATION OFF EXCLUDE_FROM_ALL "${excluded}"
      CXX_COMPILER_LAUNCHER "${launcher}")
    target_sources(neural_attention_compiled PRIVATE "$<TARGET_OBJECTS:${kernels}>")
  endforeach()
  list(JOIN targets "," targets)
  target_compile_definitions(neural_attention_compiled PRIVATE "NEURAL_ATTENTION_CPU_TARGETS=${targets}")
  set_target_properties(neural_attention_compiled PROPERTIES NEURAL_ATTENTION_CPU_TARGETS "${targets}")
endfunction()
