//! What is told on the terminal: headings, steps that were checked, and what failed.
//!
//! Coloured on a terminal; plain in a file, a pipe, or where `NO_COLOR` is set (<https://no-color.org>). While something takes long,
//! a spinner on standard error says what.

use core::time::Duration;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// How wide a line is at most, the margin included.
const WIDTH: usize = 110;

/// A report in the making.
pub struct Report {
    out: Box<dyn Write + Send>,
    spinner: ProgressBar,
    failures: usize,
}

impl Report {
    /// A report on standard output.
    pub fn to_stdout() -> Self {
        Self::new(Box::new(anstream::AutoStream::auto(std::io::stdout())), ProgressBar::new_spinner())
    }

    /// A report into a writer, plain and without progress.
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self::new(
            Box::new(anstream::StripStream::new(Box::new(out) as Box<dyn Write + Send>)),
            ProgressBar::hidden(),
        )
    }

    fn new(out: Box<dyn Write + Send>, spinner: ProgressBar) -> Self {
        if let Ok(style) = ProgressStyle::with_template("  {spinner:.cyan} {msg}") {
            spinner.set_style(style);
        }
        Self { out, spinner, failures: 0 }
    }

    /// A heading, after an empty line.
    pub fn heading(&mut self, text: &str) {
        self.line(&format!("\n{HEADING}{text}{HEADING:#}"));
    }

    /// What is under way.
    pub fn working(&mut self, what: &str) {
        self.spinner.set_message(what.to_owned());
        self.spinner.enable_steady_tick(Duration::from_millis(80));
    }

    /// Something that was done and checked.
    pub fn good(&mut self, text: &str) {
        self.wrapped(&format!("{GOOD}✓{GOOD:#} "), text);
    }

    /// Something that did not go as it should.
    pub fn bad(&mut self, text: &str) {
        self.failures += 1;
        self.wrapped(&format!("{BAD}✗{BAD:#} "), text);
    }

    /// Something to know about the line before.
    pub fn detail(&mut self, text: &str) {
        for line in wrap(text, WIDTH - 4) {
            self.line(&format!("    {QUIET}{line}{QUIET:#}"));
        }
    }

    /// A line as it stands, indented.
    pub fn plain_line(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// How many steps have failed so far.
    pub const fn failures(&self) -> usize {
        self.failures
    }

    fn wrapped(&mut self, mark: &str, text: &str) {
        for (nth, line) in wrap(text, WIDTH - 4).into_iter().enumerate() {
            let margin = if nth == 0 { mark } else { "  " };
            self.line(&format!("  {margin}{line}"));
        }
    }

    fn line(&mut self, text: &str) {
        let Self { out, spinner, .. } = self;
        // A reader that has gone (`| head`) is no reason to stop.
        spinner.suspend(|| {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        });
    }

    /// Takes the spinner away.
    pub fn rest(&mut self) {
        self.spinner.finish_and_clear();
        self.spinner.reset();
    }
}

/// Breaks a text at spaces. A word that is too long stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let room = width.saturating_sub(line.chars().count());
            if !line.is_empty() && word.chars().count() + 1 > room {
                lines.push(core::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer whose text can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_plain_report_has_no_colour_and_counts_what_failed() {
        let paper = Paper::default();
        let mut report = Report::plain(paper.clone());
        report.heading("1  Connect");
        report.good("connected");
        report.bad("not synced");
        report.detail("why");
        assert_eq!(paper.text(), "\n1  Connect\n  ✓ connected\n  ✗ not synced\n    why\n");
        assert_eq!(report.failures(), 1);
    }

    #[test]
    fn long_texts_are_broken_at_spaces_and_nothing_is_lost() {
        let text = "one two three four five six seven";
        let lines = wrap(text, 10);
        assert!(lines.iter().all(|line| line.len() <= 10), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("https://a.very.long.example/word x", 5), ["https://a.very.long.example/word", "x"]);
    }
}
