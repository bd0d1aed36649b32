//! The shared library says which binary interface it has: programs that are linked to it ask the loader for that name.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // cargo-c names it itself, after the metadata in Cargo.toml.
    let by_cargo_c = std::env::var_os("CARGO_FEATURE_CAPI").is_some();
    let on_elf = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if on_elf && !by_cargo_c {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtethered.so.{ABI}");
    }
}

/// `TETHERED_ABI` of the header; a test compares them.
const ABI: u32 = 0;
