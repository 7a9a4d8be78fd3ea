// Few rows of a lane: a block takes SPLIT keys of one row for up to HEADS query heads, which share
// each key that is read; splits are joined in order. A part of kernels.cu.
#pragma once

constexpr int N_THREADS = 128;
constexpr int SPLIT = 128;  // keys of a split; pinned and ring keys never share one
constexpr int TEAM = 8;     // threads that read a key together
constexpr int HEADS = 8;    // query heads of a block, which share its keys
constexpr int PASS = 4;     // heads whose values are summed at once: they are in registers

__device__ inline int n_pinned_splits(const Row &row) {
  return ceil_div(row.pinned_end - row.pinned_start, SPLIT);
}

// Grid: [splits, G * blocks of HEADS heads, listed rows].
template <typename T, int N_CHUNKS>
__device__ void attend_rows(const Call<T> &call, const int *listed) {
  constexpr int N = 16 / sizeof(T);             // numbers of a chunk
  constexpr int WIDTH = N_CHUNKS * TEAM * N;    // of a head in `work`
  constexpr int KEYS = N_CHUNKS * N <= 16 ? 4 : 2;  // keys that a team has in registers
  static __shared__ float work[N_THREADS * PASS * N < HEADS * WIDTH ? HEADS * WIDTH
                                                                   : N_THREADS * PASS * N];
  static __shared__ __align__(16) float weights[SPLIT][HEADS];

  const int d = call.head_dim, tid = threadIdx.x;
  const int group = call.n_heads / call.n_kv_heads, n_blocks = ceil_div(group, HEADS);
  const int kv = blockIdx.y / n_blocks, in_group = blockIdx.y % n_blocks * HEADS;
  const int first_head = kv * group + in_group, n_heads = min(HEADS, group - in_group);
  const int r = listed[blockIdx.z];
  const Row row = call.rows[r];
  const Lane<T> lane = call.lanes[row.lane];

  const int n_pinned = n_pinned_splits(row);
  const bool is_pinned = static_cast<int>(blockIdx.x) < n_pinned;
  const int first = is_pinned ? row.pinned_start + blockIdx.x * SPLIT
                              : (static_cast<int>(blockIdx.x) - n_pinned) * SPLIT;
  const int n_keys = min(SPLIT, (is_pinned ? row.pinned_end : row.ring_len) - first);
  if (n_keys <= 0) return;
  const auto slot = [&](int key) {
    return is_pinned ? first + key : ring_slot(row, lane, first + key);
  };
  const size_t head_at = static_cast<size_t>(kv) * lane.n_slots;
  const bool is_aligned = d % N == 0;

  // Queries, with zeros up to WIDTH.
  const T *q = (is_pinned ? call.q_pinned : call.q_ring) +
               (static_cast<size_t>(r) * call.n_heads + first_head) * d;
  for (int i = tid; i < n_heads * WIDTH; i += N_THREADS) {
    const int head = i / WIDTH, column = i % WIDTH;
    work[i] = column < d ? to_float(q[head * d + column]) : 0.0f;
  }
  __syncthreads();

  // Products: each key is read once, for all heads.
  const int team = tid / TEAM, member = tid % TEAM;
  constexpr int N_TEAMS = N_THREADS / TEAM;
  for (int base = 0; base < n_keys; base += N_TEAMS * KEYS) {
    float keys[KEYS][N_CHUNKS][N];
#pragma unroll
    for (int j = 0; j < KEYS; j++) {
      const int key = base + j * N_TEAMS + team;
      const T *from = lane.keys + (head_at + slot(min(key, n_keys - 1))) * d;
#pragma unroll
      for (int c = 0; c < N_CHUNKS; c++) {
        const int column = (c * TEAM + member) * N;
        read(from + column, d - column, is_aligned, keys[j][c]);
      }
    }
    for (int head = 0; head < n_heads; head++) {
      float products[KEYS] = {};
#pragma unroll
      for (int c = 0; c < N_CHUNKS; c++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
          const float x = work[head * WIDTH + (c * TEAM + member) * N + i];
#pragma unroll
          for (int j = 0; j < KEYS; j++) products[j] += x * keys[j][c][i];
        }
      }
#pragma unroll
      for (int j = 0; j < KEYS; j++) {
#pragma unroll
        for (int step = TEAM / 2; step > 0; step /= 2) {
          products[j] += __shfl_xor_sync(~0u, products[j], step);
        }
        const int key = base + j * N_TEAMS + team;
        if (member == 0 && key < n_keys) weights[key][head] = products[j];
      }
    }
  }
  __syncthreads();

  // Softmax of the split: a warp takes a head at a time.
  for (int head = tid / 32; head < n_heads; head += N_THREADS / 32) {
    const int newest = is_pinned ? row.pinned_position : row.ring_len - 1;
    const float slope = slope_of(call, first_head + head);
    float top = LOWEST, sum = 0.0f;
    for (int key = tid % 32; key < n_keys; key += 32) {
      float &weight = weights[key][head];
      weight = score(call, weight, slope, newest - first - key);
      top = fmaxf(top, weight);
    }
    for (int step = 16; step > 0; step /= 2) top = fmaxf(top, __shfl_xor_sync(~0u, top, step));
    for (int key = tid % 32; key < n_keys; key += 32) {
      float &weight = weights[key][head];
      weight = expf(weight - top);
      sum += weight;
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    const size_t at = static_cast<size_t>(blockIdx.z) * call.n_heads + first_head + head;
    if (tid % 32 == 0) call.parts[at * call.n_splits + blockIdx.x] = {top, sum};
  }
  __syncthreads();

  // Values: a thread takes a chunk of columns of every n_slices-th key.
  const int n_columns = ceil_div(d, N), n_slices = N_THREADS / n_columns;
  const int slice = tid / n_columns, column = tid % n_columns * N;
  for (int pass = 0; pass < n_heads; pass += PASS) {
    float sums[PASS][N] = {};
    if (slice < n_slices) {
#pragma unroll 4
      for (int key = slice; key < n_keys; key += n_slices) {
        float values[N];
        read(lane.values + (head_at + slot(key)) * d + column, d - column, is_aligned, values);
#pragma unroll
        for (int head = 0; head < PASS; head++) {
          const float weight = weights[key][pass + head];
#pragma unroll
          for (int i = 0; i < N; i++) sums[head][i] += weight * values[i];
        }
      }
#pragma unroll
      for (int head = 0; head < PASS; head++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
          work[((slice * PASS + head) * n_columns) * N + column + i] = sums[head][i];
        }
      }
    }
    __syncthreads();
    for (int i = tid; i < min(PASS, n_heads - pass) * d; i += N_THREADS) {
      const int head = i / d;
      float sum = 0.0f;
      for (int s = 0; s < n_slices; s++) {
        sum += work[((s * PASS + head) * n_columns) * N + i % d];
      }
      const size_t at = static_cast<size_t>(blockIdx.z) * call.n_heads + first_head + pass + head;
      call.sums[(at * call.n_splits + blockIdx.x) * d + i % d] = sum;
    }
    __syncthreads();  // `work` is written again
  }
}

// Grid: [H, listed rows]. A row that sees nothing becomes zeros.
template <typename T> __device__ void join_rows(const Call<T> &call, const int *listed) {
  const int d = call.head_dim, r = listed[blockIdx.y];
  const Row row = call.rows[r];
  const int n_splits = n_pinned_splits(row) + ceil_div(row.ring_len, SPLIT);
  const size_t at = static_cast<size_t>(blockIdx.y) * call.n_heads + blockIdx.x;
  const Total *parts = call.parts + at * call.n_splits;
  const float *sums = call.sums + at * call.n_splits * d;
  Total total = {LOWEST, 0.0f};
  for (int s = 0; s < n_splits; s++) total.top = fmaxf(total.top, parts[s].top);
  for (int s = 0; s < n_splits; s++) total.sum += parts[s].sum * expf(parts[s].top - total.top);
  const size_t to = static_cast<size_t>(r) * call.n_heads + blockIdx.x;
  for (int column = threadIdx.x; column < d; column += blockDim.x) {
    float sum = 0.0f;
    for (int s = 0; s < n_splits; s++) {
      sum += sums[static_cast<size_t>(s) * d + column] * expf(parts[s].top - total.top);
    }
    call.out[to * d + column] = from_float<T>(n_splits == 0 ? 0.0f : sum / total.sum);
  }
  if (threadIdx.x == 0) call.totals[to] = total;
}

// Adds what rows give to slots, summed over heads in their order; join_rows left the totals.
//
// Grid: [blocks of 4 slots, watches]. A warp takes a slot.
//
// - sums: [watches, n_watched]; what a row does not see gets nothing
template <typename T>
__device__ void add_shares(const Call<T> &call, const Watch *watches, int n_watched, float *sums) {
  const Watch watch = watches[blockIdx.y];
  const int number = blockIdx.x * (N_THREADS / 32) + threadIdx.x / 32, lane_id = threadIdx.x % 32;
  int slot = -1;
  for (int run = 0, left = number; run < 3 && slot < 0; left -= watch.lens[run++]) {
    if (left < watch.lens[run]) slot = watch.starts[run] + left;
  }
  if (slot < 0 || number >= n_watched) return;
  const Row row = call.rows[watch.row];
  const Lane<T> lane = call.lanes[row.lane];
  const bool is_pinned = slot < lane.n_sink;
  int distance;
  if (is_pinned) {
    if (slot < row.pinned_start || slot >= row.pinned_end) return;
    distance = row.pinned_position - slot;
  } else {
    const int n = slot - row.ring_start + (slot < row.ring_start ? lane.n_slots - lane.n_sink : 0);
    if (n >= row.ring_len) return;
    distance = row.ring_len - 1 - n;
  }
  const int d = call.head_dim, group = call.n_heads / call.n_kv_heads;
  const size_t row_at = static_cast<size_t>(watch.row) * call.n_heads;
  const T *q = (is_pinned ? call.q_pinned : call.q_ring) + row_at * d;
  float share = 0.0f;
  for (int head = 0; head < call.n_heads; head++) {
    const T *key = lane.keys + (static_cast<size_t>(head / group) * lane.n_slots + slot) * d;
    float product = 0.0f;
    for (int column = lane_id; column < d; column += 32) {
      product += to_float(q[head * d + column]) * to_float(key[column]);
    }
    for (int step = 16; step > 0; step /= 2) product += __shfl_xor_sync(~0u, product, step);
    const Total total = call.totals[row_at + head];
    share += expf(score(call, product, slope_of(call, head), distance) - total.top) / total.sum;
  }
  if (lane_id == 0) sums[static_cast<size_t>(blockIdx.y) * n_watched + number] += share;
}
