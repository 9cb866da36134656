// The functions of cuBLASLt that products need. They are loaded when the first device is used, so that a program that
// is built with CUDA starts on machines without NVIDIA's libraries.
#pragma once

#if defined(__CUDACC__)
#include <cublasLt.h>
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#include "neural_attention/core/errors.hpp"

namespace neural_attention::cuda_backend {

class CublasLt {
 public:
  /// Throws DeviceError if the library or one of its functions is missing; the next call tries again.
  static const CublasLt& loaded() {
    static const CublasLt functions;
    return functions;
  }

  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtDestroy) destroy;
  decltype(&::cublasLtGetStatusString) status_string;
  decltype(&::cublasLtMatmul) matmul;
  // What the header's inline functions of these names call.
  decltype(&::cublasLtMatmulDescInit_internal) description_init;
  decltype(&::cublasLtMatrixLayoutInit_internal) layout_init;
  decltype(&::cublasLtMatmulPreferenceInit_internal) preference_init;
  decltype(&::cublasLtMatmulDescSetAttribute) description_set;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;

 private:
  CublasLt() {
    void* const library = open();
    const auto load = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (!function) throw DeviceError(library_name() + " has no function " + name);
    };
    load(create, "cublasLtCreate");
    load(destroy, "cublasLtDestroy");
    load(status_string, "cublasLtGetStatusString");
    load(matmul, "cublasLtMatmul");
    load(description_init, "cublasLtMatmulDescInit_internal");
    load(layout_init, "cublasLtMatrixLayoutInit_internal");
    load(preference_init, "cublasLtMatmulPreferenceInit_internal");
    load(description_set, "cublasLtMatmulDescSetAttribute");
    load(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    load(heuristic, "cublasLtMatmulAlgoGetHeuristic");
  }

  static std::string library_name() { return "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR); }

  /// Looks where the dynamic linker looks, then in the toolkit's usual places. The library stays open: handles outlive
  /// every scope.
  static void* open() {
    std::vector<std::string> places = {library_name()};
    for (const char* variable : {"CUDA_PATH", "CUDA_HOME"})
      if (const char* toolkit = std::getenv(variable)) places.push_back(toolkit + ("/lib64/" + library_name()));
    places.push_back("/usr/local/cuda/lib64/" + library_name());
    std::string reason;
    for (const auto& place : places) {
      if (void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
      if (reason.empty()) reason = dlerror();
    }
    throw DeviceError("NVIDIA's library of matrix products cannot be loaded: " + reason +
                      " (it is a part of CUDA; LD_LIBRARY_PATH can name its folder)");
  }
};

}  // namespace neural_attention::cuda_backend
#endif
