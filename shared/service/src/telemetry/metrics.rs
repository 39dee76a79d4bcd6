//! Metrics in CloudWatch's Embedded Metric Format: a line on standard output that CloudWatch Logs turns into metrics. No call, no
//! agent, no waiting (Amazon CloudWatch User Guide, "Specification: Embedded metric format").

use core::time::Duration;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::clock::Clock;

/// The namespace of all metrics.
const NAMESPACE: &str = "Rollcall";

/// A metric's unit, as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// How long, in milliseconds.
    Milliseconds,
    /// How large, in bytes.
    Bytes,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

#[derive(Clone)]
enum Sink {
    Stdout,
    Nowhere,
    Kept(Captured),
}

/// What a test captured, one value per written line.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<Value>>>);

impl Captured {
    /// Everything that was written so far, in order.
    pub fn records(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sum of all values of a metric.
    pub fn total(&self, name: &str) -> f64 {
        self.records().iter().filter_map(|record| record.get(name)?.as_f64()).sum()
    }
}

/// Writes metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    function: &'static str,
    clock: Arc<dyn Clock>,
    sink: Sink,
}

impl Metrics {
    /// For Lambda: lines on standard output.
    pub fn to_stdout(function: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self { function, clock, sink: Sink::Stdout }
    }

    /// For where nobody collects them.
    pub fn discarded(function: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self { function, clock, sink: Sink::Nowhere }
    }

    /// For a test.
    pub fn captured(function: &'static str, clock: Arc<dyn Clock>) -> (Self, Captured) {
        let captured = Captured::default();
        (Self { function, clock, sink: Sink::Kept(captured.clone()) }, captured)
    }

    /// Begins a line. Nothing is written before [`Record::write`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use rollcall_service::{clock::SystemClock, telemetry::Metrics};
    /// let (metrics, captured) = Metrics::captured("scheduled-sync", Arc::new(SystemClock));
    /// metrics
    ///     .record()
    ///     .dimension("lane", "members")
    ///     .property("workspace", "ws_…")
    ///     .count("Suspended", 2)
    ///     .duration("RunDuration", std::time::Duration::from_millis(1500))
    ///     .write();
    /// assert_eq!(captured.total("Suspended"), 2.0);
    /// ```
    pub fn record(&self) -> Record<'_> {
        Record { metrics: self, dimensions: Map::new(), properties: Map::new(), values: Vec::new() }
    }
}

/// One line of metrics in the making.
#[must_use = "nothing is written before `write`"]
pub struct Record<'m> {
    metrics: &'m Metrics,
    dimensions: Map<String, Value>,
    properties: Map<String, Value>,
    values: Vec<(&'static str, Unit, Value)>,
}

impl Record<'_> {
    /// What the metric is broken down by. Each new value is a new metric that costs money: never an id, never an address.
    pub fn dimension(mut self, name: &'static str, value: &'static str) -> Self {
        self.dimensions.insert(name.to_owned(), value.into());
        self
    }

    /// What can be searched in the log but is no metric: a workspace, a run.
    pub fn property(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.properties.insert(name.to_owned(), value.into().into());
        self
    }

    /// How many.
    pub fn count(mut self, name: &'static str, count: u64) -> Self {
        self.values.push((name, Unit::Count, count.into()));
        self
    }

    /// How long.
    pub fn duration(mut self, name: &'static str, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        #[allow(clippy::cast_precision_loss, reason = "a metric, not an amount of money")]
        let millis = millis as f64 / 1000.0;
        self.values.push((name, Unit::Milliseconds, millis.into()));
        self
    }

    /// How large.
    pub fn bytes(mut self, name: &'static str, bytes: u64) -> Self {
        self.values.push((name, Unit::Bytes, bytes.into()));
        self
    }

    /// Writes the line.
    pub fn write(self) {
        if self.values.is_empty() {
            return;
        }
        let line = self.line();
        match &self.metrics.sink {
            Sink::Nowhere => {}
            Sink::Kept(captured) => {
                captured.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
            Sink::Stdout => {
                // A metric that cannot be written has nowhere to be reported.
                let _ = writeln!(std::io::stdout().lock(), "{line}");
            }
        }
    }

    fn line(&self) -> Value {
        let mut line = self.properties.clone();
        let mut dimensions = self.dimensions.clone();
        dimensions.insert("function".to_owned(), self.metrics.function.into());
        let names: Vec<&String> = dimensions.keys().collect();
        let definitions: Vec<Value> = self
            .values
            .iter()
            .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.as_str() }))
            .collect();
        let directive = json!({
            "Timestamp": self.metrics.clock.now().as_millis(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions }],
        });
        line.extend(dimensions);
        line.extend(self.values.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
        line.insert("_aws".to_owned(), directive);
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::Timestamp;

    use super::*;
    use crate::clock::SettableClock;

    fn captured() -> (Metrics, Captured) {
        Metrics::captured("test", Arc::new(SettableClock::frozen_at(Timestamp::from_seconds(1_800_000_000))))
    }

    #[test]
    fn a_line_names_its_metrics_dimensions_and_time_as_cloudwatch_wants_them() {
        let (metrics, captured) = captured();
        metrics
            .record()
            .dimension("lane", "members")
            .property("workspace", "ws_1\n")
            .count("Suspended", 2)
            .duration("RunDuration", Duration::from_micros(1_500))
            .write();
        let expected = json!({
            "_aws": {
                "Timestamp": 1_800_000_000_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "Rollcall",
                    "Dimensions": [["function", "lane"]],
                    "Metrics": [
                        { "Name": "Suspended", "Unit": "Count" },
                        { "Name": "RunDuration", "Unit": "Milliseconds" },
                    ],
                }],
            },
            "function": "test", "lane": "members", "workspace": "ws_1\n", "Suspended": 2, "RunDuration": 1.5,
        });
        assert_eq!(captured.records(), std::slice::from_ref(&expected));
        assert!(!expected.to_string().contains('\n'));
    }

    #[test]
    fn a_line_without_a_metric_is_not_written() {
        let (metrics, captured) = captured();
        metrics.record().dimension("lane", "members").write();
        assert!(captured.records().is_empty());
    }
}
