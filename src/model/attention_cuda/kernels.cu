// Attention over streaming caches on NVIDIA GPUs: pinned keys and ring keys in one softmax.
//
// Rows are the tokens of one step, of any number of lanes; a lane is a stream, and its rows are
// neighbours. A row sees a run of pinned slots and a run of the ring, which wraps from the last slot
// to the first one behind the pinned. Letters: R rows, H query heads, G key heads, D width of a
// head, S slots.
//
// - rotate_store: queries and keys are rotated, keys and values go into their slots.
// - attend_rows, join_rows: few rows of a lane. A block takes SPLIT keys of one row; splits are
//   joined in order.
// - attend_tiles: many rows of a lane, 64 at a time, on tensor cores.
// - add_shares: what rows give to slots that are watched.
//
// Invariant: the numbers of a row depend on the row and on what its lane keeps, and on nothing else.
// Splits are cut in the order of the row's own keys; tiles are cut at multiples of 64 slots, and a
// key that a row does not see adds an exact zero. No sum is taken with atomics.
//
// Invariant: a slot that no row of a block sees is not read. It may hold anything.
//
// Sources: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867;
// Dao et al., "FlashAttention", arXiv:2205.14135; Dao et al., "Flash-Decoding for long-context
// inference", 2023, for splits of the keys.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

// ---- What the host hands over: the same fields in the same order as in call.rs ----

// A token of this step.
struct Row {
  int lane;
  int slot;             // where its key and value go; none if negative
  int pinned_start;     // pinned slots that it sees
  int pinned_end;
  int ring_start;       // slot of the oldest ring key that it sees
  int ring_len;         // ring keys that it sees; the newest is its own
  int pinned_position;  // its position as the pinned keys see it
};

// The cache of a lane in one layer; ring slots are n_sink..n_slots.
template <typename T> struct Lane {
  T *keys;    // [G, S, D]
  T *values;  // [G, S, D]
  int n_sink;
  int n_slots;
};

// Rows of one lane that are taken together.
struct Tile {
  int first;
  int n_rows;  // at most TILE
};

// A row whose attention to some slots is wanted: runs of slots, in order.
struct Watch {
  int row;
  int starts[3];
  int lens[3];
};

// How a head's softmax came out: its largest score, and the sum of exp(score - largest).
struct Total {
  float top;
  float sum;
};

template <typename T> struct Call {
  const T *q_ring;      // [R, H, D], rotated for the ring
  const T *q_pinned;    // [R, H, D], rotated for the pinned keys
  T *out;               // [R, H, D]
  const Row *rows;      // [R]
  const Lane<T> *lanes;
  const float *slopes;  // [H], or null: what a score loses per token of distance
  float *sums;          // [listed rows, H, splits, D]: weighted values of splits
  Total *parts;         // [listed rows, H, splits]
  Total *totals;        // [R, H]
  float scale;
  float cap;            // what scores are squeezed to, or 0
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int n_splits;         // room for splits, at least as many as any row has
};

// ---- Numbers ----

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ inline T from_float(float x);
template <> __device__ inline float from_float(float x) { return x; }
template <> __device__ inline __half from_float(float x) { return __float2half_rn(x); }
template <> __device__ inline __nv_bfloat16 from_float(float x) { return __float2bfloat16_rn(x); }

constexpr float LOWEST = -3.402823466e38f;

__device__ inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

// Reads 16 bytes of numbers, of which the first `n_left` exist; the rest are zeros.
template <typename T>
__device__ inline void read(const T *from, int n_left, bool is_aligned, float (&to)[16 / sizeof(T)]) {
  constexpr int N = 16 / sizeof(T);
  if (is_aligned && n_left >= N) {
    const uint4 raw = *reinterpret_cast<const uint4 *>(from);
    const T *numbers = reinterpret_cast<const T *>(&raw);
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = to_float(numbers[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = i < n_left ? to_float(from[i]) : 0.0f;
  }
}

// What a head's scores lose per token of distance.
template <typename T> __device__ inline float slope_of(const Call<T> &call, int head) {
  return call.slopes == nullptr ? 0.0f : call.slopes[head];
}

// What is exponentiated, of a product of query and key.
template <typename T>
__device__ inline float score(const Call<T> &call, float product, float slope, int distance) {
  float score = product * call.scale;
  if (call.cap != 0.0f) score = call.cap * tanhf(score / call.cap);
  return score - slope * static_cast<float>(distance);
}

// Slot of the ring key that is `n` tokens behind the oldest one in sight.
template <typename T> __device__ inline int ring_slot(const Row &row, const Lane<T> &lane, int n) {
  const int slot = row.ring_start + n;
  return slot < lane.n_slots ? slot : slot - lane.n_slots + lane.n_sink;
}

// ---- Rotation ----

// Grid: [H + 2G, R]. A thread takes a pair of numbers at a time.
//
// - q: [R, H, D]; k, v: [R, G, D]
// - angles: [4, R, half]: cosines and sines at the stream index, then at the pinned position
template <typename T>
__device__ void rotate_store(const T *q, const T *k, const T *v, const float *angles,
                             const Row *rows, const Lane<T> *lanes, T *q_ring, T *q_pinned,
                             int n_heads, int n_kv_heads, int head_dim, int half, int interleaved) {
  const int r = blockIdx.y;
  const Row row = rows[r];
  int head = blockIdx.x;
  const T *from;
  T *to[2] = {nullptr, nullptr};  // rotated for the ring, and for the pinned keys
  bool is_turned = true;
  if (head < n_heads) {
    const size_t at = (static_cast<size_t>(r) * n_heads + head) * head_dim;
    from = q + at;
    to[0] = q_ring + at;
    to[1] = q_pinned + at;
  } else {
    if (row.slot < 0) return;
    head -= n_heads;
    is_turned = head < n_kv_heads;
    if (!is_turned) head -= n_kv_heads;
    const Lane<T> lane = lanes[row.lane];
    from = (is_turned ? k : v) + (static_cast<size_t>(r) * n_kv_heads + head) * head_dim;
    to[0] = (is_turned ? lane.keys : lane.values) +
            (static_cast<size_t>(head) * lane.n_slots + row.slot) * head_dim;
  }
  for (int pair = threadIdx.x; pair < head_dim / 2; pair += blockDim.x) {
    // Numbers behind the rotated ones are copied, two by two.
    const bool is_plain = !is_turned || pair >= half;
    const int low = is_plain || interleaved ? 2 * pair : pair;
    const int high = is_plain || interleaved ? low + 1 : pair + half;
    const float a = to_float(from[low]), b = to_float(from[high]);
    for (int way = 0; way < 2; way++) {
      if (to[way] == nullptr) continue;
      float x = a, y = b;
      if (!is_plain) {
        const size_t at = static_cast<size_t>(r) * half + pair;
        const size_t plane = static_cast<size_t>(gridDim.y) * half;
        const float cosine = angles[2 * way * plane + at];
        const float sine = angles[(2 * way + 1) * plane + at];
        x = a * cosine - b * sine;
        y = a * sine + b * cosine;
      }
      to[way][low] = from_float<T>(x);
      to[way][high] = from_float<T>(y);
    }
  }
}

// ---- Few rows: splits of the keys ----

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

// ---- Many rows: tiles on tensor cores ----

namespace wmma = nvcuda::wmma;

constexpr int TILE = 64;          // rows, and keys, of a tile; a warp has 16 of the rows
constexpr int PITCH = TILE + 8;   // of scores in shared memory: no two rows in the same banks

extern __shared__ __align__(128) unsigned char staged[];

// Copies 16 bytes to shared memory without waiting, or zeros.
__device__ inline void copy_async(void *to, const void *from, bool is_there) {
#if __CUDA_ARCH__ >= 800
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from),
               "r"(is_there ? 16 : 0) : "memory");
#else
  *static_cast<uint4 *>(to) = is_there ? *static_cast<const uint4 *>(from) : uint4{0, 0, 0, 0};
#endif
}

// Ends a group of copies.
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most N groups are under way, those that were begun last.
template <int N> __device__ inline void wait_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// Brings TILE rows of D numbers to shared memory; rows outside `begin..end` become zeros.
template <typename T, int D>
__device__ inline void stage(T *to, const T *from, size_t stride, int begin, int end) {
  constexpr int N = 16 / sizeof(T), N_CHUNKS = D / N;
  for (int i = threadIdx.x; i < TILE * N_CHUNKS; i += N_THREADS) {
    const int row = i / N_CHUNKS, column = i % N_CHUNKS * N;
    const bool is_there = begin <= row && row < end;
    copy_async(to + row * (D + 8) + column, is_there ? from + row * stride + column : from,
               is_there);
  }
}

// The keys of one kind: pinned, or of the ring. Keys are numbered from the first slot of the kind;
// those behind the wrap go on behind the last one.
struct Region {
  int slot;        // its first
  int n_slots;
  int begin, end;  // what any row of the tile sees
  int lo, hi;      // what this thread's row sees
  int newest;      // number of a key at distance 0 from this thread's row
};

// Some keys of a region: at most TILE, cut at multiples of TILE slots and at the wrap.
struct Piece {
  int origin;      // number of the key in column 0
  int slot;        // its slot
  int begin, end;  // columns that any row of the tile sees
};

__device__ inline Piece piece(const Region &region, int at) {
  const int lap = at >= region.n_slots ? region.n_slots : 0;
  const int in_lap = (at - lap) / TILE * TILE;
  const int end = min(min(in_lap + TILE, region.n_slots) + lap, region.end);
  return {lap + in_lap, region.slot + in_lap, at - lap - in_lap, end - lap - in_lap};
}

// Grid: [tiles, H]; shared memory: tile_bytes(D).
template <typename T, int D> __device__ void attend_tiles(const Call<T> &call, const Tile *tiles) {
  constexpr int WIDTH = D + 8, N_COLUMNS = D / 16, N_KEYS = TILE / 16;
  using Rows = wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major>;
  using Keys = wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major>;
  using Values = wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::row_major>;
  using Sums = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;
  T *const q = reinterpret_cast<T *>(staged);  // [TILE, WIDTH], as keys and values
  T *const k = q + TILE * WIDTH;
  T *const v = k + TILE * WIDTH;
  static __shared__ float factors[TILE];

  const int tid = threadIdx.x, warp = tid / 32;
  const Tile tile = tiles[blockIdx.x];
  const int head = blockIdx.y, kv = head / (call.n_heads / call.n_kv_heads);
  const float slope = slope_of(call, head);
  // Two threads share a row's scores: one has columns 0..4, 8..12, .., the other 4..8, 12..16, ..
  const int r = tid / 2, side = tid % 2;
  const Row oldest = call.rows[tile.first], newest = call.rows[tile.first + tile.n_rows - 1];
  const Row row = call.rows[tile.first + min(r, tile.n_rows - 1)];
  const Lane<T> lane = call.lanes[row.lane];
  const T *keys = lane.keys + static_cast<size_t>(kv) * lane.n_slots * D;
  const T *values = lane.values + static_cast<size_t>(kv) * lane.n_slots * D;
  // A warp's own scores, and, over them, its weights.
  float *const scores = reinterpret_cast<float *>(v + TILE * WIDTH) + warp * 16 * PITCH;
  T *const weights = reinterpret_cast<T *>(scores);

  // Which row of its 16 each number of an accumulator belongs to is known to the hardware alone; it
  // tells when it is given a matrix of row numbers.
  Sums numbers, sums[N_COLUMNS];
  for (int i = tid % 32; i < 256; i += 32) scores[i] = static_cast<float>(i / 16);
  __syncwarp();
  wmma::load_matrix_sync(numbers, scores, 16, wmma::mem_row_major);
  __syncwarp();
#pragma unroll
  for (int c = 0; c < N_COLUMNS; c++) wmma::fill_fragment(sums[c], 0.0f);
  const auto multiply = [&](Sums &sums) {
#pragma unroll
    for (int i = 0; i < Sums::num_elements; i++) {
      sums.x[i] *= factors[warp * 16 + static_cast<int>(numbers.x[i])];
    }
  };

  Total total = {LOWEST, 0.0f};
  for (int kind = 0; kind < 2; kind++) {
    Region region;
    if (kind == 0) {
      region = {0, lane.n_sink, oldest.pinned_start, newest.pinned_end,
                row.pinned_start, row.pinned_end, row.pinned_position};
    } else {
      const int n_ring = lane.n_slots - lane.n_sink;
      const auto behind = [&](const Row &row) {
        const int n = row.ring_start - oldest.ring_start;
        return n < 0 ? n + n_ring : n;
      };
      const int begin = oldest.ring_start - lane.n_sink, lo = begin + behind(row);
      region = {lane.n_sink, n_ring, begin, begin + behind(newest) + newest.ring_len,
                lo, lo + row.ring_len, lo + row.ring_len - 1};
    }
    if (region.begin >= region.end) continue;
    const T *queries = (kind == 0 ? call.q_pinned : call.q_ring) +
                       (static_cast<size_t>(tile.first) * call.n_heads + head) * D;
    __syncthreads();  // all warps are done with what is staged
    stage<T, D>(q, queries, static_cast<size_t>(call.n_heads) * D, 0, tile.n_rows);
    Piece now = piece(region, region.begin);
    stage<T, D>(k, keys + static_cast<size_t>(now.slot) * D, D, now.begin, now.end);
    commit_copies();
    while (true) {
      stage<T, D>(v, values + static_cast<size_t>(now.slot) * D, D, now.begin, now.end);
      commit_copies();
      wait_copies<1>();
      __syncthreads();  // queries and keys are there
      const int lo = max(region.lo - now.origin, 0), hi = min(region.hi - now.origin, now.end);
      const bool is_seen = __any_sync(~0u, lo < hi);
      if (is_seen) {
        Sums products[N_KEYS];
#pragma unroll
        for (int j = 0; j < N_KEYS; j++) wmma::fill_fragment(products[j], 0.0f);
#pragma unroll
        for (int c = 0; c < N_COLUMNS; c++) {
          Rows a;
          wmma::load_matrix_sync(a, q + warp * 16 * WIDTH + c * 16, WIDTH);
#pragma unroll
          for (int j = 0; j < N_KEYS; j++) {
            Keys b;
            wmma::load_matrix_sync(b, k + j * 16 * WIDTH + c * 16, WIDTH);
            wmma::mma_sync(products[j], a, b, products[j]);
          }
        }
#pragma unroll
        for (int j = 0; j < N_KEYS; j++) {
          wmma::store_matrix_sync(scores + j * 16, products[j], PITCH, wmma::mem_row_major);
        }
        __syncwarp();
        float x[TILE / 2];
        float top = total.top, sum = 0.0f;
#pragma unroll
        for (int i = 0; i < TILE / 2; i++) {
          const int column = i / 4 * 8 + side * 4 + i % 4;
          x[i] = scores[r % 16 * PITCH + column];
          if (lo <= column && column < hi) {
            x[i] = score(call, x[i], slope, region.newest - now.origin - column);
            top = fmaxf(top, x[i]);
          }
        }
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        __syncwarp();  // scores are read; weights are written over them
        const float factor = expf(total.top - top);
#pragma unroll
        for (int i = 0; i < TILE / 2; i++) {
          const int column = i / 4 * 8 + side * 4 + i % 4;
          x[i] = lo <= column && column < hi ? expf(x[i] - top) : 0.0f;
          sum += x[i];
          weights[r % 16 * 2 * PITCH + column] = from_float<T>(x[i]);
        }
        sum += __shfl_xor_sync(~0u, sum, 1);
        total = {top, total.sum * factor + sum};
        if (side == 0) factors[r] = factor;
        __syncwarp();
#pragma unroll
        for (int c = 0; c < N_COLUMNS; c++) multiply(sums[c]);
      }
      wait_copies<0>();
      __syncthreads();  // values are there, and all warps are done with the keys
      const int next = now.origin + now.end;
      if (next < region.end) {
        const Piece then = piece(region, next);
        stage<T, D>(k, keys + static_cast<size_t>(then.slot) * D, D, then.begin, then.end);
        commit_copies();
      }
      if (is_seen) {
#pragma unroll
        for (int j = 0; j < N_KEYS; j++) {
          Rows a;
          wmma::load_matrix_sync(a, weights + j * 16, 2 * PITCH);
#pragma unroll
          for (int c = 0; c < N_COLUMNS; c++) {
            Values b;
            wmma::load_matrix_sync(b, v + j * 16 * WIDTH + c * 16, WIDTH);
            wmma::mma_sync(sums[c], a, b, sums[c]);
          }
        }
      }
      if (next >= region.end) break;
      now = piece(region, next);
      __syncthreads();  // all warps are done with the values
    }
  }

  if (side == 0) factors[r] = total.sum == 0.0f ? 0.0f : 1.0f / total.sum;
  __syncwarp();
#pragma unroll
  for (int c = 0; c < N_COLUMNS; c++) {
    multiply(sums[c]);
    wmma::store_matrix_sync(scores, sums[c], PITCH, wmma::mem_row_major);
    __syncwarp();
    for (int i = tid % 32; i < 256; i += 32) {
      const int in_tile = warp * 16 + i / 16;
      if (in_tile < tile.n_rows) {
        const size_t at = static_cast<size_t>(tile.first + in_tile) * call.n_heads + head;
        call.out[at * D + c * 16 + i % 16] = from_float<T>(scores[i / 16 * PITCH + i % 16]);
      }
    }
    __syncwarp();
  }
}

// ---- Entry points ----

#define FOR_TYPE(NAME, T, C64, C128, C256)                                                        \
  extern "C" __global__ void rotate_store_##NAME(                                                 \
      const T *q, const T *k, const T *v, const float *angles, const Row *rows,                   \
      const Lane<T> *lanes, T *q_ring, T *q_pinned, int n_heads, int n_kv_heads, int head_dim,    \
      int half, int interleaved) {                                                                \
    rotate_store<T>(q, k, v, angles, rows, lanes, q_ring, q_pinned, n_heads, n_kv_heads,          \
                    head_dim, half, interleaved);                                                 \
  }                                                                                               \
  extern "C" __global__ void join_rows_##NAME(Call<T> call, const int *listed) {                  \
    join_rows<T>(call, listed);                                                                   \
  }                                                                                               \
  extern "C" __global__ void add_shares_##NAME(Call<T> call, const Watch *watches, int n_watched, \
                                               float *sums) {                                     \
    add_shares<T>(call, watches, n_watched, sums);                                                \
  }                                                                                               \
  FOR_WIDTH(NAME, T, 64, C64)                                                                     \
  FOR_WIDTH(NAME, T, 128, C128)                                                                   \
  FOR_WIDTH(NAME, T, 256, C256)

// For heads up to WIDTH wide.
#define FOR_WIDTH(NAME, T, WIDTH, N_CHUNKS)                                                       \
  extern "C" __global__ void __launch_bounds__(N_THREADS)                                         \
      attend_rows_##NAME##_##WIDTH(Call<T> call, const int *listed) {                             \
    attend_rows<T, N_CHUNKS>(call, listed);                                                       \
  }

// For heads of exactly D.
#define FOR_TILE(NAME, T, D)                                                                      \
  extern "C" __global__ void __launch_bounds__(N_THREADS)                                         \
      attend_tiles_##NAME##_##D(Call<T> call, const Tile *tiles) {                                \
    attend_tiles<T, D>(call, tiles);                                                              \
  }

#define FOR_TILES(NAME, T)                                                                        \
  FOR_TILE(NAME, T, 64)                                                                           \
  FOR_TILE(NAME, T, 80)                                                                           \
  FOR_TILE(NAME, T, 96)                                                                           \
  FOR_TILE(NAME, T, 128)                                                                          \
  FOR_TILE(NAME, T, 256)

FOR_TYPE(f32, float, 2, 4, 8)
FOR_TYPE(f16, __half, 1, 2, 4)
FOR_TYPE(bf16, __nv_bfloat16, 1, 2, 4)
FOR_TILES(f16, __half)
FOR_TILES(bf16, __nv_bfloat16)
