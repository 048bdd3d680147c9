//! Compiled code, kept by the component's digest and the engine's exact version and settings.
//!
//! Loading compiled code means running it, so every entry carries an HMAC (RFC 2104, SHA-256) under a key that this
//! machine made and only its owner can read; an entry that was altered, cut, renamed or copied from elsewhere is
//! compiled again. Whoever can read the key can already act as the owner. A cache that cannot be used is no error.

use health_watch_runner::{LoadError, Loaded, Runner};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Whether compiled code came from the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached {
    /// It did.
    Hit,
    /// It was compiled, and kept.
    Miss,
    /// It was compiled; the text says why it was not kept.
    Off(String),
}

/// Machine code that this program compiled: either just now, or earlier and authenticated.
pub(crate) struct Compiled(Vec<u8>);

impl Compiled {
    pub(crate) fn load(&self, runner: &Runner) -> Result<Loaded, LoadError> {
        // SAFETY: only this module makes a `Compiled`, from what `Runner::compile` returned, in this process or in an
        // earlier one with the same `compatibility`; in the latter case its HMAC was verified.
        #[expect(unsafe_code, reason = "loading compiled code is what a cache of it is for")]
        unsafe {
            runner.load(&self.0)
        }
    }

    #[cfg(unix)]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) struct Cache {
    opened: Result<Opened, String>,
    compatibility: String,
}

struct Opened {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

impl Cache {
    /// Opens the cache in `folder`, which is made if it does not exist.
    pub(crate) fn open(folder: Option<PathBuf>, compatibility: String) -> Self {
        let opened = match folder {
            None => Err("no cache folder".to_owned()),
            Some(folder) => open(&folder).map_err(|error| format!("{}: {error}", folder.display())),
        };
        Self { opened, compatibility }
    }

    pub(crate) fn get_or_compile(
        &self,
        digest: &str,
        compile: impl FnOnce() -> Result<Vec<u8>, LoadError>,
    ) -> Result<(Compiled, Cached), LoadError> {
        let opened = match &self.opened {
            Ok(opened) => opened,
            Err(why) => return Ok((Compiled(compile()?), Cached::Off(why.clone()))),
        };
        let name = format!("{digest}-{}", self.compatibility);
        if let Some(compiled) = opened.get(&name) {
            return Ok((Compiled(compiled), Cached::Hit));
        }
        let compiled = compile()?;
        let cached = match opened.put(&name, &compiled) {
            Ok(()) => Cached::Miss,
            Err(error) => Cached::Off(format!("cannot be written: {error}")),
        };
        Ok((Compiled(compiled), cached))
    }
}

impl Opened {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut entry = read(&self.path(name)).ok()?;
        if entry.len() < TAG_BYTES {
            return None;
        }
        let compiled = entry.split_off(TAG_BYTES);
        self.mac(name, &compiled)?.verify_slice(&entry).ok()?;
        Some(compiled)
    }

    fn put(&self, name: &str, compiled: &[u8]) -> io::Result<()> {
        let tag = self.mac(name, compiled).ok_or_else(|| io::Error::other("no key"))?.finalize().into_bytes();
        let mut entry = Vec::with_capacity(TAG_BYTES + compiled.len());
        entry.extend_from_slice(&tag);
        entry.extend_from_slice(compiled);
        replace(&self.path(name), &entry)
    }

    /// The name is part of what is authenticated: an entry answers only for its own component and engine.
    fn mac(&self, name: &str, compiled: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(compiled);
        Some(mac)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the cache is files")]
fn open(folder: &Path) -> io::Result<Opened> {
    fs::create_dir_all(folder)?;
    private(folder)?;
    let path = folder.join("key");
    let mut key = [0; KEY_BYTES];
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == KEY_BYTES => key.copy_from_slice(&bytes),
        _ => {
            getrandom::fill(&mut key).map_err(io::Error::other)?;
            replace(&path, &key)?;
        }
    }
    Ok(Opened { folder: folder.to_owned(), key })
}

/// Makes sure that nobody but the owner can read or write in `folder`.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "the cache is files")]
fn private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata = fs::metadata(folder)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("belongs to somebody else"));
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the cache is files")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Writes beside and renames, so that no reader ever sees half an entry.
#[expect(clippy::disallowed_methods, reason = "the cache is files")]
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&beside)?.write_all(bytes)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
