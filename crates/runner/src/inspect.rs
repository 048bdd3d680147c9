//! What can be known of a component without compiling it or running any of it.

use health_watch_capability::Fault;
use health_watch_capability::interface::{Import, ImportFault, judge_imports};
use health_watch_capability::manifest::{Manifest, SECTION};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds};

/// Largest component that is looked at, bytes. Compilation takes time and memory with the size.
pub const COMPONENT_BYTES_MAX: usize = 4 << 20;

/// A component that was read: what it is, what it asks for, what it imports.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// SHA-256, lower-case hexadecimal: the component's identity.
    pub digest: String,
    /// Bytes.
    pub size: usize,
    /// What it asks for.
    pub manifest: Manifest,
    /// What it really imports, judged.
    pub imports: Vec<Import>,
}

/// Why a component is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is larger than any that is looked at.
    #[error("the component has {0} bytes; at most {COMPONENT_BYTES_MAX} are accepted")]
    TooLarge(usize),
    /// It is not a component at all.
    #[error("{0}")]
    NotAComponent(String),
    /// It has no manifest, or two.
    #[error("{0}")]
    NoManifest(&'static str),
    /// Its manifest is faulty.
    #[error("the manifest is faulty:{}", list(.0))]
    Manifest(Vec<Fault>),
    /// It imports what it may not.
    #[error("the component cannot be accepted:{}", list(.0))]
    Imports(Vec<ImportFault>),
    /// The engine refuses it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It does not export what a probe exports, or exceeds what a slot of the pool holds.
    #[error("the component is not a probe: {0}")]
    NotAProbe(String),
}

fn list<T: std::fmt::Display>(faults: &[T]) -> String {
    faults.iter().fold(String::new(), |mut text, fault| {
        let _ = write!(text, "\n  {fault}");
        text
    })
}

/// Reads a component. `beside` is the manifest file beside it, if there is one.
///
/// # Errors
/// Why it is not accepted.
pub fn inspect(bytes: &[u8], beside: Option<&str>) -> Result<Inspected, LoadError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge(bytes.len()));
    }
    let outline = outline(bytes)?;
    let manifest = manifest(&outline, beside)?;
    let imports = judge_imports(&outline.imports, &manifest).map_err(LoadError::Imports)?;
    Ok(Inspected { digest: hex_digest(bytes), size: bytes.len(), manifest, imports })
}

/// SHA-256, lower-case hexadecimal.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What stands at a component's top level.
#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    manifests: Vec<Vec<u8>>,
}

fn outline(bytes: &[u8]) -> Result<Outline, LoadError> {
    let broken = |error: wasmparser::BinaryReaderError| {
        LoadError::NotAComponent(format!("not a readable WebAssembly file: {error}"))
    };
    let mut outline = Outline::default();
    // A section inside a nested module or component is not the component's own word.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                let fix = "make it a component, for example with `wasm-tools component new`";
                return Err(LoadError::NotAComponent(format!("this is a core module, not a component; {fix}")));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(broken)?;
                    // An alias of a type that another import defines carries nothing.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        outline.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                outline.manifests.push(section.data().to_vec());
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn manifest(outline: &Outline, beside: Option<&str>) -> Result<Manifest, LoadError> {
    let read = |bytes: &Vec<u8>| {
        let text =
            std::str::from_utf8(bytes).map_err(|_| LoadError::NoManifest("the manifest section is not UTF-8"))?;
        Manifest::from_json(text).map_err(LoadError::Manifest)
    };
    let inside = match outline.manifests.as_slice() {
        [] => None,
        [one] => Some(read(one)?),
        _ => return Err(LoadError::NoManifest("the component has more than one manifest section")),
    };
    let beside = beside.map(|text| Manifest::from_json(text).map_err(LoadError::Manifest)).transpose()?;
    match (inside, beside) {
        (Some(inside), Some(beside)) if inside != beside => Err(LoadError::NoManifest(
            "the manifest inside the component and the one beside it differ; remove one of them",
        )),
        (Some(manifest), _) | (None, Some(manifest)) => Ok(manifest),
        (None, None) => Err(LoadError::NoManifest(
            "the component has no manifest; pack one into its section `health-watch:manifest`, or put a file \
             NAME.manifest.json beside NAME.wasm",
        )),
    }
}
