// Many rows of a lane, TILE at a time, on tensor cores. A part of kernels.cu.
//
// Rows of a tile are neighbours in the stream, so what they see together is one run of pinned slots
// and one of the ring. Its keys come piece by piece; scores, weights and the results so far stay with
// the warp that has the row.
#pragma once

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

// Grid: [tiles, H]; shared memory as host.rs lends it: three times [TILE, WIDTH], and the scores.
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
