// Instantiates once how the paper's models are read and written, for programs that link neural_attention::compiled.
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/paper.hpp"

namespace neural_attention::io {

template void check_model_files<paper::Marian>(const std::string&, const MarianConfig&, const LoadOptions&);
template LoadReport load_model(const std::string&, Cpu<float>&, paper::Marian&, const LoadOptions&);
template void save_description(const std::string&, const paper::Marian&, const std::optional<GenerationConfig>&);
template void save_model(const std::string&, Cpu<float>&, const paper::Marian&, const std::optional<GenerationConfig>&,
                         std::uint64_t, std::span<const NamedFile>);

template void check_model_files<paper::Roberta>(const std::string&, const RobertaConfig&, const LoadOptions&);
template LoadReport load_model(const std::string&, Cpu<float>&, paper::Roberta&, const LoadOptions&);
template void save_description(const std::string&, const paper::Roberta&, const std::optional<GenerationConfig>&);
template void save_model(const std::string&, Cpu<float>&, const paper::Roberta&, const std::optional<GenerationConfig>&,
                         std::uint64_t, std::span<const NamedFile>);

}  // namespace neural_attention::io
