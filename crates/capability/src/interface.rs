//! The interface table: which import of a component needs which capability.
//!
//! What a component can do is what it imports, so its real imports are judged before anything is compiled: each must
//! stand in this table, and one that carries authority must be asked for in the manifest. Unknown interfaces are
//! refused, never ignored.

use crate::manifest::{Kind, Manifest};
use std::fmt;

/// What an import carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Types only.
    None,
    /// Something every run may do, within its quota: nothing leaves the run.
    Ambient,
    /// Only what was granted of this kind.
    Needs(Kind),
    /// Part of the contract, but this version does not serve it.
    NotServed,
}

/// The table, by the interface's name in `health-watch:probe@0.1.0`.
pub const INTERFACES: &[(&str, Authority)] = &[
    ("types", Authority::None),
    ("log", Authority::Ambient),
    ("measure", Authority::Ambient),
    ("grants", Authority::Ambient),
    ("http", Authority::Needs(Kind::Http)),
    ("secrets", Authority::Needs(Kind::Secret)),
    ("clock", Authority::Needs(Kind::Clock)),
    ("tcp", Authority::NotServed),
    ("dns", Authority::NotServed),
    ("tls", Authority::NotServed),
    ("state", Authority::NotServed),
    ("quota", Authority::NotServed),
];

/// An import and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Full name, for example `health-watch:probe/http@0.1.0`.
    pub name: String,
    /// What it carries.
    pub authority: Authority,
}

/// Why an import is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFault {
    /// The import.
    pub name: String,
    /// Why, and what to do.
    pub problem: String,
}

impl fmt::Display for ImportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imports `{}`: {}", self.name, self.problem)
    }
}

/// What the import `name` carries, if it is in the table.
#[must_use]
pub fn authority(name: &str) -> Option<Authority> {
    let interface = name.strip_prefix("health-watch:probe/")?.strip_suffix("@0.1.0")?;
    INTERFACES.iter().find(|(known, _)| *known == interface).map(|(_, authority)| *authority)
}

/// Judges the real imports of a component against the table and its manifest.
///
/// # Errors
/// Every import that is refused.
pub fn judge_imports(imports: &[String], manifest: &Manifest) -> Result<Vec<Import>, Vec<ImportFault>> {
    let (mut judged, mut faults) = (Vec::new(), Vec::new());
    for name in imports {
        let problem = match authority(name) {
            Some(Authority::NotServed) => "this version does not serve it yet".to_owned(),
            Some(Authority::Needs(kind)) if !manifest.kinds().any(|asked| asked == kind) => {
                format!("the manifest does not ask for `{kind}`; a probe must declare what it uses")
            }
            Some(authority) => {
                judged.push(Import { name: name.clone(), authority });
                continue;
            }
            None if name.starts_with("wasi:") => {
                "components for plain WASI are not served yet; build for `health-watch:probe`".to_owned()
            }
            None if name.starts_with("health-watch:probe/") => {
                "it is not part of `health-watch:probe@0.1.0`; rebuild the probe".to_owned()
            }
            None => "unknown interface; a probe may import only `health-watch:probe`".to_owned(),
        };
        faults.push(ImportFault { name: name.clone(), problem });
    }
    if faults.is_empty() { Ok(judged) } else { Err(faults) }
}
