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

// Waits for all threads of the block; returns how many came with a value other than zero.
unsigned block_barrier(const char* name, unsigned value, Place at);

// Waits for the lanes of the mask; gives the value that the source lane brought, and a bit for each lane whose value is not zero.
struct Exchanged {
  unsigned long long value;
  unsigned nonzero;
};
Exchanged warp_exchange(const char* name, unsigned mask, unsigned long long value, unsigned source, Place at);

unsigned lane();  // of the calling thread in its warp

extern unsigned char shared_memory[];  // the dynamic part

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

inline void __syncthreads(emulator::Place at = {}) { emulator::block_barrier("__syncthreads", 0, at); }
inline int __syncthreads_count(int is, emulator::Place at = {}) { return emulator::block_barrier("__syncthreads_count", is != 0, at); }
inline int __syncthreads_or(int is, emulator::Place at = {}) { return emulator::block_barrier("__syncthreads_or", is != 0, at) != 0; }
inline int __syncthreads_and(int is, emulator::Place at = {}) { return emulator::block_barrier("__syncthreads_and", is == 0, at) == 0; }

// --- warps ---

namespace emulator {

inline unsigned vote(const char* name, unsigned mask, bool is, Place at) { return warp_exchange(name, mask, is, lane(), at).nonzero; }

template <class T>
T shuffle(const char* name, unsigned mask, T value, unsigned source, Place at) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(name, mask, bits, source, at).value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// Of the `width` lanes that the calling lane shuffles with.
inline unsigned first_lane(int width) { return lane() & ~(width - 1); }
inline unsigned last_lane(int width) { return first_lane(width) + width - 1; }

}  // namespace emulator

inline void __syncwarp(unsigned mask = 0xffffffff, emulator::Place at = {}) { emulator::vote("__syncwarp", mask, false, at); }
inline unsigned __ballot_sync(unsigned mask, int is, emulator::Place at = {}) { return emulator::vote("__ballot_sync", mask, is != 0, at); }
inline int __any_sync(unsigned mask, int is, emulator::Place at = {}) { return emulator::vote("__any_sync", mask, is != 0, at) != 0; }
inline int __all_sync(unsigned mask, int is, emulator::Place at = {}) { return emulator::vote("__all_sync", mask, is == 0, at) == 0; }

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, emulator::Place at = {}) {
  return emulator::shuffle("__shfl_sync", mask, value, emulator::first_lane(width) + (source & (width - 1)), at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, emulator::Place at = {}) {
  const unsigned own = emulator::lane(), source = own - delta;
  return emulator::shuffle("__shfl_up_sync", mask, value, own >= emulator::first_lane(width) + delta ? source : own, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, emulator::Place at = {}) {
  const unsigned own = emulator::lane(), source = own + delta;
  return emulator::shuffle("__shfl_down_sync", mask, value, source <= emulator::last_lane(width) ? source : own, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, emulator::Place at = {}) {
  const unsigned own = emulator::lane(), source = own ^ lane_mask;
  return emulator::shuffle("__shfl_xor_sync", mask, value, source <= emulator::last_lane(width) ? source : own, at);
}

// --- atomics: threads only change places in barriers and warp collectives ---

#define ATOMIC(T, name, expression)                    \
  inline T name(T* address, T value) {                 \
    const T old = *address;                            \
    return *address = expression, old;                 \
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

// Of a number and what is not a number, the number.
template <class A, class B, class T = std::common_type_t<A, B>>
T min(A a, B b) {
  if constexpr (std::is_floating_point_v<T>) return fmin(T(a), T(b));
  else return T(a) < T(b) ? a : b;
}
template <class A, class B, class T = std::common_type_t<A, B>>
T max(A a, B b) {
  if constexpr (std::is_floating_point_v<T>) return fmax(T(a), T(b));
  else return T(a) > T(b) ? a : b;
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
