//! How the calls of a sync grow with what they list: a plot with logarithmic axes, the fewest calls drawn in.

use std::fmt::Write as _;

use crate::counts::{AtSize, GRANTS, GROUPS, MEMBERS, STRUCTURE};
use crate::size::Size;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 470.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

/// One line of the plot.
struct Series {
    name: &'static str,
    colour: &'static str,
    /// How many are listed, the calls, the fewest calls.
    points: Vec<(f64, f64, f64)>,
}

fn series(all: &[AtSize]) -> [Series; 4] {
    let of = |name: &'static str, lane: &str, colour: &'static str, rows: fn(&Size) -> usize| Series {
        name,
        colour,
        points: all
            .iter()
            .map(|at| {
                let counted = at.of(lane);
                let fewest = counted.bound.unwrap_or_default();
                (rows(&at.size) as f64, counted.cost.bitbucket as f64, fewest as f64)
            })
            .collect(),
    };
    [
        of("grants lane, by repositories", GRANTS, "#b3261e", |size| size.repositories),
        of("structure lane, by repositories", STRUCTURE, "#8a5a00", |size| size.repositories),
        of("members lane, by members", MEMBERS, "#0b57d0", |size| size.members),
        of("groups, by groups", GROUPS, "#146c2e", |size| size.groups),
    ]
}

/// The plot as SVG.
pub(crate) fn draw(all: &[AtSize]) -> String {
    let series = series(all);
    let points = || series.iter().flat_map(|line| &line.points);
    let most_rows = decade(points().map(|(rows, ..)| *rows).fold(10.0, f64::max));
    let most_calls = decade(points().map(|(_, calls, fewest)| calls.max(*fewest)).fold(10.0, f64::max));
    let least_rows = points().map(|(rows, ..)| *rows).fold(f64::MAX, f64::min).log10().floor();
    let x =
        |rows: f64| LEFT + (rows.log10() - least_rows) / (most_rows - least_rows) * (WIDTH - LEFT - RIGHT);
    let y = |calls: f64| HEIGHT - BOTTOM - calls.max(1.0).log10() / most_calls * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\" \
         aria-label=\"Calls of each lane of a sync against how many there are to list\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"600\">Calls to Bitbucket of a sync, by size</text>\n"
    );
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for power in power_of(least_rows)..=power_of(most_rows) {
        let rows = 10_f64.powi(power);
        let at = x(rows);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{floor}\" stroke=\"#e3e6ec\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            floor + 18.0,
            grouped(rows)
        );
    }
    for power in 0..=power_of(most_calls) {
        let calls = 10_f64.powi(power);
        let at = y(calls);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e3e6ec\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            grouped(calls)
        );
    }
    let middle = f64::midpoint(LEFT, right);
    let _ = writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">members, repositories or groups</text>",
        HEIGHT - 16.0
    );
    let middle = f64::midpoint(TOP, floor);
    let _ = writeln!(
        svg,
        "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">calls</text>"
    );
    for Series { name, colour, points } in &series {
        let way = |of: fn(&(f64, f64, f64)) -> f64| {
            let places = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(of(point))));
            places.collect::<Vec<_>>().join(" ")
        };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"6\" stroke-opacity=\"0.25\"/>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            way(|point| point.2),
            way(|point| point.1)
        );
        for (rows, calls, _) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>",
                x(*rows),
                y(*calls)
            );
        }
        if let Some((rows, calls, _)) = points.last() {
            let (at, height) = (x(*rows) + 10.0, y(*calls) + 4.0);
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{height:.1}\" fill=\"{colour}\">{name}</text>");
        }
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} 38h24\" stroke=\"#52607a\" stroke-width=\"6\" stroke-opacity=\"0.25\"/><text x=\"{:.1}\" y=\"42\">the fewest calls</text>\n\
         <path d=\"M{:.1} 38h24\" stroke=\"#52607a\" stroke-width=\"1.5\"/><text x=\"{:.1}\" y=\"42\">measured</text>\n</svg>",
        LEFT + 30.0,
        LEFT + 150.0,
        LEFT + 180.0
    );
    svg
}

/// The power of ten that is at least this.
fn decade(figure: f64) -> f64 {
    figure.log10().ceil()
}

#[allow(clippy::cast_possible_truncation, reason = "a power of ten that fits on a page")]
fn power_of(figure: f64) -> i32 {
    figure as i32
}

/// With commas between thousands.
fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([1.0, 100.0, 1_000.0, 1_000_000.0].map(grouped), ["1", "100", "1,000", "1,000,000"]);
    }
}
