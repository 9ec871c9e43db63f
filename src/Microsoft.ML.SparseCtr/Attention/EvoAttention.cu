// EvoAttention (docs/model.md) of a packed batch, forward and backward.
//
// A block computes a tile: some rows and, a few at a time, the columns that any of them has to do with. Forward, and in the first half of the backward pass, rows are
// consecutive queries of a request and columns are keys; in the second half rows are keys and columns are queries. The logits of a tile are never in device memory.
// Nothing is added by two blocks to one number, so that results are the same, bit for bit, from run to run.
//
// Constants: HEADS and HEAD_DIMENSION; ROWS and COLUMNS that a thread computes of a tile; Number, the type of what is given and put out, float or bfloat16. Sums are floats.

// A row is shared by eight threads of a warp.
constexpr int Lanes = 8;
constexpr int TileRows = THREADS / Lanes * ROWS, TileColumns = Lanes * COLUMNS;

// d, and the numbers of a row of what is asked and of what is seen.
constexpr int D = HEADS * HEAD_DIMENSION, AskedWidth = D + 3 * HEADS, SeenWidth = 2 * D;

// Vectors in shared memory are padded so that those of eight rows, read at a time, are in banks of their own; weights, so that those that a warp writes at a time are.
constexpr int Dimension = (HEAD_DIMENSION + 7) / 8 * 8, Stride = Dimension + 4, WeightStride = TileColumns + 8;

// A thread has every eighth float4 of a vector.
constexpr int Vectors = (Dimension + 4 * Lanes - 1) / (4 * Lanes);

enum Branch { Global, Transition, Local, Branches };

struct Interval {
  int from, to;

  __device__ bool has(int number) const { return number >= from && number < to; }
};

// Chunks of three kinds, and behaviors.
constexpr int Kinds = 3;
struct Query {
  Interval chunks[Kinds];
  Interval local;
};

// Keys of one branch, and the queries that may see any of them. The work on a chunk's or transition's key is split.
struct KeyTile {
  int branch, split;
  Interval keys, behaviors, candidates;
};

struct Attention {
  // The batch: what each token sees; behaviors of each chunk, and those that it has beyond the chunk before it; tokens of the transitions; times of tokens.
  const Query* queries;
  const Interval *chunks, *added, *request_chunks;
  const int *first_transition, *transition_token;
  const long long* seconds;
  const float *cosine, *sine, *weekend;
  // Of each token, where the list of chunks and transitions that it is in begins.
  const int *first_use, *uses;
  const Interval* query_tiles;
  const KeyTile* key_tiles;
  int behaviors, chunk_count, transition_count, splits;
  int first_query;  // The tokens before it are no queries.
  int branches;     // Bit by bit, those that there are.
  float inverse_time_scale;

  const float* coefficients;  // [heads, 3] -a, b and c
  const Number* asked;        // [queries, d + 3 heads] queries and the gates' logits
  const Number* seen;         // [tokens, 2 d] keys and values
  float* chunk_sums;          // [chunks, 2 d]
  Number* chunk_means;        // [chunks, 2 d]
  float* branch_outputs;      // [queries, 3, d] what each branch attended to, before its gate
  Number* output;             // [queries, d]
  float* log_sums;            // [queries, heads, 3] logarithms of the sums of exponentials

  const Number* output_gradient;  // [queries, d]
  Number* asked_gradient;         // [queries, d + 3 heads]
  Number* seen_gradient;          // [tokens, 2 d]
  float* coefficient_gradients;   // [query tiles, heads, 3]
  float* gate_gradients;          // [queries, heads, 3] those of the gates themselves
  float* token_gradients;         // [tokens, 2 d] of keys and values by the local branch
  float* column_gradients;        // [splits, chunks + transitions, 2 d] of keys and values by the others
};

// --- what is in shared memory ---------------------------------------------------------------------------------------------------------------

// What RelTemporal sees of a token.
struct Moment {
  long long seconds;
  float cosine, sine, weekend;
};

__device__ Moment moment_of(const Attention& p, int token) { return {p.seconds[token], p.cosine[token], p.sine[token], p.weekend[token]}; }

// Takes a matrix of rows, of columns or of weights between them from what a launch gives: CudaEvoAttention.cs counts them for each kernel.
__device__ float* take(float*& left, int numbers) {
  float* matrix = left;
  left += numbers;
  return matrix;
}
__device__ float* take_rows(float*& left) { return take(left, TileRows * Stride); }
__device__ float* take_columns(float*& left) { return take(left, TileColumns * Stride); }
__device__ float* take_weights(float*& left) { return take(left, TileRows * WeightStride); }

__device__ int group() { return threadIdx.x / Lanes; }
__device__ int lane() { return threadIdx.x % Lanes; }
__device__ int row_of(int i) { return group() + THREADS / Lanes * i; }
__device__ int column_of(int j) { return lane() + Lanes * j; }

// Fills a matrix with vectors, and with zeros where there are none. They are parts, of HEAD_DIMENSION numbers, of rows of Width: where both let it, four are read at once.
template <int Width, typename Start>
__device__ void load(float* matrix, int rows, int count, float scale, Start start) {
  if constexpr (Width % 4 == 0 && HEAD_DIMENSION % 4 == 0) {
#pragma unroll 4
    for (int i = threadIdx.x; i < rows * Dimension / 4; i += THREADS) {
      const int row = i / (Dimension / 4), place = 4 * (i % (Dimension / 4));
      const float4 four = row < count && place < HEAD_DIMENSION ? read_four(start(row) + place) : make_float4(0, 0, 0, 0);
      *reinterpret_cast<float4*>(matrix + row * Stride + place) = make_float4(scale * four.x, scale * four.y, scale * four.z, scale * four.w);
    }
  } else {
#pragma unroll 4
    for (int i = threadIdx.x; i < rows * Dimension; i += THREADS) {
      const int row = i / Dimension, place = i % Dimension;
      matrix[row * Stride + place] = row < count && place < HEAD_DIMENSION ? scale * to_float(start(row)[place]) : 0;
    }
  }
}

// --- products -------------------------------------------------------------------------------------------------------------------------------

__device__ float dot(float4 a, float4 b, float sum) { return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum)))); }

__device__ void add_scaled(float4& sum, float scale, float4 vector) {
  sum.x = fmaf(scale, vector.x, sum.x);
  sum.y = fmaf(scale, vector.y, sum.y);
  sum.z = fmaf(scale, vector.z, sum.z);
  sum.w = fmaf(scale, vector.w, sum.w);
}

// The products of a tile's rows with its columns.
__device__ __forceinline__ void multiply(const float* rows, const float* columns, float (&products)[ROWS][COLUMNS]) {
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) products[i][j] = 0;

#pragma unroll 4
  for (int place = 0; place < Dimension; place += 4) {
    float4 row[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) row[i] = *reinterpret_cast<const float4*>(rows + row_of(i) * Stride + place);
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
      const float4 column = *reinterpret_cast<const float4*>(columns + column_of(j) * Stride + place);
#pragma unroll
      for (int i = 0; i < ROWS; i++) products[i][j] = dot(row[i], column, products[i][j]);
    }
  }
}

// Adds to each row's sum the columns, weighted.
__device__ __forceinline__ void add_weighted(const float* weights, const float* columns, float4 (&sums)[ROWS][Vectors]) {
  for (int first = 0; first < TileColumns; first += 4) {
    float weight[ROWS][4];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const float4 four = *reinterpret_cast<const float4*>(weights + row_of(i) * WeightStride + first);
      weight[i][0] = four.x, weight[i][1] = four.y, weight[i][2] = four.z, weight[i][3] = four.w;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
      for (int v = 0; v < Vectors; v++) {
        const int place = 4 * (lane() + Lanes * v);
        if (place >= Dimension) continue;
        const float4 column = *reinterpret_cast<const float4*>(columns + (first + j) * Stride + place);
#pragma unroll
        for (int i = 0; i < ROWS; i++) add_scaled(sums[i][v], weight[i][j], column);
      }
    }
  }
}

__device__ void clear(float4 (&sums)[ROWS][Vectors]) {
#pragma unroll
  for (int i = 0; i < ROWS; i++)
#pragma unroll
    for (int v = 0; v < Vectors; v++) sums[i][v] = make_float4(0, 0, 0, 0);
}

template <typename T>
__device__ void store_row(const float4 (&sums)[Vectors], float scale, T* to) {
#pragma unroll
  for (int v = 0; v < Vectors; v++) {
    const int place = 4 * (lane() + Lanes * v);
    const float values[] = {sums[v].x, sums[v].y, sums[v].z, sums[v].w};
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (place + i < HEAD_DIMENSION) store(to + place + i, scale * values[i]);
  }
}

// Over the threads that share a row; all of them get it.
__device__ float row_sum(float value) {
#pragma unroll
  for (int distance = Lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

__device__ float row_maximum(float value) {
#pragma unroll
  for (int distance = Lanes / 2; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, distance));
  return value;
}

// --- who sees whom --------------------------------------------------------------------------------------------------------------------------

// What a query sees of a branch, in three intervals: of chunks, of transitions or of tokens.
__device__ Interval sees(const Attention& p, int query, int branch, int kind) {
  if (branch == Local) {
    // A behavior is one of its own local behaviors; a candidate is not.
    if (kind == 0) return p.queries[query].local;
    return kind == 1 && query >= p.behaviors ? Interval{query, query + 1} : Interval{0, 0};
  }
  const Interval chunks = p.queries[query].chunks[kind];
  if (branch == Global || chunks.from >= chunks.to) return chunks;
  return {p.first_transition[chunks.from], p.first_transition[chunks.to]};
}

// Finds what each of a tile's queries sees, and the smallest interval with all of it. For all threads of a block.
__device__ Interval find_seen(const Attention& p, Interval queries, int branch, int kind, Interval* seen, int* bounds) {
  __syncthreads();
  if (threadIdx.x == 0) {
    bounds[0] = 0x7fffffff;
    bounds[1] = 0;
  }
  __syncthreads();
  for (int row = threadIdx.x; row < TileRows; row += THREADS) {
    seen[row] = queries.from + row < queries.to ? sees(p, queries.from + row, branch, kind) : Interval{0, 0};
    if (seen[row].from >= seen[row].to) continue;
    atomicMin(&bounds[0], seen[row].from);
    atomicMax(&bounds[1], seen[row].to);
  }
  __syncthreads();
  return {bounds[0], bounds[1]};
}

// The token that a key is, or that its time is of.
__device__ int token_of(const Attention& p, int branch, int key) {
  return branch == Local ? key : branch == Transition ? p.transition_token[key] : p.chunks[key].to - 1;
}

// A head's part of a key; its value is d further.
__device__ const Number* key_of(const Attention& p, int branch, int key, int head) {
  const Number* row = branch == Global ? p.chunk_means + static_cast<long long>(key) * SeenWidth : p.seen + static_cast<long long>(token_of(p, branch, key)) * SeenWidth;
  return row + head * HEAD_DIMENSION;
}

__device__ const Number* query_of(const Attention& p, int token) {
  return p.asked + static_cast<long long>(token - p.first_query) * AskedWidth;
}

__device__ long long statistic_of(const Attention& p, int token, int head, int branch) {
  return (static_cast<long long>(token - p.first_query) * HEADS + head) * Branches + branch;
}

__device__ float* branch_output_of(const Attention& p, int token, int head, int branch) {
  return p.branch_outputs + (static_cast<long long>(token - p.first_query) * Branches + branch) * D + head * HEAD_DIMENSION;
}

__device__ float gate_of(const Attention& p, int token, int head, int branch) {
  return 1 / (1 + __expf(-to_float(query_of(p, token)[D + branch * HEADS + head])));
}

// RelTemporal's features of a pair.
struct Features {
  float log, hour, weekend;
};

__device__ Features features_of(const Attention& p, const Moment& a, const Moment& b) {
  // Seconds are subtracted as integers: as floats they would round to minutes.
  const float elapsed = fabsf(static_cast<float>(a.seconds - b.seconds));
  return {__logf(fmaf(elapsed, p.inverse_time_scale, 1)), fmaf(a.cosine, b.cosine, a.sine * b.sine), a.weekend == b.weekend ? 1.0f : 0.0f};
}

struct Coefficients {
  float log, hour, weekend;
};

__device__ Coefficients coefficients_of(const Attention& p, int head) {
  return {p.coefficients[3 * head], p.coefficients[3 * head + 1], p.coefficients[3 * head + 2]};
}

__device__ float bias_of(const Coefficients& c, const Features& f) { return fmaf(c.log, f.log, fmaf(c.hour, f.hour, c.weekend * f.weekend)); }

__device__ float inverse_root() { return rsqrtf(static_cast<float>(HEAD_DIMENSION)); }

// --- chunks ---------------------------------------------------------------------------------------------------------------------------------

// The sum, over what each chunk has beyond the one before it, of keys and values: a block for each chunk and so many numbers of a row.
KERNEL(sum_added, Attention) {
  constexpr int columns = 32;
  __shared__ float sums[THREADS / columns][columns];
  const int chunk = blockIdx.x, place = blockIdx.y * columns + threadIdx.x % columns, part = threadIdx.x / columns;
  const Interval added = p.added[chunk];
  float sum = 0;
  for (int token = added.from + part; token < added.to && place < SeenWidth; token += THREADS / columns)
    sum += to_float(p.seen[static_cast<long long>(token) * SeenWidth + place]);
  sums[part][threadIdx.x % columns] = sum;
  __syncthreads();
  if (part > 0 || place >= SeenWidth) return;
  for (int other = 1; other < THREADS / columns; other++) sum += sums[other][threadIdx.x];
  p.chunk_sums[static_cast<long long>(chunk) * SeenWidth + place] = sum;
}

// Makes these the means of whole chunks: a block for each request and so many numbers of a row.
KERNEL(finish_means, Attention) {
  const int place = blockIdx.y * THREADS + threadIdx.x;
  if (place >= SeenWidth) return;
  const Interval chunks = p.request_chunks[blockIdx.x];
  float sum = 0;
  for (int chunk = chunks.from; chunk < chunks.to; chunk++) {
    const Interval all = p.chunks[chunk];
    const long long at = static_cast<long long>(chunk) * SeenWidth + place;
    // One that begins where it has something added grew out of none.
    sum = (p.added[chunk].from == all.from ? 0 : sum) + p.chunk_sums[at];
    store(p.chunk_means + at, sum / (all.to - all.from));
  }
}

// --- forward --------------------------------------------------------------------------------------------------------------------------------

// The keys of a tile's columns, their values and their times, from one key on. For all threads of a block.
__device__ void load_keys(const Attention& p, int branch, Interval keys, int head, float* key_matrix, float* value_matrix, Moment* moments) {
  // Where each begins is found once, as that of a transition is read from a list.
  __shared__ const Number* starts[TileColumns];
  const int count = min(TileColumns, keys.to - keys.from);
  for (int column = threadIdx.x; column < count; column += THREADS) {
    starts[column] = key_of(p, branch, keys.from + column, head);
    moments[column] = moment_of(p, token_of(p, branch, keys.from + column));
  }
  __syncthreads();
  load<SeenWidth>(key_matrix, TileColumns, count, 1, [&](int column) { return starts[column]; });
  load<SeenWidth>(value_matrix, TileColumns, count, 1, [&](int column) { return starts[column] + D; });
  __syncthreads();
}

__device__ void load_query_rows(const Attention& p, Interval queries, int head, float* matrix, Moment* moments) {
  load<AskedWidth>(matrix, TileRows, queries.to - queries.from, inverse_root(), [&](int row) { return query_of(p, queries.from + row) + head * HEAD_DIMENSION; });
  for (int row = threadIdx.x; row < queries.to - queries.from; row += THREADS) moments[row] = moment_of(p, queries.from + row);
}

// A block for each tile of queries and each head.
KERNEL(attend, Attention) {
  extern __shared__ float4 memory[];
  __shared__ Moment query_moments[TileRows], key_moments[TileColumns];
  __shared__ Interval seen[TileRows];
  __shared__ int bounds[2];
  float* left = reinterpret_cast<float*>(memory);
  float *asked = take_rows(left), *keys = take_columns(left), *values = take_columns(left), *weights = take_weights(left);
  const Interval queries = p.query_tiles[blockIdx.x];
  const int head = blockIdx.y;
  const Coefficients coefficients = coefficients_of(p, head);
  load_query_rows(p, queries, head, asked, query_moments);

  float4 total[ROWS][Vectors], mean[ROWS][Vectors];
  clear(total);
  for (int branch = 0; branch < Branches; branch++) {
    if (!(p.branches >> branch & 1)) continue;
    // The zero token, with logit and value 0, is among the keys of the first two branches.
    float top[ROWS], sum[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      top[i] = branch == Local ? -INFINITY : 0;
      sum[i] = branch == Local ? 0 : 1;
    }
    clear(mean);
    for (int kind = 0; kind < Kinds; kind++) {
      const Interval all = find_seen(p, queries, branch, kind, seen, bounds);
      for (int first = all.from; first < all.to; first += TileColumns) {
        load_keys(p, branch, {first, all.to}, head, keys, values, key_moments);
        float logits[ROWS][COLUMNS];
        multiply(asked, keys, logits);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
          const int row = row_of(i);
          float largest = top[i];
#pragma unroll
          for (int j = 0; j < COLUMNS; j++) {
            const int column = column_of(j);
            const bool is_seen = seen[row].has(first + column);
            logits[i][j] = is_seen ? logits[i][j] + bias_of(coefficients, features_of(p, query_moments[row], key_moments[column])) : -INFINITY;
            largest = fmaxf(largest, logits[i][j]);
          }
          largest = row_maximum(largest);
          // Where nothing has been seen yet, all is zero and stays so.
          const float rescale = top[i] == largest ? 1 : __expf(top[i] - largest);
          float added = 0;
#pragma unroll
          for (int j = 0; j < COLUMNS; j++) {
            const float weight = logits[i][j] == -INFINITY ? 0 : __expf(logits[i][j] - largest);
            weights[row * WeightStride + column_of(j)] = weight;
            added += weight;
          }
          top[i] = largest;
          sum[i] = fmaf(sum[i], rescale, row_sum(added));
#pragma unroll
          for (int v = 0; v < Vectors; v++) {
            mean[i][v].x *= rescale;
            mean[i][v].y *= rescale;
            mean[i][v].z *= rescale;
            mean[i][v].w *= rescale;
          }
        }
        __syncthreads();
        add_weighted(weights, values, mean);
        __syncthreads();
      }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int query = queries.from + row_of(i);
      if (query >= queries.to) continue;
      const float share = gate_of(p, query, head, branch) / sum[i];
#pragma unroll
      for (int v = 0; v < Vectors; v++) add_scaled(total[i][v], share, mean[i][v]);
      store_row(mean[i], 1 / sum[i], branch_output_of(p, query, head, branch));
      if (lane() == 0) p.log_sums[statistic_of(p, query, head, branch)] = top[i] + __logf(sum[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int query = queries.from + row_of(i);
    if (query < queries.to) store_row(total[i], 1, p.output + static_cast<long long>(query - p.first_query) * D + head * HEAD_DIMENSION);
  }
}

// --- backward -------------------------------------------------------------------------------------------------------------------------------
//
// With p = softmax(s), y = sum_j p_j v_j and the output g y, and P_j the gradient of the output times v_j, the gradient of g is D = sum_j p_j P_j, which is that of the
// output times y, and the gradient of s_j is g p_j (P_j - D).

// Gradients of queries and gates, and each block's share of those of the coefficients: a block for each tile of queries and each head.
KERNEL(differentiate_queries, Attention) {
  extern __shared__ float4 memory[];
  __shared__ Moment query_moments[TileRows], key_moments[TileColumns];
  __shared__ Interval seen[TileRows];
  __shared__ int bounds[2];
  __shared__ float shares[THREADS / Lanes][3];
  float* left = reinterpret_cast<float*>(memory);
  float *asked = take_rows(left), *given = take_rows(left), *keys = take_columns(left), *values = take_columns(left), *slopes = take_weights(left);
  const Interval queries = p.query_tiles[blockIdx.x];
  const int head = blockIdx.y;
  const Coefficients coefficients = coefficients_of(p, head);
  load_query_rows(p, queries, head, asked, query_moments);
  load<D>(given, TileRows, queries.to - queries.from, 1,
       [&](int row) { return p.output_gradient + static_cast<long long>(queries.from + row - p.first_query) * D + head * HEAD_DIMENSION; });

  __syncthreads();
  float4 total[ROWS][Vectors];
  clear(total);
  Features share = {0, 0, 0};
  for (int branch = 0; branch < Branches; branch++) {
    const bool is_there = p.branches >> branch & 1;
    float gate[ROWS], log_sum[ROWS], delta[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int query = queries.from + row_of(i);
      const bool is_query = query < queries.to;
      gate[i] = is_query ? gate_of(p, query, head, branch) : 0;
      log_sum[i] = is_query && is_there ? p.log_sums[statistic_of(p, query, head, branch)] : 0;
      float product = 0;
      for (int place = lane(); place < HEAD_DIMENSION && is_query && is_there; place += Lanes)
        product = fmaf(given[row_of(i) * Stride + place], branch_output_of(p, query, head, branch)[place], product);
      delta[i] = row_sum(product);
      if (lane() > 0 || !is_query) continue;
      p.gate_gradients[statistic_of(p, query, head, branch)] = delta[i];
      store(p.asked_gradient + (query_of(p, query) - p.asked) + D + branch * HEADS + head, delta[i] * gate[i] * (1 - gate[i]));
    }
    for (int kind = 0; kind < Kinds && is_there; kind++) {
      const Interval all = find_seen(p, queries, branch, kind, seen, bounds);
      for (int first = all.from; first < all.to; first += TileColumns) {
        load_keys(p, branch, {first, all.to}, head, keys, values, key_moments);
        float logits[ROWS][COLUMNS], gradients[ROWS][COLUMNS];
        multiply(asked, keys, logits);
        multiply(given, values, gradients);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
          const int row = row_of(i);
#pragma unroll
          for (int j = 0; j < COLUMNS; j++) {
            const int column = column_of(j);
            float slope = 0;
            if (seen[row].has(first + column)) {
              const Features f = features_of(p, query_moments[row], key_moments[column]);
              slope = gate[i] * __expf(logits[i][j] + bias_of(coefficients, f) - log_sum[i]) * (gradients[i][j] - delta[i]);
              share = {fmaf(slope, f.log, share.log), fmaf(slope, f.hour, share.hour), fmaf(slope, f.weekend, share.weekend)};
            }
            slopes[row * WeightStride + column] = slope;
          }
        }
        __syncthreads();
        add_weighted(slopes, keys, total);
        __syncthreads();
      }
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int query = queries.from + row_of(i);
    if (query < queries.to) store_row(total[i], inverse_root(), p.asked_gradient + (query_of(p, query) - p.asked) + head * HEAD_DIMENSION);
  }

  const float sums[] = {row_sum(share.log), row_sum(share.hour), row_sum(share.weekend)};
  if (lane() < 3) shares[group()][lane()] = sums[lane()];
  __syncthreads();
  if (threadIdx.x >= 3) return;
  float sum = 0;
  for (int other = 0; other < THREADS / Lanes; other++) sum += shares[other][threadIdx.x];
  p.coefficient_gradients[(blockIdx.x * HEADS + head) * 3 + threadIdx.x] = sum;
}

// Gradients of keys and values as each branch sees them: a block for each tile of keys and each head.
KERNEL(differentiate_keys, Attention) {
  extern __shared__ float4 memory[];
  __shared__ Moment key_moments[TileRows], query_moments[TileColumns];
  __shared__ Interval seen[TileColumns][Kinds];
  __shared__ float log_sums[TileColumns], deltas[TileColumns], gates[TileColumns];
  float* left = reinterpret_cast<float*>(memory);
  float *keys = take_rows(left), *values = take_rows(left), *asked = take_columns(left), *given = take_columns(left);
  float *weights = take_weights(left), *slopes = take_weights(left);
  const KeyTile tile = p.key_tiles[blockIdx.x];
  const int head = blockIdx.y, count = tile.keys.to - tile.keys.from;
  const Coefficients coefficients = coefficients_of(p, head);
  load<SeenWidth>(keys, TileRows, count, 1, [&](int row) { return key_of(p, tile.branch, tile.keys.from + row, head); });
  load<SeenWidth>(values, TileRows, count, 1, [&](int row) { return key_of(p, tile.branch, tile.keys.from + row, head) + D; });
  for (int row = threadIdx.x; row < count; row += THREADS) key_moments[row] = moment_of(p, token_of(p, tile.branch, tile.keys.from + row));

  float4 key_sum[ROWS][Vectors], value_sum[ROWS][Vectors];
  clear(key_sum);
  clear(value_sum);
  for (int sort = 0; sort < 2; sort++) {
    const bool is_there = (p.branches >> tile.branch & 1) && (sort == 1 || p.first_query == 0);
    const Interval queries = sort == 0 ? tile.behaviors : tile.candidates;
    for (int first = queries.from; first < queries.to && is_there; first += TileColumns) {
      const int columns = min(TileColumns, queries.to - first);
      __syncthreads();
      load<AskedWidth>(asked, TileColumns, columns, inverse_root(), [&](int column) { return query_of(p, first + column) + head * HEAD_DIMENSION; });
      load<D>(given, TileColumns, columns, 1,
           [&](int column) { return p.output_gradient + static_cast<long long>(first + column - p.first_query) * D + head * HEAD_DIMENSION; });
      for (int column = threadIdx.x; column < TileColumns; column += THREADS) {
        const int query = first + column;
        for (int kind = 0; kind < Kinds; kind++) seen[column][kind] = column < columns ? sees(p, query, tile.branch, kind) : Interval{0, 0};
        if (column >= columns) continue;
        query_moments[column] = moment_of(p, query);
        log_sums[column] = p.log_sums[statistic_of(p, query, head, tile.branch)];
        deltas[column] = p.gate_gradients[statistic_of(p, query, head, tile.branch)];
        gates[column] = gate_of(p, query, head, tile.branch);
      }
      __syncthreads();
      float logits[ROWS][COLUMNS], gradients[ROWS][COLUMNS];
      multiply(keys, asked, logits);
      multiply(values, given, gradients);
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        const int row = row_of(i), key = tile.keys.from + row;
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
          const int column = column_of(j);
          const bool is_seen = row < count && (seen[column][0].has(key) || seen[column][1].has(key) || seen[column][2].has(key));
          float weight = 0, slope = 0;
          if (is_seen) {
            const float bias = bias_of(coefficients, features_of(p, query_moments[column], key_moments[row]));
            weight = gates[column] * __expf(logits[i][j] + bias - log_sums[column]);
            slope = weight * (gradients[i][j] - deltas[column]);
          }
          weights[row * WeightStride + column] = weight;
          slopes[row * WeightStride + column] = slope;
        }
      }
      __syncthreads();
      add_weighted(slopes, asked, key_sum);
      add_weighted(weights, given, value_sum);
    }
  }

  const long long column_count = p.chunk_count + p.transition_count;
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int key = tile.keys.from + row_of(i);
    if (key >= tile.keys.to) continue;
    float* row = tile.branch == Local ? p.token_gradients + static_cast<long long>(key) * SeenWidth
        : p.column_gradients + (tile.split * column_count + (tile.branch == Transition ? p.chunk_count : 0) + key) * SeenWidth;
    store_row(key_sum[i], 1, row + head * HEAD_DIMENSION);
    store_row(value_sum[i], 1, row + D + head * HEAD_DIMENSION);
  }
}

// Of each chunk, makes of the first split's gradients what each behavior that it has beyond the chunk before it gets: from it, and from those that grew out of it. A block for
// each request and so many numbers of a row.
KERNEL(spread_chunks, Attention) {
  const int place = blockIdx.y * THREADS + threadIdx.x;
  if (place >= SeenWidth) return;
  const long long split_size = static_cast<long long>(p.chunk_count + p.transition_count) * SeenWidth;
  const Interval chunks = p.request_chunks[blockIdx.x];
  float sum = 0;
  for (int chunk = chunks.to - 1; chunk >= chunks.from; chunk--) {
    float* gradients = p.column_gradients + static_cast<long long>(chunk) * SeenWidth + place;
    float gradient = 0;
    for (int split = 0; split < p.splits; split++) gradient += gradients[split * split_size];
    sum += gradient / (p.chunks[chunk].to - p.chunks[chunk].from);
    gradients[0] = sum;
    if (p.added[chunk].from == p.chunks[chunk].from) sum = 0;
  }
}

// The gradients of tokens' keys and values: a block for each token and so many numbers of a row.
KERNEL(collect_gradients, Attention) {
  const int token = blockIdx.x, place = blockIdx.y * THREADS + threadIdx.x;
  if (place >= SeenWidth) return;
  const long long split_size = static_cast<long long>(p.chunk_count + p.transition_count) * SeenWidth;
  float sum = p.token_gradients[static_cast<long long>(token) * SeenWidth + place];
  for (int use = p.first_use[token]; use < p.first_use[token + 1]; use++) {
    const int column = p.uses[use], splits = column < p.chunk_count ? 1 : p.splits;
    for (int split = 0; split < splits; split++) sum += p.column_gradients[split * split_size + static_cast<long long>(column) * SeenWidth + place];
  }
  store(p.seen_gradient + static_cast<long long>(token) * SeenWidth + place, sum);
}
