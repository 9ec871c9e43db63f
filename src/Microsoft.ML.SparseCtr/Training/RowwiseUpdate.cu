// Training of a table of embeddings by the rows that a step looks up (RowwiseOptimizer): rows catch up on the steps that they waited for, the gradients of each are added up,
// and the rows are updated.
//
// A group of threads works on a row. No two groups add to one number, and each adds in an order that follows from that of the lookups, so that results are the same, bit for
// bit, from run to run.
//
// Constants: RULE, Adagrad or AdamW; DIMENSION of a row; LANES of a group, a power of two up to a warp; PIECES that a group, at most, adds up.

// What steps without gradients do to a row: w <- keep w - move m / sqrt(v), m <- keep1 m, v <- keep2 v.
struct Waited {
  float keep, move, keep1, keep2;
};

// Of a step: the logarithm of what all steps up to it keep of a weight, and the move of the longest momentum that ends in it.
struct Step {
  double log_kept, longest_move;
};

struct Rowwise {
  // The table.
  float* weights;   // [rows, DIMENSION]
  float* kept;      // [rows, as many as the rule keeps]
  int* last_steps;  // [rows] the step up to which each row is done

  // Rows looked up; but for catch_up, sorted, and the places that they had before. The gradients are in the order of these.
  const long long *rows, *places;
  float* gradients;       // [count, DIMENSION]
  double* squared_norms;  // [blocks]
  long long count, piece;

  // The steps so far.
  const Waited* recent;  // [longest_momentum + 1] the last of them, from none on
  const Step* steps;     // [step + 1]
  int step, longest_momentum;
  double log_beta2;

  OptimizerStep current;
};

__device__ int lane() { return threadIdx.x % LANES; }
__device__ long long group() { return (static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x) / LANES; }

// The lanes of the warp that are the thread's group.
__device__ unsigned group_mask() { return (~0u >> (32 - LANES)) << (threadIdx.x % 32 / LANES * LANES); }

// Over a group's threads; all of them get it.
__device__ float group_sum(float value) {
#pragma unroll
  for (int distance = LANES / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(group_mask(), value, distance, LANES);
  return value;
}

// --- rules ----------------------------------------------------------------------------------------------------------------------------------

struct Adagrad {
  static constexpr int Kept = 1;

  static __device__ void catch_up(const Waited& waited, float* weights, float*) {
    for (int i = lane(); i < DIMENSION; i += LANES) weights[i] *= waited.keep;
  }

  static __device__ void update(const OptimizerStep& step, const float* gradients, float* weights, float* kept) {
    float squares = 0;
    for (int i = lane(); i < DIMENSION; i += LANES) squares = fmaf(gradients[i], gradients[i], squares);
    // All threads read what is kept before the first of them writes it.
    const float sum = *kept + step.scale * step.scale * group_sum(squares) / DIMENSION;
    __syncwarp(group_mask());
    if (lane() == 0) *kept = sum;
    const float rate = step.rate * step.scale / (sqrtf(sum) + step.epsilon);
    for (int i = lane(); i < DIMENSION; i += LANES) weights[i] = weights[i] * step.keep - rate * gradients[i];
  }
};

struct AdamW {
  static constexpr int Kept = 2 * DIMENSION;

  static __device__ void catch_up(const Waited& waited, float* weights, float* kept) {
    for (int i = lane(); i < DIMENSION; i += LANES) {
      const float m = kept[i], v = kept[DIMENSION + i], root = sqrtf(v);
      weights[i] = weights[i] * waited.keep - (root > 0 ? m * waited.move / root : 0);
      kept[i] = m * waited.keep1;
      kept[DIMENSION + i] = v * waited.keep2;
    }
  }

  static __device__ void update(const OptimizerStep& step, const float* gradients, float* weights, float* kept) {
    for (int i = lane(); i < DIMENSION; i += LANES) update_by_adamw(step, gradients[i], kept + i, kept + DIMENSION + i, weights + i);
  }
};

// --- rows that waited -----------------------------------------------------------------------------------------------------------------------

__device__ Waited waited_since(const Rowwise& p, int last_step) {
  const int missed = p.step - last_step;
  if (missed <= p.longest_momentum) return p.recent[missed];
  const Step settled = p.steps[last_step + p.longest_momentum];
  const double log_kept = p.steps[p.step].log_kept;
  return {static_cast<float>(exp(log_kept - p.steps[last_step].log_kept)), static_cast<float>(settled.longest_move * exp(log_kept - settled.log_kept)), 0,
          static_cast<float>(exp(missed * p.log_beta2))};
}

// Does to rows what the steps since the last that they are done up to would have done: a group for each lookup, of which the first at a row does it.
KERNEL(catch_up, Rowwise) {
  if (group() >= p.count) return;
  const long long row = p.rows[group()];
  int last_step = 0;
  if (lane() == 0) last_step = atomicExch(p.last_steps + row, p.step);
  last_step = __shfl_sync(group_mask(), last_step, 0, LANES);
  if (last_step < p.step) RULE::catch_up(waited_since(p, last_step), p.weights + row * DIMENSION, p.kept + row * RULE::Kept);
}

// --- gradients ------------------------------------------------------------------------------------------------------------------------------

// Whether a lookup is the first at its row.
__device__ bool is_first(const Rowwise& p, long long lookup) { return lookup == 0 || p.rows[lookup] != p.rows[lookup - 1]; }

// Where the gradient of a lookup is and, once they are added up, the sum of those of all at the same row, if it is the first of them.
__device__ float* gradient_of(const Rowwise& p, long long lookup) { return p.gradients + p.places[lookup] * DIMENSION; }

// The end of the lookups, before a limit, at the row of a certain one.
__device__ long long end_of(const Rowwise& p, long long lookup, long long limit) {
  long long same = lookup, other = limit;
  while (other - same > 1) {
    const long long middle = (same + other) / 2;
    (p.rows[middle] == p.rows[lookup] ? same : other) = middle;
  }
  return other;
}

// Adds up gradients of the same row within tiles of PIECES pieces each, which are single lookups at first and then the tiles before: a group for each lookup. It works where that
// is the first at its row or in its tile. The sums become those of the tile, as the next launch's pieces, and in the end those of rows.
KERNEL(sum_gradients, Rowwise) {
  const long long first = group(), tile = p.piece * PIECES;
  if (first >= p.count || (first % tile != 0 && !is_first(p, first))) return;
  const long long next = (first / p.piece + 1) * p.piece, limit = min((first / tile + 1) * tile, p.count);
  if (next >= limit || p.rows[next] != p.rows[first]) return;
  const long long end = end_of(p, next, limit);
  float* sums = gradient_of(p, first);
  for (int i = lane(); i < DIMENSION; i += LANES) {
    float sum = sums[i];
#pragma unroll 8
    for (long long piece = next; piece < end; piece += p.piece) sum += gradient_of(p, piece)[i];
    sums[i] = sum;
  }
}

// The squared norm of the sums: a group for each lookup, and a number from each block.
KERNEL(sum_squares, Rowwise) {
  __shared__ float squares[THREADS / LANES];
  float sum = 0;
  if (group() < p.count && is_first(p, group())) {
    const float* gradients = gradient_of(p, group());
    for (int i = lane(); i < DIMENSION; i += LANES) sum = fmaf(gradients[i], gradients[i], sum);
  }
  sum = group_sum(sum);
  if (lane() == 0) squares[threadIdx.x / LANES] = sum;
  __syncthreads();
  if (threadIdx.x > 0) return;
  double total = 0;
  for (int i = 0; i < THREADS / LANES; i++) total += squares[i];
  p.squared_norms[blockIdx.x] = total;
}

// Updates the rows: a group for each lookup, of which the first at a row does it.
KERNEL(update, Rowwise) {
  if (group() >= p.count || !is_first(p, group())) return;
  const long long row = p.rows[group()];
  RULE::update(p.current, gradient_of(p, group()), p.weights + row * DIMENSION, p.kept + row * RULE::Kept);
  if (lane() == 0) p.last_steps[row] = p.step;
}
