//! Where a model computes: the CPU, or a GPU if this build knows it, a driver is there and it is asked
//! for. Nothing here panics where there is no GPU; what is missing is an error that says so.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// A GPU where there is one that this build can use, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number, from 0.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "neither auto, cpu, cuda, cuda:N nor metal".to_owned()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error("this build has no support for {device}")]
    NotBuilt {
        /// `CUDA` or `Metal`.
        device: &'static str,
    },
    /// The driver's library is not there, or lacks what is needed.
    #[error("the NVIDIA driver cannot be used: {what}")]
    NoDriver {
        /// What was found instead.
        what: String,
    },
    /// The driver has no such GPU.
    #[error("`cuda:{number}` was asked for, but {}", n_devices(*n))]
    NoSuchDevice {
        /// What was asked for.
        number: usize,
        /// How many there are.
        n: usize,
    },
    /// The GPU is there, but cannot be computed with: a library of CUDA is missing, or all its memory is
    /// taken.
    #[error("`{device}` is there but cannot be used: {what}")]
    Unusable {
        /// Which.
        device: Choice,
        /// Why not.
        what: String,
    },
    /// This build's kernels are not for this GPU.
    #[error(
        "this build's kernels do not run on the {gpu}, of compute capability {major}.{minor}: {what}"
    )]
    Kernels {
        /// Its name.
        gpu: String,
        /// Its compute capability.
        major: i32,
        /// Its compute capability, behind the point.
        minor: i32,
        /// What the driver says.
        what: String,
    },
    /// The CPU has kernels for one number type.
    #[error("the CPU computes in f32, not in {}", dtype.as_str())]
    CpuDtype {
        /// What was asked for.
        dtype: DType,
    },
}

impl DeviceError {
    /// The way out.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotBuilt { device: "Metal" } => {
                "build it on macOS with `cargo build --release --features metal`, or leave --device out"
                    .to_owned()
            }
            Self::NotBuilt { .. } => {
                "docs/gpu.md tells how to build it for GPUs; --device cpu computes without one".to_owned()
            }
            Self::NoDriver { .. } | Self::NoSuchDevice { n: 0, .. } => {
                "`nvidia-smi` lists what the driver sees; containers are started with `docker run --gpus all`; --device cpu computes without a GPU"
                    .to_owned()
            }
            Self::NoSuchDevice { .. } => "they are counted from 0, as nvidia-smi lists them".to_owned(),
            Self::Unusable { .. } => {
                "name the folder of libcublas.so and libcurand.so in LD_LIBRARY_PATH, and see in nvidia-smi whether its memory is taken; --device cpu computes without it"
                    .to_owned()
            }
            Self::Kernels { major, minor, .. } => {
                format!("build it with CUDA_COMPUTE_CAP={major}{minor}, see docs/gpu.md; --device cpu computes without a GPU")
            }
            Self::CpuDtype { .. } => "leave --dtype out, or name a GPU with --device".to_owned(),
        }
    }
}

fn n_devices(n: usize) -> String {
    match n {
        0 => "the driver finds no GPU".to_owned(),
        1 => "there is 1 GPU".to_owned(),
        n => format!("there are {n} GPUs"),
    }
}

/// Opens the device that is asked for.
///
/// With [`Choice::Auto`] it is always one: a GPU that is there and cannot be used is passed over, and the
/// second value says why.
///
/// # Errors
/// [`DeviceError`] if it is not there or cannot be used.
pub fn open(choice: Choice) -> Result<(Device, Option<DeviceError>), DeviceError> {
    match choice {
        Choice::Cpu => Ok((Device::Cpu, None)),
        Choice::Cuda(number) => cuda::open(number).map(|device| (device, None)),
        Choice::Metal => metal().map(|device| (device, None)),
        Choice::Auto => Ok(match cuda::open(0) {
            Ok(device) => (device, None),
            Err(error @ (DeviceError::Unusable { .. } | DeviceError::Kernels { .. })) => {
                (Device::Cpu, Some(error))
            }
            Err(_) => (metal().unwrap_or(Device::Cpu), None),
        }),
    }
}

/// The kind of a device: `cpu`, `cuda` or `metal`.
#[must_use]
pub fn kind(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// The name of a GPU, where it has one that is known.
#[must_use]
pub fn gpu(device: &Device) -> Option<String> {
    cuda::of(device, |context| context.name().ok())
}

/// Bytes of memory that a GPU has left, where that is known.
#[must_use]
pub fn free_bytes(device: &Device) -> Option<u64> {
    cuda::of(device, |context| context.mem_get_info().ok()).map(|(free, _)| free as u64)
}

/// The number type of activations and cache: what is asked for, or what suits the device.
///
/// The kernels of the CPU are f32. GPUs read half the bytes in sixteen bits; of the two types bf16 has
/// the range of f32, in which models are trained, and NVIDIA's multiply it from compute capability 8.0
/// on.
///
/// # Errors
/// [`DeviceError::CpuDtype`] if something else than f32 is asked of the CPU.
pub fn dtype(device: &Device, asked: Option<DType>) -> Result<DType, DeviceError> {
    let usual = match device {
        Device::Cpu => DType::F32,
        Device::Metal(_) => DType::F16,
        Device::Cuda(_) => match cuda::of(device, |context| context.compute_capability().ok()) {
            Some((major, _)) if major < 8 => DType::F16,
            _ => DType::BF16,
        },
    };
    match asked {
        Some(dtype) if device.is_cpu() && dtype != usual => Err(DeviceError::CpuDtype { dtype }),
        asked => Ok(asked.unwrap_or(usual)),
    }
}

fn metal() -> Result<Device, DeviceError> {
    if !cfg!(feature = "metal") {
        return Err(DeviceError::NotBuilt { device: "Metal" });
    }
    let unusable = |e: candle_core::Error| first_line(&e);
    Device::new_metal(0)
        .map_err(unusable)
        .map_err(|what| DeviceError::Unusable { device: Choice::Metal, what })
}

/// candle's errors carry a backtrace below the first line.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use candle_core::Device;

    use super::DeviceError;

    /// There is no such thing here.
    pub enum Context {}

    impl Context {
        pub fn name(&self) -> Result<String, ()> {
            match *self {}
        }
        pub fn mem_get_info(&self) -> Result<(usize, usize), ()> {
            match *self {}
        }
        pub fn compute_capability(&self) -> Result<(i32, i32), ()> {
            match *self {}
        }
    }

    pub fn open(_: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt { device: "CUDA" })
    }

    pub fn of<T>(_: &Device, _: impl FnOnce(&Context) -> Option<T>) -> Option<T> {
        None
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::panic::{self, AssertUnwindSafe, catch_unwind};

    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    use candle_core::{DType, Device, Tensor};

    use super::{Choice, DeviceError, first_line};

    /// Opens a GPU and computes a little with it: what is missing shows now, not behind the weights.
    pub fn open(number: usize) -> Result<Device, DeviceError> {
        let n = guarded(|| CudaContext::device_count().map_err(|e| e.to_string()));
        let n = match n {
            Ok(n) => usize::try_from(n).unwrap_or(0),
            Err(what) if what.contains("NO_DEVICE") => 0,
            Err(what) => return Err(DeviceError::NoDriver { what }),
        };
        if number >= n {
            return Err(DeviceError::NoSuchDevice { number, n });
        }
        let unusable = |what| DeviceError::Unusable { device: Choice::Cuda(number), what };
        // candle's other kind of device gives each thread a stream of its own, but all of them one
        // handle of cuBLAS and one room for intermediate results.
        let device = guarded(|| Device::new_cuda_with_stream(number).map_err(|e| first_line(&e)))
            .map_err(unusable)?;
        if let Device::Cuda(cuda) = &device {
            // SAFETY: all that is done with this context goes through its one stream, in order, so
            // there is nothing to wait for between streams. Two events for each tensor are saved.
            unsafe { cuda.disable_event_tracking() };
        }
        guarded(|| probe(&device).map_err(|e| first_line(&e))).map_err(|what| {
            let capability = of(&device, |context| context.compute_capability().ok());
            match (capability, of(&device, |context| context.name().ok())) {
                (Some((major, minor)), Some(gpu)) if is_of_kernels(&what) => {
                    DeviceError::Kernels { gpu, major, minor, what }
                }
                _ => unusable(what),
            }
        })?;
        Ok(device)
    }

    /// A sum and a product, by a kernel of candle's and by cuBLAS.
    fn probe(device: &Device) -> candle_core::Result<()> {
        let ones = Tensor::ones((16, 16), DType::F32, device)?;
        let sum = (ones.matmul(&ones)? + &ones)?.sum_all()?.to_scalar::<f32>()?;
        if sum != 17.0 * 256.0 {
            candle_core::bail!("a product of ones is wrong: {sum}");
        }
        Ok(())
    }

    /// Whether the driver refused a kernel: for another processor, or by a newer compiler.
    fn is_of_kernels(what: &str) -> bool {
        ["INVALID_PTX", "UNSUPPORTED_PTX", "NO_BINARY_FOR_GPU", "INVALID_SOURCE", "JIT_COMPILER"]
            .iter()
            .any(|name| what.contains(name))
    }

    /// Something of a GPU's context.
    pub fn of<T>(device: &Device, get: impl FnOnce(&CudaContext) -> Option<T>) -> Option<T> {
        let Device::Cuda(cuda) = device else { return None };
        get(cuda.cuda_stream().context())
    }

    /// The bindings panic where a library is not there or lacks a function. They have a function that
    /// asks first, but only where the library is not linked.
    fn guarded<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let result = catch_unwind(AssertUnwindSafe(f));
        panic::set_hook(hook);
        result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            // Which of thirty names were tried says nothing to people.
            let text = text.and_then(|text| text.lines().next()).unwrap_or("a panic");
            Err(text.split(" - searched").next().unwrap_or(text).to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        for (text, choice) in [
            ("auto", Choice::Auto),
            ("cpu", Choice::Cpu),
            ("cuda", Choice::Cuda(0)),
            ("cuda:3", Choice::Cuda(3)),
            ("metal", Choice::Metal),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:1x", "CPU"] {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cpu_computes_in_f32_alone() {
        assert_eq!(dtype(&Device::Cpu, None), Ok(DType::F32));
        assert_eq!(dtype(&Device::Cpu, Some(DType::F32)), Ok(DType::F32));
        let refused = DeviceError::CpuDtype { dtype: DType::BF16 };
        assert_eq!(dtype(&Device::Cpu, Some(DType::BF16)), Err(refused));
    }

    // With a feature it depends on the machine what is there; nothing may panic.
    #[test]
    fn what_is_not_there_is_an_error_with_a_way_out() {
        for choice in [Choice::Cuda(99), Choice::Metal] {
            if let Err(error) = open(choice) {
                assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            }
        }
        let (device, _) = open(Choice::Auto).unwrap();
        assert!(cfg!(any(feature = "cuda", feature = "metal")) || device.is_cpu());
        if cfg!(not(feature = "cuda")) {
            assert_eq!(
                open(Choice::Cuda(0)).unwrap_err(),
                DeviceError::NotBuilt { device: "CUDA" }
            );
        }
    }

    #[test]
    fn numbers_of_gpus_are_said_in_words() {
        let error = |n| DeviceError::NoSuchDevice { number: 3, n }.to_string();
        assert_eq!(error(1), "`cuda:3` was asked for, but there is 1 GPU");
        assert_eq!(error(0), "`cuda:3` was asked for, but the driver finds no GPU");
        assert_eq!(error(2), "`cuda:3` was asked for, but there are 2 GPUs");
    }
}
