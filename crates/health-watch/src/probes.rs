//! Where probes come from: those built in, and files.

use crate::Stop;
use std::fs;
use std::path::Path;

/// First-party probes, built from `guests/probes` and committed with their digests.
const BUILT_IN: &[(&str, &[u8])] = &[
    ("empty", include_bytes!("../../../guests/dist/empty.wasm")),
    ("http", include_bytes!("../../../guests/dist/http.wasm")),
];

/// A component, and the manifest file beside it if there is one.
pub(crate) struct Source {
    pub(crate) component: Vec<u8>,
    pub(crate) beside: Option<String>,
}

/// Names of the built-in probes.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Finds a probe by name, or reads it from a file if `name` looks like one.
#[expect(clippy::disallowed_methods, reason = "the operator names files on the command line")]
pub(crate) fn find(name: &str) -> Result<Source, Stop> {
    if let Some((_, component)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(Source { component: component.to_vec(), beside: None });
    }
    let path = Path::new(name);
    if path.components().count() < 2 && path.extension().is_none() {
        let known: Vec<_> = names().collect();
        return Err(Stop::Usage(format!(
            "there is no probe `{name}`; built in are: {}; or name a file, `./{name}.wasm`",
            known.join(", ")
        )));
    }
    let component = fs::read(path).map_err(|error| Stop::Usage(format!("cannot read the probe `{name}`: {error}")))?;
    let beside = path.with_extension("manifest.json");
    let beside = match fs::read_to_string(&beside) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Stop::Usage(format!("cannot read `{}`: {error}", beside.display()))),
    };
    Ok(Source { component, beside })
}
