//! The embedded engine's C functions, and the only unsafe code of this crate. It knows no SQL.

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

/// `chdb_connection`: what queries are given; the engine hands out a pointer to it.
type RawConnection = *mut c_void;
type RawResult = *mut c_void;

type Connect = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection;
type CloseConnection = unsafe extern "C" fn(*mut RawConnection);
type Run =
    unsafe extern "C" fn(RawConnection, *const c_char, usize, *const c_char, usize) -> RawResult;
type DestroyResult = unsafe extern "C" fn(RawResult);
type ResultText = unsafe extern "C" fn(RawResult) -> *const c_char;
type ResultSize = unsafe extern "C" fn(RawResult) -> usize;
type ResultCount = unsafe extern "C" fn(RawResult) -> u64;
type ResultSeconds = unsafe extern "C" fn(RawResult) -> c_double;

/// The loaded library. It is never unloaded: the engine leaves threads behind.
pub(super) struct Library {
    connect: Connect,
    close: CloseConnection,
    run: Run,
    destroy_result: DestroyResult,
    buffer: ResultText,
    length: ResultSize,
    error: ResultText,
    rows_read: ResultCount,
    rows_written: ResultCount,
    elapsed: ResultSeconds,
    _handle: ManuallyDrop<libloading::Library>,
}

/// One session with the engine. Queries on it run one after the other, which `&mut self` states.
pub(super) struct Connection {
    library: Arc<Library>,
    handle: NonNull<RawConnection>,
}

/// What a query gave.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) rows_read: u64,
    pub(super) rows_written: u64,
    pub(super) elapsed_seconds: f64,
}

impl Library {
    /// Loads the library and looks up every function, so that a wrong one fails here and not in mid-query.
    #[expect(unsafe_code, reason = "the engine is a C library loaded at run time")]
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, libloading::Error> {
        // SAFETY: the file is the engine's library; its initialisers only set up its own state, and it is never unloaded.
        let handle = ManuallyDrop::new(unsafe { libloading::Library::new(path) }?);
        // SAFETY: the names and types are those of chdb.h of the pinned version, which the caller checks before anything
        // but `version()` is asked; the pointers stay valid because the library stays loaded.
        let library = unsafe {
            Self {
                connect: *handle.get::<Connect>(b"chdb_connect\0")?,
                close: *handle.get::<CloseConnection>(b"chdb_close_conn\0")?,
                run: *handle.get::<Run>(b"chdb_query_n\0")?,
                destroy_result: *handle.get::<DestroyResult>(b"chdb_destroy_query_result\0")?,
                buffer: *handle.get::<ResultText>(b"chdb_result_buffer\0")?,
                length: *handle.get::<ResultSize>(b"chdb_result_length\0")?,
                error: *handle.get::<ResultText>(b"chdb_result_error\0")?,
                rows_read: *handle.get::<ResultCount>(b"chdb_result_rows_read\0")?,
                rows_written: *handle.get::<ResultCount>(b"chdb_result_rows_written\0")?,
                elapsed: *handle.get::<ResultSeconds>(b"chdb_result_elapsed\0")?,
                _handle: handle,
            }
        };
        Ok(Arc::new(library))
    }
}

impl Connection {
    /// Opens a session on a data directory; `None` if the engine refuses (it says why on its error output).
    #[expect(unsafe_code, reason = "calls the engine's C function")]
    pub(super) fn open(library: &Arc<Library>, directory: &Path) -> Option<Self> {
        let mut path_argument = b"--path=".to_vec();
        path_argument.extend_from_slice(directory.as_os_str().as_bytes());
        let arguments = [
            CString::from(c"clickhouse"),
            CString::new(path_argument).ok()?,
        ];
        let mut pointers = arguments
            .each_ref()
            .map(|argument| argument.as_ptr().cast_mut());
        // SAFETY: two valid C strings that outlive the call, and their count; the engine copies what it keeps.
        let handle = unsafe { (library.connect)(2, pointers.as_mut_ptr()) };
        Some(Self {
            library: Arc::clone(library),
            handle: NonNull::new(handle)?,
        })
    }

    /// Runs a query; `Err` is the engine's own text, `Code: N. DB::Exception: …`, or ours in its shape for a result of
    /// more than `max_bytes`: the engine's own limit counts a constant column as one value.
    #[expect(unsafe_code, reason = "calls the engine's C functions")]
    pub(super) fn run(
        &mut self,
        sql: &[u8],
        format: &str,
        max_bytes: u64,
    ) -> Result<Answer, String> {
        // SAFETY: `handle` came from a successful connect and is closed only in `drop`; the text and the format are given
        // with their lengths and outlive the call; `&mut self` keeps a second query off this connection.
        let result = unsafe {
            (self.library.run)(
                *self.handle.as_ptr(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
            )
        };
        let result = QueryResult {
            library: &self.library,
            raw: NonNull::new(result).ok_or("the engine gave no result")?,
        };
        result.read(max_bytes)
    }
}

impl Drop for Connection {
    #[expect(unsafe_code, reason = "calls the engine's C function")]
    fn drop(&mut self) {
        // SAFETY: `handle` is live and closed only here.
        unsafe { (self.library.close)(self.handle.as_ptr()) }
    }
}

#[expect(
    unsafe_code,
    reason = "a connection is made in one thread and may be used in another"
)]
// SAFETY: the engine ties a connection to no thread; `&mut self` on every use keeps two threads from using it at once.
unsafe impl Send for Connection {}

/// A result that is destroyed on every path.
struct QueryResult<'a> {
    library: &'a Library,
    raw: NonNull<c_void>,
}

impl QueryResult<'_> {
    #[expect(unsafe_code, reason = "calls the engine's C functions")]
    fn read(&self, max_bytes: u64) -> Result<Answer, String> {
        let (library, raw) = (self.library, self.raw.as_ptr());
        // SAFETY: `raw` is a live result; the error is null or a C string that lives as long as the result.
        let error = unsafe {
            (library.error)(raw)
                .as_ref()
                .map(|text| CStr::from_ptr(text))
        };
        if let Some(text) = error {
            return Err(text.to_string_lossy().into_owned());
        }
        // SAFETY: `raw` is a live result.
        let length = unsafe { (library.length)(raw) };
        if u64::try_from(length).unwrap_or(u64::MAX) > max_bytes {
            return Err(format!(
                "Code: 396. DB::Exception: Limit for result exceeded, max bytes: {max_bytes}, \
                 current bytes: {length}. (TOO_MANY_ROWS_OR_BYTES)"
            ));
        }
        // SAFETY: `raw` is a live result; the buffer is null or holds `length` bytes for as long as the result lives.
        let bytes = unsafe {
            let start = (library.buffer)(raw).cast::<u8>();
            if start.is_null() || length == 0 {
                Vec::new()
            } else {
                std::slice::from_raw_parts(start, length).to_vec()
            }
        };
        // SAFETY: `raw` is a live result.
        let (rows_read, rows_written, elapsed_seconds) = unsafe {
            (
                (library.rows_read)(raw),
                (library.rows_written)(raw),
                (library.elapsed)(raw),
            )
        };
        Ok(Answer {
            bytes,
            rows_read,
            rows_written,
            elapsed_seconds,
        })
    }
}

impl Drop for QueryResult<'_> {
    #[expect(unsafe_code, reason = "calls the engine's C function")]
    fn drop(&mut self) {
        // SAFETY: `raw` is live and destroyed only here.
        unsafe { (self.library.destroy_result)(self.raw.as_ptr()) }
    }
}
