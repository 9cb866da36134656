# A small study from beginning to end: do neural projections help a translator of the demo's sentences? Called with
# -DSTUDY=<the program projector_study> -DFOLDER=<where the study goes>; a study that is there goes on.
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${FOLDER}")
function(study)
  execute_process(COMMAND "${STUDY}" ${ARGN} WORKING_DIRECTORY "${FOLDER}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(WRITE "${FOLDER}/sizes.json" [[{
  "d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
  "encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "xavier_init": true
}
]])
if(NOT EXISTS "${FOLDER}/grammar.json")
  study(init --task translation --data grammar --arms linear,neural,nonlinear_query --output grammar.json --seeds 3
    --tune learning_rate=0.002/0.004
    --flags config=sizes.json,vocab_size=1000,dropout=0,mini_batch_words=400,max_steps=1000,warmup_steps=200,adam_beta2=0.98,eval_steps=250,save_steps=500)
endif()
study(plan grammar.json)
study(run grammar.json --jobs 2)
study(report grammar.json)
