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
/// Room above the highest point, for the legend.
const HEADROOM: f64 = 1.45;

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
        let column = |line: &(&str, &str)| data.points(figure.x.0, line.0);
        let lines: Vec<_> = panel.lines.iter().map(column).collect();
        let (x, y) = (
            bounds(&lines, |point| point.0),
            bounds(&lines, |point| point.1),
        );
        let (whole_x, whole_y) = (0.0..x.end, 0.0..y.end * HEADROOM);
        let log_y = || decades(&y).log_scale();
        let log_x = || x.clone().log_scale();
        let picture = Picture {
            area,
            figure,
            panel,
            lines: &lines,
        };
        match (figure.is_log, panel.is_log) {
            (true, true) => picture.draw(log_x(), log_y())?,
            (true, false) => picture.draw(log_x(), whole_y)?,
            (false, true) => picture.draw(whole_x, log_y())?,
            (false, false) => picture.draw(whole_x, whole_y)?,
        }
    }
    root.present()?;
    Ok(())
}

/// From the least to the most of all points, never empty.
fn bounds(lines: &[Vec<(f64, f64)>], of: impl Fn(&(f64, f64)) -> f64) -> Range<f64> {
    let all = || lines.iter().flatten().map(&of);
    let least = all().fold(f64::MAX, f64::min).max(f64::MIN_POSITIVE);
    let most = all().fold(0.0, f64::max);
    least..most.max(least * HEADROOM)
}

/// Whole decades, so that at least two are written on the axis, with room above.
fn decades(range: &Range<f64>) -> Range<f64> {
    let last = (range.end * HEADROOM).log10().ceil();
    10.0_f64.powf(range.start.log10().floor())..10.0_f64.powf(last)
}

/// One panel and what it shows.
struct Picture<'a, 'b> {
    area: &'a Area<'b>,
    figure: &'a Figure,
    panel: &'a Panel,
    lines: &'a [Vec<(f64, f64)>],
}

impl Picture<'_, '_> {
    fn draw<X, Y>(&self, x: X, y: Y) -> Outcome
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(self.area)
            .caption(self.panel.title, PANEL_TITLE)
            .margin(10)
            .margin_right(24)
            .x_label_area_size(38)
            .y_label_area_size(62)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(self.figure.x.1)
            .y_desc(self.panel.unit)
            .x_label_formatter(&|x| number(*x))
            .y_label_formatter(&|y| number(*y))
            .max_light_lines(1)
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(220, 220, 220))
            .x_labels(6)
            .y_labels(6)
            .label_style(LABEL)
            .axis_desc_style(LABEL)
            .draw()?;
        for (number, points) in self.lines.iter().enumerate() {
            let style = COLOURS[number % COLOURS.len()].stroke_width(2);
            let line = LineSeries::new(points.iter().copied(), style);
            let drawn = chart.draw_series(line.point_size(3))?;
            drawn
                .label(self.panel.lines[number].1)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        if self.lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE)
                .label_font(LABEL)
                .draw()?;
        }
        Ok(())
    }
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
