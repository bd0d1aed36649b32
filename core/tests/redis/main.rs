//! The machine that speaks Spring Session, on a real Redis that each test starts for itself.

mod node;
mod resp;
mod values;
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
#[path = "../harness/wire.rs"]
mod wire;
mod world;

mod agree;
mod due;
mod hub;
mod mass;
mod notices;
mod races;
mod steps;
mod threats;
mod truth;
