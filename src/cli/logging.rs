//! Logs: for people on a terminal, JSON otherwise; always on standard error.

mod json;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use json::Json;

use crate::config::{Log, LogFormat};
use crate::log;

/// Starts logging. The level is a fixed one when what is configured cannot be read.
pub(super) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(|| log::Writer);
    // A second start, in a test, changes nothing.
    let _ = match human {
        true => registry.with(layer.with_ansi(colour)).try_init(),
        false => registry.with(layer.event_format(Json)).try_init(),
    };
    count_panics();
}

/// A panic ends what it served and nothing else. Its message could quote anything, so only its place is logged.
fn count_panics() {
    std::panic::set_hook(Box::new(|panic| {
        crate::metrics::panicked();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked; please report this place with the version");
    }));
}
