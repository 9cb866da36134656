# Whether the models of the small study have learned something: -DRUNS=<runs.csv>. Verdicts on translators that translate
# nothing say nothing.
cmake_minimum_required(VERSION 3.25)
set(least 20)
file(READ "${RUNS}" runs)
# run, kind, arm, setting, seed, parameters, steps, seconds, valid_loss, bleu
foreach(seed IN ITEMS 1 2 3)
  string(REGEX MATCH "\nlinear-seed${seed},final,linear,[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,([0-9.]+)," found "${runs}")
  if(NOT found OR CMAKE_MATCH_1 LESS least)
    message(FATAL_ERROR
      "${RUNS}: linear-seed${seed} must reach a test BLEU of ${least}, but has \"${CMAKE_MATCH_1}\"")
  endif()
endforeach()
