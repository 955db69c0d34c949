//! Drawing: panels side by side, axes from zero, each point marked. What is drawn must not live here.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::data::Data;
use crate::figures::{Figure, Panel};

const PANEL_WIDTH: u32 = 400;
const HEIGHT: u32 = 330;
const TITLE: (&str, u32) = ("sans-serif", 20);
const PANEL_TITLE: (&str, u32) = ("sans-serif", 15);
const LABEL: (&str, u32) = ("sans-serif", 13);
const COLOURS: [RGBColor; 2] = [RGBColor(31, 97, 164), RGBColor(201, 87, 26)];
/// Room above the highest point.
const HEADROOM: f64 = 1.2;

type Outcome = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws a figure into a file.
pub(crate) fn draw(figure: &Figure, data: &Data, path: &Path) -> Outcome {
    let panels = u32::try_from(figure.panels.len())?;
    let root = SVGBackend::new(path, (PANEL_WIDTH * panels, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let below = root.titled(figure.title, TITLE)?;
    let areas = below.split_evenly((1, figure.panels.len()));
    for (area, panel) in areas.iter().zip(figure.panels) {
        let lines: Vec<_> = panel
            .lines
            .iter()
            .map(|line| data.points(figure.x.0, line.0))
            .collect();
        let all = || lines.iter().flatten();
        let first = all().map(|point| point.0).fold(f64::MAX, f64::min);
        let last = all().map(|point| point.0).fold(0.0, f64::max);
        if figure.is_log {
            let x = (first..last.max(first * 10.0)).log_scale();
            draw_panel(area, figure, panel, &lines, x)?;
        } else {
            draw_panel(area, figure, panel, &lines, 0.0..last)?;
        }
    }
    root.present()?;
    Ok(())
}

fn draw_panel<X>(
    area: &Area<'_>,
    figure: &Figure,
    panel: &Panel,
    lines: &[Vec<(f64, f64)>],
    x: X,
) -> Outcome
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let most = lines
        .iter()
        .flatten()
        .map(|point| point.1)
        .fold(0.0, f64::max);
    let y: Range<f64> = 0.0..(most * HEADROOM).max(f64::MIN_POSITIVE);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, PANEL_TITLE)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(figure.x.1)
        .y_desc(panel.unit)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(215, 215, 215))
        .x_labels(6)
        .y_labels(6)
        .label_style(LABEL)
        .axis_desc_style(LABEL)
        .draw()?;
    for (number, points) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let drawn = chart.draw_series(line.point_size(3))?;
        drawn
            .label(panel.lines[number].1)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .label_font(LABEL)
            .draw()?;
    }
    Ok(())
}

/// As a person writes it: thousands apart, no needless digits.
fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract().abs() > 1e-9 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
