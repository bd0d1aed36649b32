//! Compiles and links the C that is measured, and only then.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "peers")]
    c();
}

#[cfg(feature = "peers")]
fn c() {
    for folder in ["c", "../ffi/examples", "../include"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let compile = |name: &str, files: &[&str], main: Option<&str>| {
        let mut build = cc::Build::new();
        build.include("../include").files(files).opt_level(2).flag("-Wall").flag("-Wextra").warnings_into_errors(true);
        if let Some(main) = main {
            build.define("main", main);
        }
        build.compile(name);
    };
    compile("benched", &["c/memory.c", "c/wslay.c", "c/libwebsockets.c"], None);
    compile("example", &["../ffi/examples/echo.c"], Some("echo_main"));
    for library in ["wslay", "websockets"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
