//! tethered through a C ABI.
