//! What was found: tables and bars, as Markdown for people and as JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::machine::Machine;

/// A table with a heading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        assert_eq!(cells.len(), self.columns.len(), "every cell has a column");
        self.rows.push(cells.to_vec());
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.columns);
        let rule = self.columns.iter().enumerate().map(|(nth, _)| if nth == 0 { "---" } else { "---:" });
        let _ = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

/// Something that was to be held.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) limit: String,
    pub(crate) found: String,
    pub(crate) held: bool,
}

/// One part of the report.
#[derive(Debug, Default)]
pub(crate) struct Section {
    title: String,
    blocks: Vec<String>,
    bars: Vec<Bar>,
    data: Map<String, Value>,
}

impl Section {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// A paragraph. Printed too, so that whoever waits sees it.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("\n{text}");
        self.blocks.push(text + "\n");
    }

    /// A table, printed too.
    pub(crate) fn table(&mut self, table: &Table) {
        let text = table.markdown();
        println!("\n{text}");
        self.blocks.push(text);
    }

    /// Compares what was found with what was to be.
    pub(crate) fn bar(&mut self, what: impl Into<String>, found: f64, most: f64, unit: &str) {
        let digits = if most < 10.0 { 2 } else { usize::from(most < 1000.0) };
        self.bars.push(Bar {
            what: what.into(),
            limit: format!("≤ {}{unit}", trimmed(most)),
            found: format!("{found:.digits$}{unit}"),
            held: found <= most,
        });
    }

    /// Figures for programs.
    pub(crate) fn data(&mut self, name: &str, value: Value) {
        self.data.insert(name.to_owned(), value);
    }
}

fn trimmed(figure: f64) -> String {
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The whole report.
pub(crate) struct Report {
    machine: Machine,
    sections: Vec<Section>,
}

impl Report {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, sections: Vec::new() }
    }

    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The bars of all parts.
    pub(crate) fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.sections.iter().flat_map(|section| &section.bars)
    }

    /// Writes `report.md` and `report.json`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("report.md"), self.markdown())?;
        let json = serde_json::to_string_pretty(&self.json()).unwrap_or_default();
        fs::write(folder.join("report.json"), json + "\n")
    }

    fn markdown(&self) -> String {
        let mut text = format!("# What Rollcall costs\n\n{}\n", self.machine.sentence());
        let mut bars = Table::new(&["bar", "is to be", "found", "held"]);
        for bar in self.bars() {
            let held = if bar.held { "yes" } else { "**no**" };
            bars.row(&[bar.what.clone(), bar.limit.clone(), bar.found.clone(), held.to_owned()]);
        }
        let _ = write!(text, "\n{}", bars.markdown());
        for section in &self.sections {
            let _ = write!(text, "\n## {}\n", section.title);
            section.blocks.iter().for_each(|block| {
                let _ = write!(text, "\n{block}");
            });
        }
        text
    }

    fn json(&self) -> Value {
        let bars: Vec<Value> = self
            .bars()
            .map(|bar| json!({ "what": bar.what, "bar": bar.limit, "found": bar.found, "held": bar.held }))
            .collect();
        let parts: Map<String, Value> = self
            .sections
            .iter()
            .map(|section| (section.title.clone(), Value::Object(section.data.clone())))
            .collect();
        json!({ "machine": self.machine, "bars": bars, "parts": parts })
    }
}

/// Milliseconds, as precise as they are worth.
pub(crate) fn milliseconds(seconds: f64) -> String {
    let figure = seconds * 1000.0;
    match figure {
        f if f < 1.0 => format!("{f:.2} ms"),
        f if f < 100.0 => format!("{f:.1} ms"),
        f => format!("{f:.0} ms"),
    }
}

/// Megabytes.
#[allow(clippy::cast_precision_loss, reason = "memory is far below what a double cannot tell apart")]
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A ratio.
pub(crate) fn times(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2} ×") } else { format!("{ratio:.0} ×") }
}

/// The one in the middle. Zero where there is none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    percentile(figures, 50)
}

/// So many in a hundred are at most this. Zero where there is none.
pub(crate) fn percentile(figures: &[f64], hundredths: usize) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
