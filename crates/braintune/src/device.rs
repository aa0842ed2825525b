//! The one place where a compute device is chosen.

use burn::tensor::Device;

/// Devices that this build can use, by the names that [`by_name`] takes.
#[must_use]
pub fn available() -> &'static [&'static str] {
    &[
        #[cfg(feature = "flex")]
        "flex",
        #[cfg(feature = "tch")]
        "tch",
    ]
}

/// The device of that name, if this build has it.
#[must_use]
pub fn by_name(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Some(Device::flex()),
        #[cfg(feature = "tch")]
        "tch" => Some(Device::libtorch()),
        _ => None,
    }
}
