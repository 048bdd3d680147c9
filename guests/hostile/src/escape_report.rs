//! Reports with a message that would take over a terminal, forge a line of a log, or a tag of a page.

use crate::settings::Settings;
use health_watch_probe::{Failure, Report, Status};

const MESSAGE: &str = "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}\r\nup: forged line\n\u{202e}desrever\u{2028}\
                       <script>alert(1)</script>\0";

pub(crate) fn run(settings: &Settings) -> Result<Report, Failure> {
    Ok(settings.report(Status::Down, MESSAGE))
}
