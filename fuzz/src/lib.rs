//! What fuzz targets share: bytes as files, and limits that turn greed into a crash.
//!
//! Readers take paths, so bytes become files in a folder of the process; `fuzz/run` puts it into memory. An
//! allocation above [`MOST_BYTES`] fails, as on a machine that is full: a reader that asks for what a header
//! claims aborts, one that asks politely (`try_reserve`) goes on.

#![feature(alloc_error_hook)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use tempfile::TempDir;

/// More than any input of a fuzzer is worth.
pub const MOST_BYTES: usize = 1 << 30;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    std::alloc::set_alloc_error_hook(|layout| {
        let at = Backtrace::force_capture();
        eprintln!("an allocation of {} bytes\n{at}", layout.size());
        std::process::abort();
    });
    tempfile::tempdir().expect("a folder for files")
});

/// The folder of this process.
pub fn folder() -> &'static Path {
    FOLDER.path()
}

/// A file of these bytes in [`folder`], with the folders above it.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    if fs::write(&path, bytes).is_err() {
        let parent = path.parent().expect("a name below the folder");
        fs::create_dir_all(parent).expect("a folder");
        fs::write(&path, bytes).expect("a file");
    }
    path
}

/// `N` files in one input, each but the last up to the next zero byte; what is not there is empty.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// The last panic of a target that catches them.
static PANIC: Mutex<Option<(String, Backtrace)>> = Mutex::new(None);

/// Leaves panics to those that catch them, for readers that make errors of the panics of a library.
pub fn allow_caught_panics() {
    std::panic::set_hook(Box::new(|info| {
        let panic = (info.to_string(), Backtrace::force_capture());
        *PANIC.lock().expect("nothing panics here") = Some(panic);
    }));
}

/// Runs a target after [`allow_caught_panics`]: a panic that nobody caught is told and ends the process.
pub fn uncaught(target: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(target)).is_err() {
        if let Some((message, at)) = PANIC.lock().expect("nothing panics here").take() {
            eprintln!("{message}\n{at}");
        }
        std::process::abort();
    }
}

struct Limited;

#[global_allocator]
static LIMITED: Limited = Limited;

// SAFETY: the system's allocator, or none.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MOST_BYTES => unsafe { System.alloc(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match layout.size() {
            0..=MOST_BYTES => unsafe { System.alloc_zeroed(layout) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size {
            0..=MOST_BYTES => unsafe { System.realloc(pointer, layout, size) },
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}
