//! The closed lists that labels come from, and the place of each value in its list.

use schemas::{Api, Outcome, Unit, UsageQuality, UsageSource};

use super::table::Axis;
use crate::throttle::Cause;

/// The place of a value whose number counts from 1, as those of `schemas` do.
#[must_use]
pub fn place(number: u8) -> usize {
    usize::from(number).saturating_sub(1)
}

/// `api`
pub fn apis() -> Axis {
    Axis {
        label: "api",
        values: Api::ALL.iter().map(|api| api.as_str()).collect(),
    }
}

/// `outcome`
pub fn outcomes() -> Axis {
    Axis {
        label: "outcome",
        values: Outcome::ALL.iter().map(|o| o.as_str()).collect(),
    }
}

/// `usage_source`
pub fn sources() -> Axis {
    Axis {
        label: "usage_source",
        values: UsageSource::ALL.iter().map(|s| s.as_str()).collect(),
    }
}

/// `usage_quality`
pub fn qualities() -> Axis {
    Axis {
        label: "usage_quality",
        values: UsageQuality::ALL.iter().map(|q| q.as_str()).collect(),
    }
}

/// `unit`
pub fn units() -> Axis {
    Axis {
        label: "unit",
        values: Unit::ALL.iter().map(|unit| unit.as_str()).collect(),
    }
}

/// `cause` of a 429
pub fn causes() -> Axis {
    Axis {
        label: "cause",
        values: Cause::ALL.iter().map(|cause| cause.as_str()).collect(),
    }
}

/// `status`: the class of an HTTP status; 429 stands apart.
pub fn statuses() -> Axis {
    Axis {
        label: "status",
        values: vec!["none", "1xx", "2xx", "3xx", "4xx", "5xx", "429"],
    }
}

/// `place`: where a backend runs, seen from here.
pub fn places() -> Axis {
    Axis {
        label: "place",
        values: vec!["own_region", "other_region", "unknown"],
    }
}

/// The place on [`places`] of a backend in `region` for a gateway in `own`.
pub fn region_place(own: Option<&str>, region: Option<&str>) -> usize {
    match (own, region) {
        (Some(own), Some(region)) if own.eq_ignore_ascii_case(region) => 0,
        (Some(_), Some(_)) => 1,
        _ => UNKNOWN_PLACE,
    }
}

/// The place on [`places`] of a backend of which it is not known.
pub const UNKNOWN_PLACE: usize = 2;

/// `result` of connecting
pub fn connects() -> Axis {
    Axis {
        label: "result",
        values: vec!["connected", "failed", "timeout"],
    }
}

/// The place of a status on [`statuses`].
pub fn status_place(status: Option<u16>) -> usize {
    match status {
        None => 0,
        Some(429) => 6,
        Some(status) => usize::from(status / 100).min(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_where_its_number_says() {
        let at = |axis: Axis, place: usize| axis.values[place];
        for outcome in Outcome::ALL {
            assert_eq!(at(outcomes(), place(outcome.number())), outcome.as_str());
        }
        for unit in Unit::ALL {
            assert_eq!(at(units(), place(*unit as u8)), unit.as_str());
        }
        for cause in Cause::ALL {
            assert_eq!(at(causes(), cause as usize), cause.as_str());
        }
        for (status, class) in [
            (None, "none"),
            (Some(200), "2xx"),
            (Some(404), "4xx"),
            (Some(429), "429"),
            (Some(503), "5xx"),
            (Some(999), "5xx"),
        ] {
            assert_eq!(at(statuses(), status_place(status)), class);
        }
    }
}
