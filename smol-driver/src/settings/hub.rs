use super::Settings;
pub struct C;
impl C { pub fn validate(&self) -> Result<(), tethered_core::config::ConfigError> { Ok(()) } }
impl Settings { pub fn hub_config(&self) -> C { C } }
