//! Making an export: the report first, then the records, then the proof that these add up to it, and only then the file
//! under its name.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use schemas::PriceBook;
use store::Client;

use crate::chargeback::report::state_zero;
use crate::chargeback::{Figures, Report, Request, report};
use crate::export::column::{Column, Value};
use crate::export::manifest::FORMAT_VERSION;
use crate::export::page::{self, Place};
use crate::export::sink::{self, Sink};
use crate::export::target::{Digesting, Draft};
use crate::export::trail::{self, Rater};
use crate::export::{
    ExportError, ExportFormat, Kind, Manifest, Sums, Target, manifest_path, summary,
};

/// How often a period that goes on changing is read.
const TRIES: usize = 3;

/// What to export, and where to.
#[derive(Debug)]
pub struct Export<'a> {
    /// Summary or trail.
    pub kind: Kind,
    /// The format.
    pub format: ExportFormat,
    /// Where to.
    pub target: &'a Target,
    /// The report that it adds up to.
    pub request: &'a Request,
}

/// Exports, and proves that what was written adds up to the chargeback report of the same request, row by row. A file is
/// there, with its manifest, only if it does. `progress` is told how many records are written.
///
/// # Errors
/// Where the store does not answer, an amount is too large for the format, the target cannot be written, or records
/// keep coming into the period.
pub async fn export(
    client: &Client,
    book: &PriceBook,
    export: &Export<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Manifest, ExportError> {
    let source = Source {
        client,
        book,
        export,
    };
    match export.target {
        Target::Stdout if export.format == ExportFormat::Parquet => Err(ExportError::NeedsFile),
        Target::Stdout => {
            let report = report(client, book, export.request).await?;
            let stdout = std::io::stdout();
            let made = source.write(&report, stdout, "-", progress).await;
            source.blame(made, &report).await
        }
        Target::File(path) => {
            for _ in 0..TRIES {
                match source.write_file(path, progress).await {
                    Err(ExportError::Moving(_)) => {}
                    made => return made,
                }
            }
            Err(ExportError::Moving(TRIES))
        }
    }
}

struct Source<'a> {
    client: &'a Client,
    book: &'a PriceBook,
    export: &'a Export<'a>,
}

impl Source<'_> {
    async fn write_file(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Manifest, ExportError> {
        let report = report(self.client, self.book, self.export.request).await?;
        let mut file = Draft::of(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let made = self.write(&report, &mut file, &name, progress).await;
        let manifest = self.blame(made, &report).await?;
        let mut beside = Draft::of(&manifest_path(path))?;
        let written = beside.write_all(manifest.to_json()?.as_bytes());
        written.map_err(|error| ExportError::Io {
            path: manifest_path(path),
            error,
        })?;
        file.sync()?;
        beside.sync()?;
        file.publish()?;
        beside.publish()?;
        file.sync_folder()?;
        Ok(manifest)
    }

    /// A trail that does not add up is our fault, unless the ledger has changed under it.
    async fn blame(
        &self,
        made: Result<Manifest, ExportError>,
        before: &Report,
    ) -> Result<Manifest, ExportError> {
        let Err(ExportError::Unequal(_)) = &made else {
            return made;
        };
        let after = report(self.client, self.book, self.export.request).await?;
        if after.report_hash == before.report_hash {
            return made;
        }
        Err(ExportError::Moving(1))
    }

    async fn write(
        &self,
        report: &Report,
        output: impl Write + Send,
        name: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Manifest, ExportError> {
        let mut output = Digesting::new(output);
        let columns = match self.export.kind {
            Kind::Summary => summary::columns(&report.by),
            Kind::Trail => trail::columns(),
        };
        let mut table = Table {
            sink: sink::open(self.export.format, &columns, &mut output)?,
            columns: &columns,
            sums: Sums::default(),
            records: 0,
        };
        match self.export.kind {
            Kind::Summary => {
                for record in summary::records(report) {
                    table.write(&record)?;
                }
            }
            Kind::Trail => self.write_trail(report, &mut table, progress).await?,
        }
        let (sums, records) = table.finish()?;
        if let Some((what, ours, theirs)) = sums.difference(&Sums::of(&report.totals)?) {
            let text = format!("{what}: {ours} and {theirs}");
            return Err(ExportError::Unequal(text));
        }
        let mut manifest = self.manifest(report, sums);
        name.clone_into(&mut manifest.file);
        manifest.records = records;
        (manifest.bytes, manifest.sha256) = (output.bytes, output.sha256());
        Ok(manifest)
    }

    async fn write_trail(
        &self,
        report: &Report,
        table: &mut Table<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ExportError> {
        let request = self.export.request;
        let mut rater = Rater::new(request, self.book)?;
        let mut after = None;
        progress(table.records);
        loop {
            let page = page::read(self.client, request, after.as_ref()).await?;
            for record in &page {
                rater.rate(record, |values| table.write(values))?;
            }
            progress(table.records);
            after = page.last().map(Place::of);
            if page::is_last(&page) {
                break;
            }
        }
        compare(rater.into_rows(), report, self.book)
    }

    fn manifest(&self, report: &Report, sums: Sums) -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            kind: self.export.kind,
            format: self.export.format,
            file: String::new(),
            bytes: 0,
            sha256: String::new(),
            records: 0,
            period: report.period.name.clone(),
            zone: report.period.zone.clone(),
            start_us: report.period.start_us,
            end_us: report.period.end_us,
            by: report.by.clone(),
            tenant: report.tenant.clone(),
            synthetic: report.synthetic,
            synthetic_requests_left_out: report.synthetic_requests_left_out,
            complete: Some(report.totals.complete),
            unreadable_records: report.unreadable_records,
            position: report.position.clone(),
            price_version: report.price_version.clone(),
            report_hash: report.report_hash.clone(),
            sums,
        }
    }
}

struct Table<'a> {
    sink: Box<dyn Sink + 'a>,
    columns: &'a [Column],
    sums: Sums,
    records: u64,
}

impl Table<'_> {
    fn finish(mut self) -> Result<(Sums, u64), ExportError> {
        self.sink.finish()?;
        Ok((self.sums, self.records))
    }

    fn write(&mut self, values: &[Value<'_>]) -> Result<(), ExportError> {
        self.sink.write(values)?;
        self.sums.add(self.columns, values)?;
        self.records += 1;
        Ok(())
    }
}

/// Whether the trail has the rows of the report, each with all its figures.
fn compare(
    mut rows: BTreeMap<Vec<String>, Figures>,
    report: &Report,
    book: &PriceBook,
) -> Result<(), ExportError> {
    for figures in rows.values_mut() {
        state_zero(figures, book)?;
    }
    let unequal = |columns: &[String]| Err(ExportError::Unequal(format!("row {columns:?}")));
    for row in &report.rows {
        if rows.remove(&row.columns).as_ref() != Some(&row.figures) {
            return unequal(&row.columns);
        }
    }
    match rows.first_key_value() {
        Some((columns, _)) => unequal(columns),
        None => Ok(()),
    }
}
