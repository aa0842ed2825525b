//! The one place where a compute device is chosen.

pub use burn::tensor::Device;

/// Devices that this build can use, by the names that [`by_name`] takes.
#[must_use]
pub fn available() -> &'static [&'static str] {
    &[
        #[cfg(feature = "flex")]
        "flex",
        #[cfg(feature = "tch")]
        "tch",
        #[cfg(feature = "vulkan")]
        "vulkan",
        #[cfg(feature = "cuda")]
        "cuda",
    ]
}

/// The device of that name, if this build has it and this machine its hardware and driver. Cards have numbers behind
/// the name, from 0: `cuda:1`.
#[must_use]
pub fn by_name(name: &str) -> Option<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number.parse::<usize>().ok()?)),
        None => (name, None),
    };
    match (kind, number) {
        #[cfg(feature = "flex")]
        ("flex", None) => Some(Device::flex()),
        #[cfg(feature = "tch")]
        ("tch", None) => Some(libtorch()),
        #[cfg(feature = "vulkan")]
        ("vulkan", Some(number)) => {
            let found = Device::enumerate(burn::tensor::DeviceType::Vulkan);
            found.get(number).cloned()
        }
        #[cfg(feature = "vulkan")]
        ("vulkan", None) => {
            let found = Device::enumerate(burn::tensor::DeviceType::Vulkan);
            // The best of them, or what CUBECL_WGPU_DEFAULT_DEVICE names.
            let best = || Device::vulkan(burn::tensor::DeviceKind::DefaultDevice);
            (!found.is_empty()).then(best)
        }
        #[cfg(feature = "cuda")]
        ("cuda", number) => {
            let found = Device::enumerate(burn::tensor::DeviceType::Cuda);
            found.get(number.unwrap_or(0)).cloned()
        }
        _ => None,
    }
}

/// libtorch on the CPU, on as many threads as rayon would use here.
#[cfg(feature = "tch")]
fn libtorch() -> Device {
    let n_threads = i32::try_from(rayon::current_num_threads());
    tch::set_num_threads(n_threads.unwrap_or(i32::MAX));
    #[expect(
        deprecated,
        reason = "burn 0.23 drops it; until then it is the fastest on some CPUs"
    )]
    Device::libtorch()
}
