//! Large arrays without the cost of their pages.
//!
//! A result of 500 MB is 120,000 pages of 4 kB, and to have each of them made takes as long as to read
//! the values. NumPy asks the kernel for large pages, and so does this. Held by `tests/it/response_file.rs`
//! (values) and `benches/peers/hdf5_vs_h5py.py` (time).

/// Linux makes large pages of this size.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 << 20;

/// `n` zeros.
pub(crate) fn zeros(n: usize) -> Vec<f32> {
    let values = vec![0.0_f32; n];
    #[cfg(target_os = "linux")]
    advise(&values);
    values
}

/// Asks for large pages under the whole ones of them that `values` spans.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn advise(values: &[f32]) {
    let start = values.as_ptr() as usize;
    let end = start + std::mem::size_of_val(values);
    let first = start.next_multiple_of(LARGE_PAGE);
    let n_bytes = end.saturating_sub(first) / LARGE_PAGE * LARGE_PAGE;
    if n_bytes > 0 {
        // SAFETY: the range is whole pages inside the allocation, and the advice changes no value. If the
        // kernel does not take it, pages are small.
        unsafe { libc::madvise(first as *mut libc::c_void, n_bytes, libc::MADV_HUGEPAGE) };
    }
}

/// Lets the allocator keep what single chunks were decoded into.
///
/// glibc hands memory back to the kernel at each `free` until a block was freed that is larger, so that
/// each chunk would have its pages made anew. This frees a block larger than any chunk in use.
pub(crate) fn keep_small_blocks() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(30 << 20)));
}
