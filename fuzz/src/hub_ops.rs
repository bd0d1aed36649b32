//! Target `hub_ops`: the first two bytes pick the set-up, the rest are operations on a whole hub with tight limits.
//!
//! The [`World`] plays kernel, peers, application and session store, and checks after each operation what a hub promises.
//! What it recorded is then played into a second hub, which has to do the same.

mod op;
mod peer;
mod setup;
mod world;

pub use self::op::{Bytes, Coded, Op, Stomp, encode};
pub use self::setup::Setup;
use self::world::World;

/// Runs one input; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let mut input = data;
    let Some(setup) = Setup::read(&mut input) else { return };
    let mut world = World::new(&setup);
    for _ in 0..OPERATIONS {
        let Some(op) = Op::read(&mut input) else { break };
        world.perform(&op);
    }
    world.finish();
}

/// What comes after so many operations is not looked at.
const OPERATIONS: usize = 400;
