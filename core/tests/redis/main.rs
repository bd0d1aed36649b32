//! The machine that speaks Spring Session, on a real Redis that each test starts for itself.

mod resp;
mod values;
mod world;

mod agree;
mod due;
mod notices;
mod races;
mod steps;
mod truth;
