// Dropout: of each number, a random one decides whether it becomes zero.
//
// Random numbers are those of Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), which makes four of a seed and a place: the same
// seed gives the same mask, forward and backward, on any GPU.
//
// Constant: Number, the type of what is given and put out, float or bfloat16.

struct Dropout {
  const Number* from;
  Number* to;
  long long count;
  unsigned seed, threshold;  // What draws below the threshold is dropped.
  float scale;
};

__device__ unsigned high_product(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32); }

__device__ uint4 philox(unsigned seed, unsigned long long place) {
  uint4 drawn = make_uint4(static_cast<unsigned>(place), static_cast<unsigned>(place >> 32), 0, 0);
  uint2 key = make_uint2(seed, 0);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned first = 0xD2511F53, second = 0xCD9E8D57;
    drawn = make_uint4(high_product(second, drawn.z) ^ drawn.y ^ key.x, second * drawn.z, high_product(first, drawn.x) ^ drawn.w ^ key.y, first * drawn.x);
    key = make_uint2(key.x + 0x9E3779B9, key.y + 0xBB67AE85);
  }
  return drawn;
}

// A block for so many numbers that each of its threads has four.
KERNEL(drop, Dropout) {
  const long long first = static_cast<long long>(blockIdx.x) * 4 * THREADS + threadIdx.x;
  const uint4 all = philox(p.seed, static_cast<unsigned long long>(blockIdx.x) * THREADS + threadIdx.x);
  const unsigned drawn[] = {all.x, all.y, all.z, all.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const long long at = first + i * THREADS;
    if (at < p.count) store(p.to + at, drawn[i] < p.threshold ? 0 : p.scale * to_float(p.from[at]));
  }
}
