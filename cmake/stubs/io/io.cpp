// Compiles the component io once, for programs that link neural_attention::compiled.
#include "neural_attention/io/impl/atomic_file.hpp"
#include "neural_attention/io/impl/generation_config_json.hpp"
#include "neural_attention/io/impl/gpt2_config_json.hpp"
#include "neural_attention/io/impl/int8_tensors.hpp"
#include "neural_attention/io/impl/json_file.hpp"
#include "neural_attention/io/impl/json_parser.hpp"
#include "neural_attention/io/impl/load_model.hpp"
#include "neural_attention/io/impl/load_tensors.hpp"
#include "neural_attention/io/impl/mapped_file.hpp"
#include "neural_attention/io/impl/marian_config_json.hpp"
#include "neural_attention/io/impl/model_config_json.hpp"
#include "neural_attention/io/impl/model_directory.hpp"
#include "neural_attention/io/impl/platform.hpp"
#include "neural_attention/io/impl/roberta_config_json.hpp"
#include "neural_attention/io/impl/safetensors.hpp"
#include "neural_attention/io/impl/safetensors_header.hpp"
#include "neural_attention/io/impl/save_model.hpp"
#include "neural_attention/io/impl/staged_files.hpp"
#include "neural_attention/io/impl/tensor_files.hpp"
#include "neural_attention/models/paper.hpp"

namespace neural_attention::io {

template void SafetensorsFile::read(const TensorInfo&, std::size_t, std::size_t, float*) const;
template void SafetensorsFile::read(const TensorInfo&, std::size_t, std::size_t, double*) const;

template nlohmann::ordered_json to_json(const MarianConfig&);
template MarianConfig model_config(const nlohmann::json&, const std::string&, MarianConfig);
template MarianConfig load_config(const std::string&);
template void detail::stage_config(detail::StagedFiles&, const MarianConfig&, const char*, bool);

template nlohmann::ordered_json to_json(const RobertaConfig&);
template RobertaConfig model_config(const nlohmann::json&, const std::string&, RobertaConfig);
template RobertaConfig load_config(const std::string&);
template void detail::stage_config(detail::StagedFiles&, const RobertaConfig&, const char*, bool);

template nlohmann::ordered_json to_json(const Gpt2Config&);
template Gpt2Config model_config(const nlohmann::json&, const std::string&, Gpt2Config);
template Gpt2Config load_config(const std::string&);
template void detail::stage_config(detail::StagedFiles&, const Gpt2Config&, const char*, bool);

}  // namespace neural_attention::io
