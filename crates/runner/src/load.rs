//! From bytes to something that can be instantiated in microseconds.

use crate::engine::Runner;
use crate::host::{Host, bindings};
use crate::inspect::LoadError;
use wasmtime::component::Component;

/// A compiled and linked probe. It can be run; what a run may do is decided on the other side of the seam.
pub struct Loaded {
    pub(crate) pre: bindings::ProbePre<Host>,
}

impl Runner {
    /// Loads what [`Runner::compile`] made.
    ///
    /// # Errors
    /// It was made for another engine, or is no probe.
    ///
    /// # Safety
    /// `compiled` is machine code that will be run: it must be, byte for byte, what `compile` of a runner of this
    /// very program returned. Whoever can alter it owns the process.
    #[expect(
        unsafe_code,
        reason = "Wasmtime's only way to load compiled code; the contract is passed on to the caller"
    )]
    pub unsafe fn load(&self, compiled: &[u8]) -> Result<Loaded, LoadError> {
        // SAFETY: the caller vouches for the bytes.
        let component = unsafe { Component::deserialize(&self.engine, compiled) };
        let component = component.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let pre =
            self.linker.instantiate_pre(&component).map_err(|error| LoadError::NotAProbe(format!("{error:#}")))?;
        let pre = bindings::ProbePre::new(pre).map_err(|error| LoadError::NotAProbe(format!("{error:#}")))?;
        Ok(Loaded { pre })
    }
}
