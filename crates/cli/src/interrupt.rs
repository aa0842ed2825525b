//! Ctrl-C: the first asks the work to stop at the next step, the second ends the process.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use braintune::ranks::launched;

static ASKED: AtomicBool = AtomicBool::new(false);

pub(crate) fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        // mpirun ends ranks by the same signal where another one has failed: nobody pressed anything then.
        if launched().is_none() {
            say!("\nstopping at the next step (Ctrl-C again to stop at once)");
        }
    })
}

/// `Break` once Ctrl-C was pressed.
pub(crate) fn poll() -> ControlFlow<()> {
    if ASKED.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
