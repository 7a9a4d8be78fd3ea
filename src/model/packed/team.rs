//! A small team of threads for many short jobs: a decode step hands out two
//! hundred, each worth a few tens of microseconds.
//!
//! Three rules keep it fast on idle cores and harmless on shared ones:
//! - the caller works too, and never waits for a thread that did not start;
//! - a thread without work spins for `SPIN`, offers its core to others until
//!   `YIELD`, then sleeps: an idle team costs nothing;
//! - a job from inside a job, or while another caller holds the team, runs on
//!   the thread that brought it.
//!
//! Invariant: a job is read only between joining and leaving, and the caller
//! returns only after the job is closed and every thread that joined has left.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an idle thread watches for the next job without giving up its core.
const SPIN: Duration = Duration::from_micros(50);
/// How long an idle thread stays awake in all.
const YIELD: Duration = Duration::from_micros(300);

/// Bit of [`Shared::state`] that says the job may be joined.
const OPEN: u64 = 1 << 31;
/// Bits of [`Shared::state`] that count the threads at work.
const JOINED: u64 = OPEN - 1;
/// One in the upper half of [`Shared::state`], the number of the job.
const EPOCH: u64 = 1 << 32;

thread_local! {
    /// Whether this thread is inside a job.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Threads that are busy with work of their own: see [`Busy`].
static N_BUSY: AtomicUsize = AtomicUsize::new(0);

/// Says, while it lives, that a thread is busy with a stream. As long as there are several, each does
/// its jobs alone: streams side by side use all cores without waiting for one another.
#[derive(Debug)]
pub struct Busy(());

impl Busy {
    /// One more busy thread.
    #[must_use]
    pub fn new() -> Self {
        N_BUSY.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Default for Busy {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        N_BUSY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `f(0)`, `f(1)`, ... `f(n_tasks - 1)`, each once, on the threads of the
/// process-wide [`Team`], and returns when all are done.
///
/// Tasks are claimed in order, one at a time, by whichever thread is free.
///
/// # Panics
/// If a task does.
pub fn parallel(n_tasks: usize, f: &(dyn Fn(usize) + Sync)) {
    Team::global().run(n_tasks, f);
}

/// Splits `slice` into chunks of `chunk_len` (the last may be shorter) and runs
/// `f(i, chunk)` for each on the process-wide [`Team`].
///
/// # Panics
/// If `chunk_len` is zero or a task panics.
pub fn for_each_chunk<T: Send>(
    slice: &mut [T],
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    Team::global().for_each_chunk(slice, chunk_len, f);
}

/// Threads that wait for short jobs. The thread that calls is one of them.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller whose job is running.
    caller: Mutex<()>,
}

struct Shared {
    /// Epoch, [`OPEN`] and the count of joined threads, in one word.
    state: AtomicU64,
    quit: AtomicBool,
    /// Next task to claim; on its own cache line, as every thread writes it.
    next: Apart<AtomicUsize>,
    job: UnsafeCell<Job>,
    /// What the first panicking task threw.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    asleep: Vec<Apart<AtomicBool>>,
}

/// Keeps a value away from its neighbours' cache lines.
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Clone, Copy)]
struct Job {
    f: *const (dyn Fn(usize) + Sync),
    n_tasks: usize,
}

// SAFETY: `job` is written only while the state is closed with nobody joined,
// by the holder of `Team::caller`; it is read only by threads that joined, after
// the release store that opened it. The pointer in it is used only in between,
// and points to a `Sync` closure. Everything else is atomic or a mutex.
unsafe impl Sync for Shared {}
// SAFETY: as above; the job's pointer is not tied to any thread.
unsafe impl Send for Shared {}

impl Team {
    /// The team of this process: `RAYON_NUM_THREADS` threads if that is set to a
    /// positive number, else one for each core the process may use. While several streams are
    /// [`Busy`] it is the calling thread alone.
    pub fn global() -> &'static Self {
        static TEAM: OnceLock<Team> = OnceLock::new();
        static ALONE: OnceLock<Team> = OnceLock::new();
        if N_BUSY.load(Ordering::Relaxed) > 1 {
            return ALONE.get_or_init(|| Self::new(1));
        }
        TEAM.get_or_init(|| {
            let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
            let n_threads = match asked {
                None | Some(0) => thread::available_parallelism().map_or(1, usize::from),
                Some(n) => n,
            };
            Self::new(n_threads)
        })
    }

    /// A team of `n_threads`, the caller included. Threads the system refuses to
    /// start are done without.
    pub fn new(n_threads: usize) -> Self {
        let n_workers = n_threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            quit: AtomicBool::new(false),
            next: Apart(AtomicUsize::new(0)),
            job: UnsafeCell::new(Job { f: &|_| (), n_tasks: 0 }),
            panic: Mutex::new(None),
            asleep: (0..n_workers).map(|_| Apart(AtomicBool::new(false))).collect(),
        });
        let start = |i| {
            let shared = Arc::clone(&shared);
            let name = format!("team-{}", i + 1);
            thread::Builder::new().name(name).spawn(move || shared.serve(i)).ok()
        };
        let workers = (0..n_workers).map_while(start).collect();
        Self { shared, workers, caller: Mutex::new(()) }
    }

    /// How many threads work on a job, the caller included.
    pub fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `f(0)`, ... `f(n_tasks - 1)`, each once, and returns when all are
    /// done.
    ///
    /// # Panics
    /// If a task does.
    pub fn run(&self, n_tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        if n_tasks <= 1 || self.workers.is_empty() || AT_WORK.get() {
            return (0..n_tasks).for_each(f);
        }
        let caller = match self.caller.try_lock() {
            Ok(caller) => caller,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..n_tasks).for_each(f),
        };
        let job = Job { f: erase(f), n_tasks };
        self.open(job);
        self.shared.work(job);
        self.close();
        let thrown = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(caller);
        if let Some(thrown) = thrown {
            resume_unwind(thrown);
        }
    }

    /// Splits `slice` into chunks of `chunk_len` (the last may be shorter) and
    /// runs `f(i, chunk)` for each.
    ///
    /// # Panics
    /// If `chunk_len` is zero or a task panics.
    pub fn for_each_chunk<T: Send>(
        &self,
        slice: &mut [T],
        chunk_len: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let shared = Scattered::new(slice);
        self.run(shared.len.div_ceil(chunk_len), &|i| {
            let start = i * chunk_len;
            let len = chunk_len.min(shared.len - start);
            // SAFETY: chunks of different tasks do not overlap, each task runs
            // once, and `slice` stays borrowed until all are done.
            f(i, unsafe { shared.part(start, len) });
        });
    }

    fn open(&self, job: Job) {
        let shared = &*self.shared;
        // SAFETY: the state is closed with nobody joined (`close` waited for
        // that), and this thread holds `caller`: nobody else touches the job.
        unsafe { *shared.job.get() = job };
        shared.next.0.store(0, Ordering::Relaxed);
        let epoch = shared.state.load(Ordering::Relaxed) & !(OPEN | JOINED);
        // Sequentially consistent, as is the sleeper's store before it looks at
        // the state once more: one of the two sees the other, so no wake-up is
        // lost.
        shared.state.store(epoch.wrapping_add(EPOCH) | OPEN, Ordering::SeqCst);
        for (worker, asleep) in self.workers.iter().zip(&shared.asleep) {
            if asleep.0.load(Ordering::SeqCst) && asleep.0.swap(false, Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
    }

    fn close(&self) {
        let state = &self.shared.state;
        state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut idle = Idle::new();
        while state.load(Ordering::Acquire) & JOINED != 0 {
            idle.wait();
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches what its tasks throw and cannot panic itself.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// The life of worker `i`.
    fn serve(&self, i: usize) {
        let mut done = 0; // the epoch last worked on or missed
        let mut idle = Idle::new();
        while !self.quit.load(Ordering::Relaxed) {
            let state = self.state.load(Ordering::Acquire);
            if state & OPEN != 0 && state / EPOCH != done {
                // Fails when another thread joins first, or the job is closed.
                let joined = self.state.compare_exchange_weak(
                    state,
                    state + 1,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if joined.is_ok() {
                    done = state / EPOCH;
                    // SAFETY: joined, so the job stays as it is until we leave.
                    self.work(unsafe { *self.job.get() });
                    self.state.fetch_sub(1, Ordering::Release);
                    idle = Idle::new();
                }
            } else if !idle.wait() {
                self.sleep(i, done);
                idle = Idle::new();
            }
        }
    }

    /// Sleeps until woken, unless there is a job to join already.
    fn sleep(&self, i: usize, done: u64) {
        let asleep = &self.asleep[i].0;
        asleep.store(true, Ordering::SeqCst);
        let state = self.state.load(Ordering::SeqCst);
        let has_job = state & OPEN != 0 && state / EPOCH != done;
        if !has_job && !self.quit.load(Ordering::SeqCst) {
            thread::park();
        }
        asleep.store(false, Ordering::SeqCst);
    }

    /// Claims and runs tasks until none is left; keeps the first panic.
    fn work(&self, job: Job) {
        AT_WORK.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.0.fetch_add(1, Ordering::Relaxed);
                if job.n_tasks <= task {
                    break;
                }
                // SAFETY: the caller's closure outlives the job: `Team::run`
                // returns only after every thread that joined has left.
                unsafe { (*job.f)(task) };
            }
        }));
        AT_WORK.set(false);
        if let Err(thrown) = result {
            self.next.0.store(job.n_tasks, Ordering::Relaxed); // skip the rest
            let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(thrown);
        }
    }
}

/// Forgets how long the closure lives; `Team::run` makes sure it is long enough.
#[allow(clippy::transmute_ptr_to_ptr, reason = "a cast cannot lengthen a lifetime")]
fn erase<'a>(f: &'a (dyn Fn(usize) + Sync + 'a)) -> *const (dyn Fn(usize) + Sync + 'static) {
    let f: *const (dyn Fn(usize) + Sync + 'a) = f;
    // SAFETY: only the lifetime changes; both are fat pointers of one layout.
    unsafe { std::mem::transmute(f) }
}

/// Patience, in three stages: spin, yield, give up.
struct Idle {
    n_spins: u32,
    since: Option<Instant>,
}

impl Idle {
    const fn new() -> Self {
        Self { n_spins: 0, since: None }
    }

    /// Waits a little. False once it has been [`YIELD`] since the first wait;
    /// the caller may go on waiting all the same.
    fn wait(&mut self) -> bool {
        // The clock costs more than a spin: look at it now and then.
        self.n_spins = self.n_spins.wrapping_add(1);
        if !self.n_spins.is_multiple_of(32) {
            spin_loop();
            return true;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if SPIN < waited {
            thread::yield_now();
        }
        waited < YIELD
    }
}

/// A mutable slice whose parts are handed to different threads.
pub(super) struct Scattered<'a, T> {
    start: *mut T,
    pub(super) len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it only hands out `&mut [T]`, through an unsafe function whose caller
// vouches that no two overlap; sending those to other threads needs `T: Send`.
unsafe impl<T: Send> Sync for Scattered<'_, T> {}

impl<'a, T> Scattered<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// # Safety
    /// No two parts alive at a time may overlap.
    ///
    /// # Panics
    /// If the part is not inside the slice.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches for it")]
    pub(super) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "part outside the slice");
        // SAFETY: inside the slice, which is borrowed for 'a; apart from the
        // other parts, as the caller vouches.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whatever_the_sizes() {
        for n_threads in [0, 1, 2, 3, 8] {
            let team = Team::new(n_threads);
            for n_tasks in [0, 1, 2, 7, 1000] {
                let counts: Vec<_> = (0..n_tasks).map(|_| AtomicUsize::new(0)).collect();
                team.run(n_tasks, &|task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn thousands_of_jobs_in_a_row_lose_none() {
        let team = Team::new(3);
        let sum = AtomicUsize::new(0);
        for job in 0..20_000 {
            team.run(1 + job % 5, &|task| {
                sum.fetch_add(task + 1, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 20_000 / 5 * (1 + 3 + 6 + 10 + 15));
    }

    #[test]
    fn sleepers_wake_up() {
        let team = Team::new(2);
        for _ in 0..5 {
            thread::sleep(YIELD * 5);
            assert!(both_threads_meet(&team));
        }
    }

    #[test]
    fn idle_threads_fall_asleep() {
        let team = Team::new(4);
        team.run(64, &|_| ());
        let asleep = |flag: &Apart<AtomicBool>| flag.0.load(Ordering::SeqCst);
        let since = Instant::now();
        while !team.shared.asleep.iter().all(asleep) {
            assert!(since.elapsed() < Duration::from_secs(30), "still awake");
            thread::sleep(YIELD);
        }
    }

    #[test]
    fn jobs_inside_jobs_and_from_many_threads_are_done() {
        let team = Team::new(3);
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        team.run(4, &|_| {
                            team.run(3, &|_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 4 * 200 * 4 * 3);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(3);
        for _ in 0..50 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                team.run(40, &|task| assert_ne!(task, 17, "as planned"));
            }));
            assert!(result.is_err());
            assert!(both_threads_meet(&team));
        }
    }

    #[test]
    fn chunks_cover_the_slice() {
        let mut slice = vec![0; 103];
        Team::new(3).for_each_chunk(&mut slice, 10, |i, chunk| chunk.fill(i));
        assert!(slice.iter().enumerate().all(|(j, &i)| i == j / 10));
        Team::new(3).for_each_chunk(&mut [0; 0], 10, |_, _| panic!("there is none"));
    }

    /// Whether two tasks that wait for one another end: no thread runs both.
    fn both_threads_meet(team: &Team) -> bool {
        let barrier = std::sync::Barrier::new(2);
        team.run(2, &|_| {
            barrier.wait();
        });
        true
    }
}
