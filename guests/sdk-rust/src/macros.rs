//! The macro that turns a function and a manifest into a probe.

/// Exports a probe: its manifest and its `check` function.
///
/// ```text
/// probe! { manifest: "TOML", check: function }       fn(Settings) -> Result<Report, Failure>
/// probe! { manifest: "TOML", check_text: function }  fn(&str)     -> Result<Report, Failure>
/// ```
///
/// `Settings` is any type that serde can read. Settings that do not fit it end the run as
/// [`Failure::InvalidSettings`](crate::Failure), naming the key. The second form hands over the settings as they came,
/// as JSON text, and costs nothing.
///
/// The manifest may be any constant string, `include_str!` too. It is kept as a custom section of the module, where the
/// build finds it, and as the constant `MANIFEST`, where tests do.
#[macro_export]
macro_rules! probe {
    (manifest: $manifest:expr, check: $check:expr $(,)?) => {
        $crate::probe! {
            manifest: $manifest,
            check_text: |settings: &str| $crate::private::parse(settings).and_then($check),
        }
    };
    (manifest: $manifest:expr, check_text: $check:expr $(,)?) => {
        /// The probe's manifest, TOML.
        pub const MANIFEST: &str = $manifest;

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(link_section = "health-watch:manifest")]
            static SECTION: [u8; MANIFEST.len()] = match MANIFEST.as_bytes().first_chunk() {
                Some(bytes) => *bytes,
                None => [0; MANIFEST.len()],
            };
        };

        #[doc(hidden)]
        pub struct Exported;

        impl $crate::bindings::Guest for Exported {
            fn check(settings: String) -> Result<$crate::Report, $crate::Failure> {
                ($check)(&settings)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!(Exported with_types_in $crate::bindings);
    };
}
