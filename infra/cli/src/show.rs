//! Showing answers to people: tables, plans as diffs, and nothing that a terminal could take for a command.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

/// A table with aligned columns.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.len())).max().unwrap_or(0)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headings.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A field of an answer as text: a dash where there is none. Paths are JSON pointers (RFC 6901).
pub(crate) fn field(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => other.to_string(),
    }
}

/// A text from outside without control characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A plan as a diff: green what comes, red what goes, yellow what changes.
pub(crate) fn plan(text: &str) -> String {
    let colour = |line: &str| match line.chars().next() {
        Some('+') => Style::new().fg_color(Some(AnsiColor::Green.into())),
        Some('-') => Style::new().fg_color(Some(AnsiColor::Red.into())),
        Some('~') => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        _ => Style::new().dimmed(),
    };
    let lines = text.lines().map(|line| {
        let style = colour(line);
        format!("{style}{}{style:#}", plain(line))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["Ada".to_owned(), "admin".to_owned()],
            vec!["Grace Hopper".to_owned(), "member".to_owned()],
        ];
        assert_eq!(
            table(&["NAME", "ROLE"], &rows),
            "NAME          ROLE\nAda           admin\nGrace Hopper  member"
        );
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let member = json!({"display_name": "\u{1b}[2Jgone"});
        assert_eq!(field(&member, "/display_name"), "\u{fffd}[2Jgone");
        assert!(!plan("+ team x \u{7}").contains('\u{7}'));
    }
}
