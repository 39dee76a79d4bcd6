//! Log events as JSON lines.

use core::fmt;
use std::io::Write as _;

use rollcall_domain::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock as _, SystemClock};

/// Longer values are cut: a log line is for finding something, not for keeping it.
const VALUE_LIMIT: usize = 2_048;

/// Writes each event as one line of JSON, with the fields of all spans around it.
pub struct JsonLines<W> {
    function: &'static str,
    writer: W,
}

impl<W> JsonLines<W> {
    /// A layer that writes the lines of a function.
    pub fn new(function: &'static str, writer: W) -> Self {
        Self { function, writer }
    }
}

/// The fields of a span, kept with it.
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut Collector(&mut fields.0));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(&mut Collector(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(span_fields) = span.extensions().get::<Fields>() {
                fields.extend(span_fields.0.clone());
            }
        }
        event.record(&mut Collector(&mut fields));
        let metadata = event.metadata();
        let mut line = line_start(SystemClock.now(), *metadata.level(), self.function, metadata.target());
        let message = fields.remove("message");
        line.extend(message.map(|message| ("message".to_owned(), message)));
        for (name, value) in fields {
            // A field cannot pass itself off as what the line itself says.
            let name = if line.contains_key(&name) { format!("field_{name}") } else { name };
            line.insert(name, value);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // A log that cannot be written has nowhere to be reported.
        let _ = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

fn line_start(now: Timestamp, level: tracing::Level, function: &str, target: &str) -> Map<String, Value> {
    Map::from_iter([
        ("timestamp".to_owned(), crate::rfc3339::format(now).into()),
        ("level".to_owned(), level.as_str().into()),
        ("function".to_owned(), function.into()),
        ("target".to_owned(), target.into()),
    ])
}

/// Collects fields as JSON values.
struct Collector<'a>(&'a mut Map<String, Value>);

impl Collector<'_> {
    fn insert(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

/// A text of bounded length, cut between characters.
fn bounded(mut text: String) -> Value {
    if text.len() > VALUE_LIMIT {
        let end = (0..=VALUE_LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    Value::String(text)
}

impl Visit for Collector<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, bounded(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, bounded(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert(field, bounded(value.to_string()));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps what is written, for a test to read.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        /// Each line, which has to be a JSON object.
        pub(in crate::telemetry) fn objects(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new("test", lines.clone()));
        tracing::subscriber::with_default(subscriber, log);
        lines.objects()
    }

    #[test]
    fn an_event_carries_the_fields_of_all_spans_around_it() {
        let lines = logged(|| {
            let request =
                tracing::info_span!("request", request_id = "r-1", workspace = tracing::field::Empty);
            let _request = request.enter();
            request.record("workspace", "ws_1");
            let run = tracing::info_span!("run", run = %"run_1");
            let _run = run.enter();
            tracing::info!(changes = 3_u64, empty = false, "the run has ended");
        });
        let line = &lines[0];
        assert_eq!(
            (&line["request_id"], &line["workspace"], &line["run"]),
            (&"r-1".into(), &"ws_1".into(), &"run_1".into())
        );
        assert_eq!((&line["changes"], &line["empty"]), (&3.into(), &false.into()));
        assert_eq!((&line["message"], &line["level"]), (&"the run has ended".into(), &"INFO".into()));
        assert_eq!(line["function"], "test");
    }

    #[test]
    fn no_value_can_begin_a_line_or_pass_itself_off_as_a_field() {
        let evil = "x\n{\"level\":\"ERROR\"}\r\n\u{1b}[31m\u{2028}\0\"";
        let lines = logged(|| {
            tracing::warn!(name = evil, level = "FORGED", debug = ?evil, "{evil}");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["name"], &lines[0]["message"]), (&evil.into(), &evil.into()));
        assert_eq!((&lines[0]["level"], &lines[0]["field_level"]), (&"WARN".into(), &"FORGED".into()));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let lines = logged(|| tracing::info!(long = "é".repeat(5_000).as_str(), "x"));
        let value = lines[0]["long"].as_str().unwrap();
        assert!(value.ends_with("é…") && value.len() <= VALUE_LIMIT + 3, "{}", value.len());
    }
}
