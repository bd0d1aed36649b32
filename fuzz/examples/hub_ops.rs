//! Prints what the operations of an input of `hub_ops` are, and performs them: `cargo run --example hub_ops FILE`.

use tethered_fuzz::hub_ops::{Coded, Op, Setup, run};

fn main() {
    let path = std::env::args_os().nth(1).expect("a file");
    let bytes = std::fs::read(path).expect("a file that can be read");
    let mut input = &bytes[..];
    println!("{:?}", Setup::read(&mut input));
    while let Some(op) = Op::read(&mut input) {
        println!("{op:?}");
    }
    run(&bytes);
}
