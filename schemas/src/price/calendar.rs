//! The hours of one provider together: which band an instant is in, and where bands begin and end.

use std::collections::BTreeSet;

use crate::price::error::{PriceError, Problem};
use crate::price::hours::{Holiday, HourBand, When, midnight, next_day};
use crate::time::Micros;

/// All bands and holidays of a provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendar {
    bands: Vec<HourBand>,
    holidays: Vec<Holiday>,
}

impl Calendar {
    pub(super) fn add_band(&mut self, band: HourBand) {
        self.bands.push(band);
    }

    pub(super) fn add_holiday(&mut self, holiday: Holiday) {
        self.holidays.push(holiday);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.bands.iter().any(|band| band.name == name)
    }

    /// The band of an instant; `None` where the calendar does not reach, or has no band.
    pub(super) fn band_at(&self, at: Micros) -> Option<&str> {
        let known = || self.bands.iter().filter(|band| band.holds(at));
        let in_force = |band: &&HourBand| band.covers(at) && !self.is_holiday(&band.name, at);
        let otherwise = |band: &&HourBand| band.when == When::Otherwise;
        let otherwise = || {
            let band = known().find(otherwise);
            band.filter(|band| self.knows_the_others(band, at))
        };
        let band = known().find(in_force).or_else(otherwise)?;
        Some(&band.name)
    }

    /// What is otherwise is known only while it is known what there is besides: some band holds, and each that began holds
    /// still, or one of its name that follows it does. What had ended when the `otherwise` began was known to whoever wrote it.
    fn knows_the_others(&self, otherwise: &HourBand, at: Micros) -> bool {
        let others = || self.bands.iter().filter(|b| b.when != When::Otherwise);
        let from = otherwise.origin.valid_from;
        let is_over = |band: &HourBand, end: Micros| {
            let follows = |next: &HourBand| {
                let begins = next.origin.valid_from;
                next.name == band.name && next.holds(at) && begins.is_some_and(|at| end <= at)
            };
            end <= at && from.is_none_or(|from| end > from) && !others().any(follows)
        };
        let mut ended = others().filter_map(|band| Some((band, band.origin.valid_to?)));
        others().any(|band| band.holds(at)) && !ended.any(|(band, end)| is_over(band, end))
    }

    fn is_holiday(&self, name: &str, at: Micros) -> bool {
        let mut of_band = self.holidays.iter().filter(|holiday| holiday.name == name);
        of_band.any(|holiday| holiday.from <= at && at < holiday.to)
    }

    /// The lines of the file that are in force at an instant, whatever the hour.
    pub(super) fn lines_at(&self, at: Micros) -> impl Iterator<Item = usize> {
        let bands = self.bands.iter().filter(move |band| band.holds(at));
        let holidays = self.holidays.iter();
        let holidays = holidays.filter(move |day| day.from <= at && at < day.to);
        let bands = bands.map(|band| band.origin.line);
        bands.chain(holidays.map(|day| day.origin.line))
    }

    /// Everything but the hours themselves at which a band can change.
    pub(super) fn boundaries(&self) -> impl Iterator<Item = Micros> + '_ {
        let bands = self.bands.iter().map(|band| &band.origin);
        let holidays = self.holidays.iter().map(|holiday| &holiday.origin);
        bands
            .chain(holidays)
            .flat_map(|origin| [origin.valid_from, origin.valid_to])
            .flatten()
    }

    /// Adds the instants between two at which a band can change; stops at some more than `most`.
    pub(super) fn edges(
        &self,
        start: Micros,
        end: Micros,
        most: usize,
        edges: &mut BTreeSet<Micros>,
    ) {
        let inside = |at: &Micros| start < *at && *at < end;
        edges.extend(self.boundaries().filter(inside));
        for band in &self.bands {
            let from = band.origin.valid_from.map_or(start, |from| from.max(start));
            let to = band.origin.valid_to.map_or(end, |to| to.min(end));
            let mut day = midnight(from);
            while day < to && edges.len() <= most {
                edges.extend(band.edges_of(day).into_iter().filter(inside));
                day = next_day(day);
            }
        }
    }

    /// Two bands at one time, and holidays of no band.
    pub(super) fn check(&self, errors: &mut Vec<PriceError>) {
        for (at, band) in self.bands.iter().enumerate() {
            let earlier = self.bands[..at].iter().find(|other| other.collides(band));
            if let Some(other) = earlier {
                errors.push(PriceError {
                    line: band.origin.line,
                    problem: Problem::HoursCollide(other.origin.line),
                });
            }
        }
        for holiday in self.holidays.iter().filter(|day| !self.has(&day.name)) {
            errors.push(PriceError {
                line: holiday.origin.line,
                problem: Problem::NoSuchHours(holiday.name.clone()),
            });
        }
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
