//! The engine: one per process, with the least of WebAssembly switched on and every limiter set.

use crate::host;
use crate::inspect::LoadError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails, WasmFeatures,
};

/// How often running guests are looked at. The CPU limit overruns by at most this and the longest bulk operation.
const TICK: Duration = Duration::from_millis(1);

/// Settings of a runner.
#[derive(Clone, Copy, Debug)]
pub struct RunnerConfig {
    /// Guests in flight at once. Each slot reserves 4 GiB of address space, not of memory.
    pub slots: u32,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self { slots: 128 }
    }
}

/// The runner cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine does not start: {0}")]
pub struct StartError(String);

/// Runs guests. One per process.
pub struct Runner {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<host::Host>,
    pub(crate) ticker: Arc<Ticker>,
    slots: Arc<tokio::sync::Semaphore>,
}

impl Runner {
    /// Starts the engine. Where the address space for a pool of slots is not to be had, slots are made on demand.
    ///
    /// # Errors
    /// The engine does not start on this machine.
    pub fn new(config: RunnerConfig) -> Result<Self, StartError> {
        let pooled = settings(InstanceAllocationStrategy::Pooling(pool(config.slots)))
            .and_then(|settings| Engine::new(&settings));
        let engine = match pooled {
            Ok(engine) => engine,
            Err(_) => settings(InstanceAllocationStrategy::OnDemand)
                .and_then(|settings| Engine::new(&settings))
                .map_err(|error| StartError(format!("{error:#}")))?,
        };
        let linker = host::linker(&engine).map_err(|error| StartError(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone());
        let slots = Arc::new(tokio::sync::Semaphore::new(config.slots as usize));
        Ok(Self { engine, linker, ticker, slots })
    }

    /// Compiles a component to machine code for exactly this engine.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.engine.precompile_component(component).map_err(|error| LoadError::Compile(format!("{error:#}")))
    }

    /// A text that differs wherever compiled code must not be shared: engine version, settings, target.
    #[must_use]
    pub fn compatibility(&self) -> String {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{VERSION}-{:016x}", hasher.finish())
    }

    /// Waits for a free slot.
    pub(crate) async fn slot(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

/// The engine's exact version. Wasmtime itself marks compiled code with its major version only, and code that an
/// earlier patch release miscompiled, or laid out for, must not be loaded by a later one.
const VERSION: &str = "48.0.8+hw1";

fn settings(strategy: InstanceAllocationStrategy) -> wasmtime::Result<Config> {
    let off = WasmFeatures::THREADS
        | WasmFeatures::MEMORY64
        | WasmFeatures::GC
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL;
    let mut config = Config::new();
    // MULTI_MEMORY stays on: the adapters between composed components need it.
    config
        .concurrency_support(false)
        .wasm_features(off, false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(256 << 10)
        .async_stack_size(512 << 10)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        .allocation_strategy(strategy)
        .module_version(ModuleVersionStrategy::Custom(VERSION.to_owned()))?;
    Ok(config)
}

/// Slots for guests. `keep_resident` covers the stack, data and arena of a guest that was built with the SDK, so
/// that resetting its slot is a short memset and no call into the kernel (docs/benchmarks.md).
fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * 4)
        .total_memories(slots * 2)
        .total_tables(slots * 4)
        .total_stacks(slots)
        .max_core_instances_per_component(16)
        .max_memories_per_component(2)
        .max_memories_per_module(1)
        .max_tables_per_component(8)
        .max_tables_per_module(4)
        .max_memory_size(usize::try_from(health_watch_capability::Limits::CEILING.memory_bytes).unwrap_or(usize::MAX))
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .decommit_batch_size(16)
        // Leaks pages that were swapped out in 48.0.8 (bytecodealliance/wasmtime PR 14357).
        .pagemap_scan(Enabled::No);
    pool
}

/// Moves the engine's epoch while guests run, and sleeps while none does.
pub(crate) struct Ticker {
    running: AtomicUsize,
    parked: AtomicBool,
    stopped: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

/// Ticks without a guest after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 100;

impl Ticker {
    fn start(engine: Engine) -> Arc<Self> {
        let ticker = Arc::new(Self {
            running: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let own = Arc::clone(&ticker);
        let handle = std::thread::spawn(move || own.tick(&engine));
        let _ = ticker.thread.set(handle.thread().clone());
        ticker
    }

    /// Says that a guest runs, until the answer is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(Arc::clone(self))
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            engine.increment_epoch();
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                self.park();
                idle = 0;
            }
        }
    }

    /// Sleeps until a guest enters. Said before looked: whoever enters after the look sees the word and wakes us.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// A guest runs.
pub(crate) struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
