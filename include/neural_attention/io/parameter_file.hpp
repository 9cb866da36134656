// The parameters of a store to and from one safetensors file, by name.
#pragma once

#include <string>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/load_tensors.hpp"
#include "neural_attention/io/save_tensors.hpp"

namespace neural_attention::io {

template <class B>
void save_parameters(const std::string& path, B& backend, const ParameterStore<B>& store) {
  save_tensors<B, typename B::Real>(path, backend, store, {{"", store.values(), true}});
}

template <class B>
void load_parameters(const std::string& path, B& backend, const ParameterStore<B>& store) {
  load_tensors<B, typename B::Real>(path, backend, store, {{"", store.values(), true}});
  store.refresh();
}

}  // namespace neural_attention::io
