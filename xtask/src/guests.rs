//! Builds the guests: compiles `guests/` to Wasm, makes components of the modules, and writes them to `guests/dist`.
//!
//! Owns the way from source to committed component, so that the bytes depend on the source and the compiler and on
//! nothing else: no path of the machine, no flag of the person who builds. `check` is the proof. It refuses to compare
//! bytes of different compilers, and says so instead.

use anyhow::{Context, Result, anyhow, ensure};
use health_watch_capability::Manifest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{BinaryReader, Parser, Validator};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";
const MANIFEST_SECTION: &str = "health-watch:manifest";
const DIGESTS: &str = "DIGESTS.toml";
const DIGESTS_HEAD: &str = "# Written by `cargo xtask guests`, checked by `cargo xtask guests --check`.\n";
const NO_COMPILER: &str = "no compiler for `wasm32-unknown-unknown` found; get one by either
  rustup target add wasm32-unknown-unknown
  apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld-22";

/// A compiler that can build the guests.
struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
    identity: Identity,
    /// Whether the standard library comes as source only, with a linker of its own.
    builds_std: bool,
}

/// What the bytes of a component depend on, apart from its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    compiler: String,
    linker: String,
}

/// `DIGESTS.toml`: what is in `dist`, and what made it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Digests {
    #[serde(flatten)]
    identity: Identity,
    sdk: String,
    components: BTreeMap<String, Entry>,
}

/// One component of `dist`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    size_bytes: usize,
}

/// Finished components by name.
type Components = BTreeMap<String, Vec<u8>>;

/// Builds all guests into `guests/dist`.
pub(crate) fn build(root: &Path) -> Result<()> {
    let guests = root.join("guests");
    let compilers = compilers();
    let compiler = compilers.first().context(NO_COMPILER)?;
    let components = components(&guests, compiler)?;
    let digests = Digests::of(&components, compiler.identity.clone(), sdk_version(&guests)?);
    write(&guests.join("dist"), &components, &digests)?;
    say(&format!("built with {}", compiler.identity.compiler))?;
    digests.components.iter().try_for_each(|(name, entry)| say(&entry.line(name)))
}

/// Checks that the components of `guests/dist` are what their source gives, as far as the compiler at hand can tell.
pub(crate) fn check(root: &Path) -> Result<()> {
    let guests = root.join("guests");
    let dist = guests.join("dist");
    let recorded = Digests::read(&dist)?;
    recorded.verify_files(&dist)?;
    let compilers = compilers();
    let same = compilers.iter().find(|compiler| compiler.identity == recorded.identity);
    let Some(compiler) = same.or(compilers.first()) else {
        return say(
            "checked the digests of the committed components only: nothing was built, because there is no compiler for them",
        );
    };
    let components = components(&guests, compiler)?;
    let built = Digests::of(&components, compiler.identity.clone(), sdk_version(&guests)?);
    if compiler.identity != recorded.identity {
        recorded.same_names(&built)?;
        return say(&format!(
            "built the components and checked the digests of the committed ones; bytes were not compared, because they \
             were made by `{}` with `{}`, and this is `{}` with `{}`",
            recorded.identity.compiler, recorded.identity.linker, compiler.identity.compiler, compiler.identity.linker
        ));
    }
    recorded.same_bytes(&built)?;
    say(&format!("{} components built again, byte for byte the same", built.components.len()))
}

/// Makes a component of one core module that was built with the SDK, its manifest packed in.
pub(crate) fn pack(module: &Path, target: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("`{}` cannot be read", module.display()))?;
    let packed = component(&bytes).with_context(|| format!("`{}` cannot be packed", module.display()))?;
    fs::write(target, &packed).with_context(|| format!("`{}` cannot be written", target.display()))?;
    say(&format!("{}: {} bytes", target.display(), packed.len()))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

fn write(dist: &Path, components: &Components, digests: &Digests) -> Result<()> {
    fs::create_dir_all(dist)?;
    for (name, bytes) in components {
        fs::write(dist.join(format!("{name}.wasm")), bytes)?;
    }
    remove_stale(dist, components)?;
    fs::write(dist.join(DIGESTS), format!("{DIGESTS_HEAD}{}", toml::to_string(digests)?))?;
    Ok(())
}

fn remove_stale(dist: &Path, components: &Components) -> Result<()> {
    for name in wasm_files(dist)? {
        if !components.contains_key(&name) {
            fs::remove_file(dist.join(format!("{name}.wasm")))?;
        }
    }
    Ok(())
}

/// Names of the `.wasm` files of a directory, without their ending.
fn wasm_files(dist: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(dist)?.collect::<Result<Vec<_>, _>>()?;
    let name = |file: fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".wasm")?.to_string());
    Ok(files.into_iter().filter_map(name).collect())
}

impl Entry {
    fn of(bytes: &[u8]) -> Entry {
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Entry { sha256, size_bytes: bytes.len() }
    }

    fn line(&self, name: &str) -> String {
        format!("{name:<12} {:>8} bytes  {}", self.size_bytes, self.sha256)
    }
}

impl Digests {
    fn of(components: &Components, identity: Identity, sdk: String) -> Digests {
        let components = components.iter().map(|(name, bytes)| (name.clone(), Entry::of(bytes))).collect();
        Digests { identity, sdk, components }
    }

    fn read(dist: &Path) -> Result<Digests> {
        let path = dist.join(DIGESTS);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        toml::from_str(&text).with_context(|| format!("cannot understand `{}`", path.display()))
    }

    /// The files beside the digests are those that the digests name.
    fn verify_files(&self, dist: &Path) -> Result<()> {
        let files = wasm_files(dist)?.into_iter().map(|name| {
            let bytes = fs::read(dist.join(format!("{name}.wasm")))?;
            Ok((name, Entry::of(&bytes)))
        });
        self.same_components(&files.collect::<Result<_>>()?, "the files in `guests/dist` are not those of its digests")
    }

    fn same_bytes(&self, built: &Digests) -> Result<()> {
        ensure!(self.sdk == built.sdk, "the digests are of sdk {}, the source is sdk {}", self.sdk, built.sdk);
        self.same_components(&built.components, "the components in `guests/dist` are not what their source gives")
    }

    fn same_names(&self, built: &Digests) -> Result<()> {
        let (recorded, built): (Vec<_>, Vec<_>) = (self.components.keys().collect(), built.components.keys().collect());
        ensure!(
            recorded == built,
            "`guests/dist` has {recorded:?}, the source gives {built:?}: run `cargo xtask guests`"
        );
        Ok(())
    }

    fn same_components(&self, others: &BTreeMap<String, Entry>, complaint: &str) -> Result<()> {
        let names = self.components.keys().chain(others.keys().filter(|name| !self.components.contains_key(*name)));
        let differ: Vec<_> = names.filter(|name| self.components.get(*name) != others.get(*name)).collect();
        ensure!(differ.is_empty(), "{complaint}: {differ:?} differ; run `cargo xtask guests`");
        Ok(())
    }
}

/// The version in the SDK's own manifest's workspace.
fn sdk_version(guests: &Path) -> Result<String> {
    let text = fs::read_to_string(guests.join("Cargo.toml"))?;
    let table: toml::Table = toml::from_str(&text)?;
    let version = table.get("workspace").and_then(|w| w.get("package")?.get("version")?.as_str());
    version.map(str::to_string).context("`guests/Cargo.toml` has no `workspace.package.version`")
}

// --- compilers ---

/// The compilers of this machine that can build the guests, the preferred one first.
fn compilers() -> Vec<Compiler> {
    [Compiler::debian(), Compiler::installed()].into_iter().flatten().collect()
}

impl Compiler {
    /// Debian's compiler, with the standard library as source.
    fn debian() -> Option<Compiler> {
        const LINKER: &str = "wasm-ld-22";
        let (cargo, rustc) = (PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"));
        let sysroot = PathBuf::from(output(Command::new(&rustc).args(["--print", "sysroot"]))?);
        let has_source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
        let compiler = output(Command::new(&rustc).arg("-V"))?;
        let linker = output(Command::new(LINKER).arg("--version"))?;
        let identity = Identity { compiler, linker };
        (has_source && cargo.is_file()).then_some(Compiler { cargo, rustc, sysroot, identity, builds_std: true })
    }

    /// The compiler this program was started with, if it has the target.
    fn installed() -> Option<Compiler> {
        let (cargo, rustc) = (PathBuf::from("cargo"), PathBuf::from("rustc"));
        let library = output(Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]))?;
        let sysroot = PathBuf::from(output(Command::new(&rustc).args(["--print", "sysroot"]))?);
        let compiler = output(Command::new(&rustc).arg("-V"))?;
        let identity = Identity { compiler, linker: "rust-lld".to_string() };
        let present = fs::read_dir(library).is_ok_and(|mut files| files.next().is_some());
        present.then_some(Compiler { cargo, rustc, sysroot, identity, builds_std: false })
    }

    /// Cargo with this compiler, in the guests' workspace, free of the flags of whoever calls.
    fn cargo(&self, guests: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(guests).stdin(Stdio::null());
        for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            if is_build_setting(&name) {
                command.env_remove(name);
            }
        }
        command.env("RUSTC", &self.rustc);
        if self.builds_std {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

/// Whether an environment variable could change what is built. Where to find things and how busy to be may stay.
fn is_build_setting(name: &str) -> bool {
    const HARMLESS: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_BUILD_JOBS",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
        "CARGO_SOURCE_",
    ];
    let harmless = HARMLESS.iter().any(|start| name.starts_with(start));
    (name.starts_with("CARGO") && !harmless) || name.starts_with("RUSTC") || name.starts_with("RUSTFLAGS")
}

/// The first line a command prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_string())
}

// --- source to modules ---

/// Builds every guest and makes a component of it.
fn components(guests: &Path, compiler: &Compiler) -> Result<Components> {
    let modules = modules(guests, compiler)?;
    ensure!(!modules.is_empty(), "`guests/` has no guest");
    let component = |(name, path): (String, PathBuf)| {
        let module = fs::read(&path)?;
        let component = component(&module).with_context(|| format!("cannot make a component of `{name}`"))?;
        Ok((name, component))
    };
    modules.into_iter().map(component).collect()
}

/// Compiles the guests; gives the module of each.
fn modules(guests: &Path, compiler: &Compiler) -> Result<BTreeMap<String, PathBuf>> {
    let fetched = compiler.cargo(guests).args(["fetch", "--locked"]).status().context("cannot start cargo")?;
    ensure!(fetched.success(), "the guests' dependencies could not be fetched");
    let mut command = compiler.cargo(guests);
    command.args(["build", "--release", "--workspace", "--locked", "--message-format=json-render-diagnostics"]);
    command.args(["--target", TARGET, "--target-dir", "target"]);
    command.args([
        "--config",
        &format!("target.{TARGET}.rustflags={}", serde_json::to_string(&remaps(guests, compiler)?)?),
    ]);
    if compiler.builds_std {
        command.args(["-Zbuild-std=std,panic_abort", "--config", &format!("target.{TARGET}.linker=\"wasm-ld-22\"")]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the guests do not build");
    let messages = String::from_utf8(output.stdout)?;
    messages.lines().filter_map(|line| module_in(line).transpose()).collect()
}

/// The name and module in one of cargo's messages, if it is about a finished guest.
fn module_in(message: &str) -> Result<Option<(String, PathBuf)>> {
    let message: Value = serde_json::from_str(message)?;
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let (Some("compiler-artifact"), Some("cdylib")) = (text("/reason"), text("/target/kind/0")) else {
        return Ok(None);
    };
    Ok(text("/target/name").zip(text("/filenames/0")).map(|(name, path)| (name.to_string(), path.into())))
}

/// Compiler flags that keep the places of this machine out of the bytes.
fn remaps(guests: &Path, compiler: &Compiler) -> Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let registry = home.context("neither `CARGO_HOME` nor `HOME` is set")?.join("registry/src");
    // The directories of registries carry their host's name: each becomes the same word.
    let registries = fs::read_dir(&registry).with_context(|| format!("cannot read `{}`", registry.display()))?;
    let registries = registries.map(|entry| Ok((entry?.path(), "registry"))).collect::<Result<Vec<_>>>()?;
    let places = [(guests.to_path_buf(), "guests"), (compiler.sysroot.join("lib/rustlib/src/rust"), "rust")];
    let flag = |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(places.into_iter().chain(registries).map(flag).collect())
}

// --- module to component ---

/// Makes a component of a module: without what only its build needed, with the manifest where a host looks for it.
fn component(module: &[u8]) -> Result<Vec<u8>> {
    let manifest = manifest(module)?.context("it has no manifest: use the macro `probe!`")?;
    let manifest = manifest_json(std::str::from_utf8(manifest)?).context("its manifest is wrong")?;
    let module = without_custom(module, |name| name.starts_with("component-type"))?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    let mut component = without_custom(&component, |_| false)?;
    CustomSection { name: MANIFEST_SECTION.into(), data: manifest.as_bytes().into() }
        .append_to_component(&mut component);
    Validator::new().validate_all(&component)?;
    Ok(component)
}

/// The contents of the one manifest section of a module.
fn manifest(module: &[u8]) -> Result<Option<&[u8]>> {
    let mut found = None;
    for section in sections(module)? {
        if let Some((MANIFEST_SECTION, data)) = section.custom()? {
            ensure!(found.replace(data).is_none(), "it has two manifests");
        }
    }
    Ok(found)
}

/// The same module or component without its custom sections, those of inner ones included, except those `keep` names.
fn without_custom(bytes: &[u8], keep: fn(&str) -> bool) -> Result<Vec<u8>> {
    const MODULE_SECTION: u8 = 1;
    const COMPONENT_SECTION: u8 = 4;
    let is_component = Parser::is_component(bytes);
    let mut out = header(bytes)?.to_vec();
    for section in sections(bytes)? {
        match section {
            Section { id: MODULE_SECTION | COMPONENT_SECTION, body } if is_component => {
                Section { id: section.id, body: &without_custom(body, keep)? }.write(&mut out);
            }
            _ if section.custom()?.is_none_or(|(name, _)| keep(name)) => section.write(&mut out),
            _ => {}
        }
    }
    Ok(out)
}

/// A section of a module or component, as it lies in the file.
#[derive(Clone, Copy)]
struct Section<'a> {
    id: u8,
    body: &'a [u8],
}

impl<'a> Section<'a> {
    /// Name and contents, if it is a custom section.
    fn custom(self) -> Result<Option<(&'a str, &'a [u8])>> {
        const CUSTOM_SECTION: u8 = 0;
        let mut reader = BinaryReader::new(self.body, 0);
        Ok(match self.id {
            CUSTOM_SECTION => Some((reader.read_string()?, reader.read_bytes(reader.bytes_remaining())?)),
            _ => None,
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push(self.id);
        self.body.encode(out);
    }
}

const HEADER_BYTES: usize = 8;

fn header(bytes: &[u8]) -> Result<&[u8]> {
    bytes.get(..HEADER_BYTES).context("shorter than a header")
}

fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut reader = BinaryReader::new(bytes.get(HEADER_BYTES..).context("shorter than a header")?, 0);
    let mut sections = Vec::new();
    while !reader.eof() {
        let (id, length) = (reader.read_u8()?, reader.read_var_u32()?);
        sections.push(Section { id, body: reader.read_bytes(length as usize)? });
    }
    Ok(sections)
}

// --- manifest ---

/// The manifest as a host reads it: JSON, with the keys of the client's interface.
fn manifest_json(text: &str) -> Result<String> {
    let manifest = Manifest::from_toml(text).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        anyhow!("the manifest is faulty:{}", lines.concat())
    })?;
    Ok(manifest.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_becomes_json_or_an_error_that_names_the_line() {
        let json = manifest_json("manifest_version = 1\nname = \"x\"\nversion = \"1\"\n[resources]\nmax_memory_mb = 4")
            .unwrap();
        assert!(json.contains(r#""manifestVersion":1"#) && json.contains(r#""maxMemoryMB":4"#), "{json}");
        let error = manifest_json("manifest_version = 1\nname = \"x\"\nverson = \"1\"").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("did you mean `version`?"), "{error}");
    }

    #[test]
    fn custom_sections_go_at_every_depth() {
        let custom = CustomSection { name: "name".into(), data: b"x".as_slice().into() };
        let mut module = wasm_encoder::Module::new();
        module.section(&custom);
        let mut component = wasm_encoder::Component::new();
        component.section(&wasm_encoder::ModuleSection(&module)).section(&custom);
        let mut bare = wasm_encoder::Component::new();
        bare.section(&wasm_encoder::ModuleSection(&wasm_encoder::Module::new()));
        assert_eq!(without_custom(component.as_slice(), |_| false).unwrap(), bare.as_slice());
        assert_eq!(without_custom(component.as_slice(), |_| true).unwrap(), component.as_slice());
    }

    #[test]
    fn digests_say_which_components_differ() {
        let digests = |components: &[(&str, &[u8])]| Digests {
            identity: Identity { compiler: String::new(), linker: String::new() },
            sdk: String::new(),
            components: components.iter().map(|(name, bytes)| (name.to_string(), Entry::of(bytes))).collect(),
        };
        let recorded = digests(&[("a", b"1"), ("b", b"2")]);
        for (others, differ) in [
            (digests(&[("a", b"1"), ("b", b"2")]), ""),
            (digests(&[("a", b"1"), ("b", b"3")]), r#"["b"]"#),
            (digests(&[("a", b"1")]), r#"["b"]"#),
            (digests(&[("a", b"1"), ("b", b"2"), ("c", b"3")]), r#"["c"]"#),
        ] {
            let said = recorded.same_bytes(&others).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(said.is_empty(), differ.is_empty(), "{said}");
            assert!(said.contains(differ), "{said}");
        }
    }

    #[test]
    fn the_callers_flags_do_not_reach_the_build() {
        for name in
            ["RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO", "CARGO_TARGET_DIR"]
        {
            assert!(is_build_setting(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE", "HOME", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_build_setting(name), "{name}");
        }
    }
}
