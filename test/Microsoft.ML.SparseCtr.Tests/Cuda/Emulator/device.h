// What a kernel's source finds when it is compiled for the CPU: the CUDA C++ that our kernels use, as C++17.
#pragma once

#include <math.h>
#include <stdlib.h>

#include <type_traits>

// --- words of the language ---

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// One block runs at a time, on one OS thread, and the emulator finds all that is thread_local to fill it before each block.
// (nvrtcCompileProgram rewrites `extern __shared__ T name[]`.)
#define __shared__ thread_local

// --- types ---

#define VECTORS(T, name, alignment2, alignment4)                                                  \
  struct alignas(alignment2) name##2 { T x, y; };                                                 \
  struct name##3 { T x, y, z; };                                                                  \
  struct alignas(alignment4) name##4 { T x, y, z, w; };                                           \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                      \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                              \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTORS(unsigned short, ushort, 4, 8)
VECTORS(int, int, 8, 16)
VECTORS(unsigned, uint, 8, 16)
VECTORS(float, float, 8, 16)
VECTORS(long long, longlong, 16, 16)
VECTORS(double, double, 16, 16)
#undef VECTORS

using dim3 = uint3;

// --- the emulator's side (execution.cpp) ---

namespace emulator {

// A kernel as the library of its module exports it.
struct Kernel {
  void (*run)(const void* parameters);
  unsigned max_threads;
};

// A place in a kernel's source. As a default argument, {} is the place of the call.
struct Place {
  const char* file;
  int line;

  Place(const char* file = __builtin_FILE(), int line = __builtin_LINE()) : file(file), line(line) {}
};

// Waits for all threads of the block; returns how many came with a true predicate.
unsigned block_barrier(const char* name, bool predicate, Place place);

// Waits for the lanes of the mask; gives the value that the source lane brought, and a bit for each lane whose value is not zero.
struct Exchanged {
  unsigned long long value;
  unsigned nonzero;
};
Exchanged warp_exchange(const char* name, unsigned mask, unsigned long long value, unsigned source, Place place);

unsigned lane();

extern unsigned char shared_memory[];

}  // namespace emulator

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// One by-value struct is all that a kernel takes, as `p`. THREADS is its __launch_bounds__.
#define KERNEL(name, Parameters)                                             \
  static void name(const Parameters p);                                      \
  extern "C" {                                                               \
  extern const emulator::Kernel name##_kernel;                               \
  const emulator::Kernel name##_kernel = {                                   \
      [](const void* parameters) {                                           \
        Parameters copy;                                                     \
        __builtin_memcpy(&copy, parameters, sizeof copy);                    \
        name(copy);                                                          \
      },                                                                     \
      THREADS};                                                              \
  }                                                                          \
  static void name([[maybe_unused]] const Parameters p)

// --- barriers ---

inline void __syncthreads(emulator::Place place = {}) { emulator::block_barrier("__syncthreads", true, place); }
inline int __syncthreads_count(int predicate, emulator::Place place = {}) {
  return emulator::block_barrier("__syncthreads_count", predicate, place);
}
inline int __syncthreads_or(int predicate, emulator::Place place = {}) {
  return emulator::block_barrier("__syncthreads_or", predicate, place) > 0;
}
inline int __syncthreads_and(int predicate, emulator::Place place = {}) {
  return emulator::block_barrier("__syncthreads_and", !predicate, place) == 0;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- warps ---

inline void __syncwarp(unsigned mask = 0xffffffff, emulator::Place place = {}) {
  emulator::warp_exchange("__syncwarp", mask, 0, emulator::lane(), place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, emulator::Place place = {}) {
  return emulator::warp_exchange("__ballot_sync", mask, predicate != 0, emulator::lane(), place).nonzero;
}
inline int __any_sync(unsigned mask, int predicate, emulator::Place place = {}) {
  return emulator::warp_exchange("__any_sync", mask, predicate != 0, emulator::lane(), place).nonzero != 0;
}
inline int __all_sync(unsigned mask, int predicate, emulator::Place place = {}) {
  return emulator::warp_exchange("__all_sync", mask, predicate == 0, emulator::lane(), place).nonzero == 0;
}

namespace emulator {

template <class T>
T shuffle(const char* name, unsigned mask, T value, unsigned source, Place place) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(name, mask, bits, source, place).value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// Of the segment of `width` lanes that the calling lane is in.
inline unsigned first_lane(int width) { return lane() & ~(width - 1); }
inline unsigned last_lane(int width) { return first_lane(width) + width - 1; }

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, emulator::Place place = {}) {
  return emulator::shuffle("__shfl_sync", mask, value, emulator::first_lane(width) + (source & (width - 1)), place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, emulator::Place place = {}) {
  const unsigned own = emulator::lane(), source = own - delta;
  return emulator::shuffle("__shfl_up_sync", mask, value, own >= emulator::first_lane(width) + delta ? source : own, place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, emulator::Place place = {}) {
  const unsigned own = emulator::lane(), source = own + delta;
  return emulator::shuffle("__shfl_down_sync", mask, value, source <= emulator::last_lane(width) ? source : own, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, emulator::Place place = {}) {
  const unsigned own = emulator::lane(), source = own ^ lane_mask;
  return emulator::shuffle("__shfl_xor_sync", mask, value, source <= emulator::last_lane(width) ? source : own, place);
}

// --- atomics: threads only change places in barriers and warp collectives ---

#define ATOMIC(T, name, expression)                    \
  inline T name(T* address, T value) {                 \
    const T old = *address;                            \
    *address = expression;                             \
    return old;                                        \
  }
#define ATOMICS_OF_INTEGERS(T)                         \
  ATOMIC(T, atomicAdd, old + value)                    \
  ATOMIC(T, atomicExch, value)                         \
  ATOMIC(T, atomicMax, old > value ? old : value)      \
  ATOMIC(T, atomicMin, old < value ? old : value)      \
  inline T atomicCAS(T* address, T compare, T value) { \
    const T old = *address;                            \
    if (old == compare) *address = value;              \
    return old;                                        \
  }
ATOMICS_OF_INTEGERS(int)
ATOMICS_OF_INTEGERS(unsigned)
ATOMICS_OF_INTEGERS(unsigned long long)
ATOMIC(float, atomicAdd, old + value)
ATOMIC(float, atomicExch, value)
ATOMIC(double, atomicAdd, old + value)
#undef ATOMICS_OF_INTEGERS
#undef ATOMIC

// --- arithmetic ---

template <class A, class B>
auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return static_cast<T>(fmin(static_cast<T>(a), static_cast<T>(b)));
  else return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(a) : static_cast<T>(b);
}
template <class A, class B>
auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return static_cast<T>(fmax(static_cast<T>(a), static_cast<T>(b)));
  else return static_cast<T>(a) > static_cast<T>(b) ? static_cast<T>(a) : static_cast<T>(b);
}

inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
template <class T>
T __ldg(const T* address) { return *address; }

namespace emulator {

template <class To, class From>
To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  __builtin_memcpy(&result, &value, sizeof value);
  return result;
}

}  // namespace emulator

inline unsigned __float_as_uint(float x) { return emulator::bits_as<unsigned>(x); }
inline int __float_as_int(float x) { return emulator::bits_as<int>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits_as<float>(x); }
inline float __int_as_float(int x) { return emulator::bits_as<float>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
