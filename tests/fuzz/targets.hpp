// The readers under test, one function each: true where the file was taken, false where it was refused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/metric_rows.hpp"
#include "fuzz/byte_bpe_targets.hpp"
#include "fuzz/fuzz_target.hpp"
#include "neural_attention/core/utf8.hpp"
#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/gpt2_config_json.hpp"
#include "neural_attention/io/json_file.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/io/safetensors.hpp"
#include "neural_attention/io/tensor_files.hpp"
#include "neural_attention/text/data/iwslt.hpp"
#include "neural_attention/text/data/token_file.hpp"
#include "neural_attention/text/tokenizers/marian_tokenizer.hpp"
#include "neural_attention/text/tokenizers/marian_vocabulary.hpp"
#include "neural_attention/text/tokenizers/sentencepiece.hpp"
#include "neural_attention/trainer/checkpoint.hpp"

namespace fuzz {

namespace io = neural_attention::io;

/// A folder that goes when it is destroyed.
class ScratchFolder {
 public:
  ScratchFolder() {
    auto name = (std::filesystem::temp_directory_path() / "neural_attention_fuzz_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A folder with two shards, and an index that may be any file.
class ShardFolder {
 public:
  ShardFolder() {
    const std::array<float, 2> values = {1, 2};
    const auto write = [&](const char* file, std::initializer_list<const char*> names) {
      std::vector<io::TensorToWrite> tensors;
      for (const auto* tensor : names) tensors.push_back({tensor, io::DType::F32, {2}, values.data()});
      io::write_safetensors(folder_.path() / file, tensors);
    };
    write("a.safetensors", {"x", "y"});
    write("b.safetensors", {"z"});
  }

  std::string path() const { return folder_.path().string(); }

  void set_index(const std::string& file) const {
    const auto index = folder_.path() / io::model_index_file;
    std::filesystem::remove(index);
    std::filesystem::create_symlink(file, index);
  }

 private:
  ScratchFolder folder_;
};

/// Opens, lists and reads every tensor in each type. What was taken covers the file, and writing it again gives the
/// same tensors.
inline bool safetensors(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const io::SafetensorsFile file(name);
    std::size_t end = 0;
    std::vector<io::TensorToWrite> again;
    for (const auto& tensor : file.tensors()) {
      require(file.find(tensor.name) == &tensor, "a tensor is found by its name");
      require(tensor.offset == end, "tensors follow each other");
      const auto bytes = file.data(tensor);
      require(bytes.size() == tensor.bytes && io::detail::tensor_bytes(tensor.dtype, tensor.shape) == tensor.bytes,
              "a tensor has the bytes of its shape");
      end += tensor.bytes;
      const std::size_t count = tensor.bytes / io::dtype_bytes(tensor.dtype);
      const auto read = [&]<class T>(std::vector<T> values) {
        values.resize(count);
        file.read(tensor, values.data());
      };
      const auto type = io::dtype_name(tensor.dtype);
      const bool integers = type[0] == 'I' || type[0] == 'U', opaque = type == "BOOL" || type.starts_with("F8");
      // Integers may be too large for a float, and floats are never given as integers: these are refusals, no damage.
      const bool as_float = reads(name, [&](const std::string&) { read(std::vector<float>{}); });
      const bool as_double = reads(name, [&](const std::string&) { read(std::vector<double>{}); });
      const bool as_integer = reads(name, [&](const std::string&) { read(std::vector<std::int64_t>{}); });
      const bool of_64_bits = type == "U64";  // may exceed a signed integer
      require(opaque     ? !as_integer && !as_float && !as_double
              : integers ? (as_integer || of_64_bits) && (as_double || !as_float)
                         : as_float && as_double && !as_integer,
              "a tensor can be read as what it holds");
      again.push_back({tensor.name, tensor.dtype, tensor.shape, bytes.data()});
    }
    const auto header = [&] {
      std::vector<const io::TensorToWrite*> order;
      for (const auto& tensor : again) order.push_back(&tensor);
      return io::detail::safetensors_header(order, file.metadata(), name);
    }();
    const auto parsed = io::detail::parse_safetensors_header(std::string_view(header).substr(8), end, name);
    require(parsed.tensors.size() == again.size() && parsed.metadata == file.metadata(), "a file can be written again");
    for (const auto& tensor : parsed.tensors) {
      const auto* original = file.find(tensor.name);
      require(original != nullptr && original->shape == tensor.shape && original->dtype == tensor.dtype &&
                  original->offset == tensor.offset,
              "a tensor written again is the same");
    }
  });
}

/// config.json: what was taken makes sense, and comes back from what we would write.
template <class Config>
bool model_config(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const auto config = io::load_config<Config>(name);
    if (config.vocab_size > 0) config.validate();
    const auto written = io::to_json(config).dump();
    const auto again = io::model_config(io::parse_json(written, name), name, Config());
    require(io::to_json(again).dump() == written, "a config written again is the same");
  });
}
inline bool marian_config(const std::string& path) { return model_config<neural_attention::MarianConfig>(path); }
inline bool roberta_config(const std::string& path) { return model_config<neural_attention::RobertaConfig>(path); }
inline bool gpt2_config(const std::string& path) { return model_config<neural_attention::Gpt2Config>(path); }

/// generation_config.json: what was taken makes sense, and comes back from what we would write.
inline bool generation_config(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const auto config = io::generation_config(io::read_json(name), name);
    io::check_generation(config, config, 100'000);
    const auto written = io::to_json(config).dump();
    const auto again = io::generation_config(io::parse_json(written, name), name);
    require(io::to_json(again).dump() == written, "a config written again is the same");
  });
}

/// model.safetensors.index.json beside two shards, a.safetensors with the tensors x and y, and b.safetensors with z:
/// what was taken names every one of them, and no file outside the folder was opened.
inline bool shard_index(const std::string& path) {
  static const ShardFolder folder;
  folder.set_index(path);
  return reads_in(folder.path(), [](const std::string& name) {
    const auto files = io::TensorFiles::in_directory(name);
    std::size_t count = 0;
    files.for_each([&](const std::string& tensor, const io::TensorInfo& info) {
      ++count;
      require(files.find(tensor) == &info, "a tensor is found by its name");
      require(files.file_of(tensor).find(tensor) == &info, "a tensor is in the file that it is said to be in");
    });
    require(count >= 1 && count <= 3, "a model has the tensors of its shards");
  });
}

/// vocab.json: ids that lead to the pieces and back.
inline bool vocabulary(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const auto vocabulary = neural_attention::text::MarianVocabulary::load(name);
    require(vocabulary.size() >= 3, "a vocabulary has its special pieces");
    for (int id = 0; id < vocabulary.size(); ++id)
      require(!vocabulary.has_piece(id) || vocabulary.id(vocabulary.piece(id)) == id, "a piece leads back to its id");
    require(vocabulary.is_special(vocabulary.eos_id()) && vocabulary.is_special(vocabulary.pad_id()) &&
                vocabulary.is_special(vocabulary.unk_id()),
            "the special pieces are special");
  });
}

inline bool tokenizer_config(const std::string& path) {
  return reads(path, [](const std::string& name) { neural_attention::text::read_clean_up_spaces(name); });
}

/// An IWSLT test set: what was taken is text, and every segment has its place.
inline bool iwslt_xml(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const auto segments = neural_attention::text::read_iwslt_segments(name);
    require(!segments.empty(), "a test set has segments");
    for (std::size_t i = 0; i < segments.size(); ++i) {
      std::size_t bad = 0;
      require(neural_attention::valid_utf8(segments[i].text, bad), "a segment is UTF-8");
      require(segments[i].text.find('\n') == std::string::npos, "a segment is one line");
      require(segments[i].line >= (i == 0 ? 1 : segments[i - 1].line), "segments come in the order of their lines");
    }
  });
}

/// A SentencePiece model: what was taken encodes any text without damage, and its pieces lead back to text.
inline bool sentencepiece(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const neural_attention::text::SentencePiece model(name);
    require(model.size() > 0, "a model has pieces");
    for (const std::string_view line :
         {"", "a b  c", "Abba cab \uff21\ufb01 \u00a0e\u0301", "\xff\xc3(\xe2\x82", "<0x41>\t\n"}) {
      const auto pieces = model.pieces(line);
      require(pieces.size() == model.ids(line).size(), "a text has as many ids as pieces");
      model.decode(pieces);
    }
    for (int id = 0; id < model.size(); ++id) require(!model.piece(id).empty(), "a piece has characters");
  });
}

/// metrics.jsonl of a run that is resumed: what was taken is written again as it was read.
inline bool metrics(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const std::vector<std::string> columns = {"step", "loss", "valid_bleu"};
    static const MemoryFile again;
    const auto rows = examples::read_metric_rows(name, columns, 1000);
    std::string text;
    for (const auto& row : rows) text += io::json_text(row, name) + "\n";
    again.replace(text);
    require(examples::read_metric_rows(again.path(), columns, 1000) == rows, "rows written again are the same");
  });
}

inline bool trainer_state(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const auto position = neural_attention::read_position(name);
    require(position.step >= 0 && position.epoch >= 0 && position.batch >= 0, "a position is not negative");
  });
}

/// Ids that were taken are in the vocabulary, and written again they are the same.
inline bool token_file(const std::string& path) {
  return reads(path, [](const std::string& name) {
    const neural_attention::text::TokenVocabulary vocabulary{300, "0123456789abcdef"};
    const neural_attention::text::TokenFile file(name, vocabulary);
    std::vector<int> ids(file.size());
    file.read(0, ids);
    static const ScratchFolder folder;
    neural_attention::text::TokenFileWriter writer(folder.path() / "again", vocabulary);
    writer.add(ids);
    writer.commit();
    std::vector<int> again(ids.size());
    neural_attention::text::TokenFile(folder.path() / "again", vocabulary).read(0, again);
    require(again == ids, "tokens written again are the same");
  });
}

struct Target {
  const char* name;  // of its corpus and its program
  bool (*read)(const std::string& path);
};

inline constexpr Target targets[] = {{"safetensors", safetensors},
                                     {"marian_config", marian_config},
                                     {"roberta_config", roberta_config},
                                     {"gpt2_config", gpt2_config},
                                     {"generation_config", generation_config},
                                     {"shard_index", shard_index},
                                     {"vocabulary", vocabulary},
                                     {"tokenizer_config", tokenizer_config},
                                     {"iwslt_xml", iwslt_xml},
                                     {"byte_bpe", byte_bpe},
                                     {"tokenizer_json", tokenizer_json},
                                     {"merges", merges},
                                     {"sentencepiece", sentencepiece},
                                     {"metrics", metrics},
                                     {"trainer_state", trainer_state},
                                     {"token_file", token_file}};

}  // namespace fuzz
