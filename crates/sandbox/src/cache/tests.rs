//! Whatever happens to a cache entry, only what this program compiled is ever loaded.

#![expect(clippy::disallowed_methods, reason = "tests read, spoil and swap the files of the cache")]

use super::*;
use health_watch_runner::RunnerConfig;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const EMPTY: &[u8] = include_bytes!("../../../../guests/dist/empty.wasm");

struct Bench {
    folder: tempfile::TempDir,
    runner: Runner,
    compiled: AtomicUsize,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runner = Runner::new(RunnerConfig { slots: 1 }).expect("an engine");
        Self { folder, runner, compiled: AtomicUsize::new(0) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn cache(&self) -> Cache {
        Cache::open(Some(self.path()), self.runner.compatibility())
    }

    /// Gets `digest` from a freshly opened cache and says whether it was compiled.
    fn get(&self, cache: &Cache, digest: &str) -> Cached {
        let compile = || {
            self.compiled.fetch_add(1, Relaxed);
            self.runner.compile(EMPTY)
        };
        let (compiled, cached) = cache.get_or_compile(digest, compile).expect("it compiles");
        compiled.load(&self.runner).expect("it loads");
        cached
    }

    fn entry(&self) -> PathBuf {
        let entries = fs::read_dir(self.path()).expect("the folder");
        let mut found = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "cwasm"));
        found.next().expect("one entry")
    }
}

#[test]
fn an_entry_is_found_again() {
    let bench = Bench::new();
    assert_eq!(bench.get(&bench.cache(), "d"), Cached::Miss);
    assert_eq!(bench.get(&bench.cache(), "d"), Cached::Hit);
    assert_eq!(bench.compiled.load(Relaxed), 1);
}

#[test]
fn an_entry_with_any_byte_changed_is_compiled_again() {
    let bench = Bench::new();
    let cache = bench.cache();
    bench.get(&cache, "d");
    let good = fs::read(bench.entry()).expect("the entry");
    for at in [0, 31, 32, 100, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(bench.entry(), &bad).expect("written");
        assert_eq!(bench.get(&cache, "d"), Cached::Miss, "byte {at}");
    }
    for length in [0, 10, 32, good.len() - 1] {
        fs::write(bench.entry(), &good[..length]).expect("written");
        assert_eq!(bench.get(&cache, "d"), Cached::Miss, "cut to {length}");
    }
}

#[test]
fn an_entry_answers_only_for_its_own_component_and_key() {
    let bench = Bench::new();
    bench.get(&bench.cache(), "d");
    let (entry, other) = (bench.entry(), bench.path().join(format!("e-{}.cwasm", bench.runner.compatibility())));
    fs::copy(&entry, &other).expect("copied");
    assert_eq!(bench.get(&bench.cache(), "e"), Cached::Miss, "a renamed entry");
    fs::write(bench.path().join("key"), [7; KEY_BYTES]).expect("written");
    assert_eq!(bench.get(&bench.cache(), "d"), Cached::Miss, "another machine's key");
}

#[test]
fn another_engine_finds_nothing() {
    let bench = Bench::new();
    bench.get(&bench.cache(), "d");
    let other = Cache::open(Some(bench.path()), "48.0.7".to_owned());
    assert_eq!(bench.get(&other, "d"), Cached::Miss);
}

#[test]
fn a_folder_that_cannot_be_used_is_no_error() {
    let bench = Bench::new();
    fs::write(bench.path(), "a file").expect("written");
    assert!(matches!(bench.get(&bench.cache(), "d"), Cached::Off(_)));
}

#[cfg(unix)]
#[test]
fn the_folder_is_made_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    fs::create_dir(bench.path()).expect("made");
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o777)).expect("opened up");
    bench.get(&bench.cache(), "d");
    let mode = |path: PathBuf| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(bench.path()), 0o700);
    assert_eq!(mode(bench.path().join("key")), 0o600);
}
