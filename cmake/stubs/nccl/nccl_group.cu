// What nccl/nccl_group.hpp declares, for neural_attention::nccl: all that calls NCCL.
#include <algorithm>

#include "gpu_exchanges.cuh"
#include "neural_attention/backend/cuda/cuda_device.cuh"
#include "neural_attention/nccl/nccl_group.hpp"

namespace neural_attention {

struct NcclGroup::Connection : nccl_detail::GpuExchanges {
  using GpuExchanges::GpuExchanges;
};

namespace nccl_detail {

/// Throws ConfigError, on all ranks, if one finds no free GPU.
inline int gpu_of_this_rank(MpiGroup& ranks) {
  std::string mine;
  std::size_t length = 0;
  for (const auto& id : cuda_backend::device_ids()) {
    mine += id;
    length = id.size();
  }
  std::vector<std::vector<std::string>> seen;
  for (const auto& ids : ranks.gather(std::string_view(mine))) {
    auto& of_rank = seen.emplace_back();
    for (std::size_t begin = 0; begin < ids.size(); begin += length) of_rank.push_back(ids.substr(begin, length));
  }
  for (int r = 0; r < ranks.size(); ++r)
    if (gpu_of_rank(seen, r) < 0)
      throw ConfigError(ranks.name(r) + " has no GPU: it sees " +
                        std::to_string(seen[static_cast<std::size_t>(r)].size()) +
                        ", and the ranks before it have taken them; start no more ranks on a host than it has GPUs");
  return gpu_of_rank(seen, ranks.rank());
}

}  // namespace nccl_detail

NcclGroup::NcclGroup(MpiGroup& ranks, const NcclOptions& options) : ranks_(&ranks) {
  if (ranks.size() == 1) return;
  default_cuda_device = nccl_detail::gpu_of_this_rank(ranks);
  connection_ = std::make_unique<Connection>(ranks, default_cuda_device, options);
  connection_->join();
}

NcclGroup::~NcclGroup() = default;

template <class T>
void NcclGroup::begin(Cuda<T>& backend, Exchange exchange, RowsOf<float> x) {
  if (connection_) connection_->begin(backend.device().stream, exchange, x);
}

void NcclGroup::finish() {
  if (connection_) connection_->finish();
}

void NcclGroup::abandon() noexcept {
  if (connection_) connection_->abandon();
}

template <class T>
void NcclGroup::sum_outcomes(Cuda<T>& backend, StepOutcome* outcome, bool has, double squared_norm) {
  if (!connection_) return;
  auto& device = backend.device();
  auto sum = device.on_host(outcome, 1)[0];
  ranks_->sum_outcomes(sum, has, squared_norm);
  cuda_backend::copy(outcome, sizeof sum, &sum, sizeof sum, sizeof sum, 1, device.stream);
  cuda_backend::wait(device.stream);  // `sum` goes
}

template void NcclGroup::begin(Cuda<float>&, Exchange, RowsOf<float>);
template void NcclGroup::begin(Cuda<bfloat16>&, Exchange, RowsOf<float>);
template void NcclGroup::sum_outcomes(Cuda<float>&, StepOutcome*, bool, double);
template void NcclGroup::sum_outcomes(Cuda<bfloat16>&, StepOutcome*, bool, double);

}  // namespace neural_attention
