//! The growth scenario as pictures.

use std::path::Path;

use plotters::prelude::*;

use super::error::{Error, Result};

/// A daemon's line: its name and points of (routes, value).
pub(crate) type Line = (String, Vec<(f64, f64)>);

const SIZE: (u32, u32) = (640, 400);
const COLORS: [RGBColor; 5] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(93, 58, 155),
    RGBColor(230, 147, 0),
    RGBColor(64, 133, 64),
];

/// Draws lines over the number of routes, both axes logarithmic, into an SVG.
///
/// Points that are not above zero have no place there and are left out.
///
/// # Errors
///
/// There is nothing to draw, or the file cannot be written.
pub(crate) fn draw(file: &Path, title: &str, unit: &str, lines: &[Line]) -> Result<()> {
    let lines: Vec<Line> = lines
        .iter()
        .map(|(name, points)| {
            let kept = points.iter().copied().filter(|&(x, y)| x > 0.0 && y > 0.0);
            (name.clone(), kept.collect())
        })
        .collect();
    let all: Vec<(f64, f64)> = lines
        .iter()
        .flat_map(|(_, points)| points.clone())
        .collect();
    let (Some(x), Some(y)) = (
        range(all.iter().map(|p| p.0)),
        range(all.iter().map(|p| p.1)),
    ) else {
        return Err(Error::Plot("there are no points".to_owned()));
    };
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("routes")
        .y_desc(unit)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(WHITE)
        .draw()
        .map_err(failed)?;
    for ((name, points), color) in lines.iter().zip(COLORS.into_iter().cycle()) {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))
            .map_err(failed)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        let dots = points
            .iter()
            .map(|&point| Circle::new(point, 4, color.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Plot(error.to_string())
}

/// From below the smallest to above the largest.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.collect();
    let low = values.iter().copied().min_by(f64::total_cmp)?;
    let high = values.iter().copied().max_by(f64::total_cmp)?;
    Some((low / 1.5, high * 1.5))
}

/// A number for an axis: 0.01, 10, 100k, 1M.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e4 {
        format!("{}k", value / 1e3)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_its_lines_and_leaves_out_zeros() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("plot.svg");
        let lines = vec![
            ("Holdfast".to_owned(), vec![(1e4, 0.01), (1e6, 1.0)]),
            ("BIRD".to_owned(), vec![(1e4, 0.0), (1e6, 2.0)]),
        ];
        draw(&file, "Time", "seconds", &lines).expect("a plot");
        let text = std::fs::read_to_string(&file).expect("the file");
        for word in ["Holdfast", "BIRD", "routes", "seconds", "1M"] {
            assert!(text.contains(word), "{word} is missing");
        }
        assert_eq!(text.matches("<circle").count(), 3);
        assert!(draw(&file, "Time", "seconds", &[]).is_err());
    }
}
