//! Servers from end to end: who serves, who asks, and what the system says it cost.

pub mod fan;
pub mod load;
pub mod process;
pub mod serve;
pub mod sockjs;
