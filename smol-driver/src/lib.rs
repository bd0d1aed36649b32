//! tethered on smol.
