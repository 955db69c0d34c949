//! A table that fits a terminal: numbers to the right, texts to the left.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, presets};

/// A column.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_number: bool,
}

impl Column {
    pub(super) fn text(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            is_number: false,
        }
    }

    pub(super) fn number(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            is_number: true,
        }
    }
}

/// The table as text, with a line end after it.
pub(super) fn draw(columns: &[Column], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    match width {
        Some(width) => {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.set_header(columns.iter().map(|column| column.name.as_str()));
    for row in rows {
        table.add_row(row);
    }
    for (at, column) in columns.iter().enumerate() {
        if column.is_number
            && let Some(drawn) = table.column_mut(at)
        {
            drawn.set_cell_alignment(CellAlignment::Right);
            // A number that is broken over two lines reads as two numbers: texts give way first.
            drawn.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    format!("{table}\n")
}
