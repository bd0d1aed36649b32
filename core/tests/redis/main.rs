//! The machine that speaks Spring Session, on a real Redis that each test starts for itself.

mod resp;
mod world;

mod steps;
