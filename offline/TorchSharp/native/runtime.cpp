// The process rather than its tensors: threads, random numbers, default dtype and CUDA as operators; the thread's modes as functions.
#include "blas.h"
#include "shim.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>
#include <torch/library.h>

#include <cstdio>

TORCH_LIBRARY_FRAGMENT(shim, library) {
  library.def("get_num_threads", [] { return static_cast<int64_t>(at::get_num_threads()); });
  library.def("set_num_threads", [](int64_t count) { at::set_num_threads(static_cast<int>(count)); });
  library.def("get_num_interop_threads", [] { return static_cast<int64_t>(at::get_num_interop_threads()); });
  library.def("set_num_interop_threads", [](int64_t count) { at::set_num_interop_threads(static_cast<int>(count)); });

  library.def("default_generator", [] { return at::detail::getDefaultCPUGenerator(); });
  library.def("new_generator", [](int64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); });
  library.def("initial_seed", [](at::Generator generator) { return static_cast<int64_t>(generator.current_seed()); });
  library.def("set_seed", [](at::Generator generator, int64_t seed) {
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed));
  });
  library.def("get_state", [](at::Generator generator) {
    std::lock_guard<std::mutex> lock(generator.mutex());
    return generator.get_state();
  });
  library.def("set_state", [](at::Generator generator, at::Tensor state) {
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  });

  library.def("get_default_dtype", [] { return static_cast<int64_t>(c10::get_default_dtype_as_scalartype()); });
  library.def("set_default_dtype", [](int64_t dtype) { c10::set_default_dtype(c10::scalarTypeToTypeMeta(c10::ScalarType(dtype))); });

  library.def("cuda_device_count", [] { return static_cast<int64_t>(torch::cuda::device_count()); });
  library.def("cuda_manual_seed_all", [](int64_t seed) {
    if (torch::cuda::is_available()) torch::cuda::manual_seed_all(static_cast<uint64_t>(seed));
  });
  library.def("cuda_synchronize", [](int64_t device) { torch::cuda::synchronize(device); });
  library.def("get_allow_tf32", [] { return static_cast<int64_t>(at::globalContext().allowTF32CuBLAS()); });
  library.def("set_allow_tf32", [](bool allow) { at::globalContext().setAllowTF32CuBLAS(allow); });
}

// Once, at the first use: a slow BLAS makes everything else look slow, and nothing else tells.
SHIM_API void torch_warn_of_slow_blas() {
  const double speed = blas::gigaflops(256, 3);
  if (speed < blas::slow) std::fprintf(stderr, "TorchSharp: the BLAS multiplies at %.0f GFLOP/s. %s\n", speed, blas::advice);
}

SHIM_API uint8_t torch_is_grad_enabled() { return c10::GradMode::is_enabled(); }

SHIM_API void torch_set_grad_enabled(uint8_t enabled) { c10::GradMode::set_enabled(enabled); }

SHIM_API c10::InferenceMode* torch_enter_inference_mode(uint8_t enabled) { return new c10::InferenceMode(enabled); }

SHIM_API void torch_leave_inference_mode(c10::InferenceMode* mode) { delete mode; }

SHIM_API uint8_t torch_is_inference_mode_enabled() { return c10::InferenceMode::is_enabled(); }

SHIM_API void torch_generator_free(c10::GeneratorImpl* generator) { c10::intrusive_ptr<c10::GeneratorImpl>::reclaim(generator); }
