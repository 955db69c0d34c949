//! What is drawn: of which file, over what, in which panels. How must not live here.

/// One picture.
pub(crate) struct Figure {
    pub csv: &'static str,
    pub svg: &'static str,
    pub title: &'static str,
    /// The column below, and what it is.
    pub x: (&'static str, &'static str),
    pub is_log: bool,
    pub panels: &'static [Panel],
}

/// One pair of axes of a picture.
pub(crate) struct Panel {
    pub title: &'static str,
    /// Unit of the axis.
    pub unit: &'static str,
    pub is_log: bool,
    /// Columns, and what they are.
    pub lines: &'static [(&'static str, &'static str)],
}

const RESIDENT: Panel = Panel {
    title: "Resident memory, without the engine",
    unit: "MiB",
    is_log: false,
    lines: &[
        ("resident_mib", "after the load"),
        ("most_resident_mib", "most"),
    ],
};
const LATENCY: Panel = Panel {
    title: "Time to the last byte, closed loop",
    unit: "ms",
    is_log: true,
    lines: &[("p50_ms", "p50"), ("p99_ms", "p99")],
};
const REQUEST: Panel = Panel {
    title: "CPU of a request, without the consumer",
    unit: "µs",
    is_log: false,
    lines: &[("cpu_us_per_request", "CPU")],
};

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        csv: "connections.csv",
        svg: "growth-connections.svg",
        title: "Small requests over more and more connections",
        x: ("count", "connections"),
        is_log: true,
        panels: &[REQUEST, LATENCY, RESIDENT],
    },
    Figure {
        csv: "streams.csv",
        svg: "growth-streams.svg",
        title: "More and more open streams, an event of each every 500 ms",
        x: ("count", "streams"),
        is_log: true,
        panels: &[
            Panel {
                title: "CPU of an event, without the consumer",
                unit: "µs",
                is_log: true,
                lines: &[("cpu_us_per_event", "CPU")],
            },
            Panel {
                title: "Time to the first content",
                unit: "ms",
                is_log: true,
                lines: &[("first_p50_ms", "p50"), ("first_p99_ms", "p99")],
            },
            Panel {
                title: "Resident memory, without the engine",
                unit: "MiB",
                is_log: false,
                lines: &[("most_resident_mib", "most")],
            },
        ],
    },
    Figure {
        csv: "keys.csv",
        svg: "growth-keys.svg",
        title: "Small requests with more and more keys, each in its turn",
        x: ("count", "keys"),
        is_log: true,
        panels: &[REQUEST, LATENCY, RESIDENT],
    },
    Figure {
        csv: "months.csv",
        svg: "growth-months.svg",
        title: "A ledger of more and more months",
        x: ("months", "months"),
        is_log: false,
        panels: &[
            Panel {
                title: "Chargeback of one month",
                unit: "s",
                is_log: false,
                lines: &[("chargeback_seconds", "all tenants")],
            },
            Panel {
                title: "The same of one tenant",
                unit: "s",
                is_log: false,
                lines: &[("tenant_seconds", "one tenant")],
            },
        ],
    },
];
