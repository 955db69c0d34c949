//! One connection that is cut, held up and closed anywhere: what is written and what is read is the same, and it is known whether the
//! connection may serve another call.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::task::Waker;

use axum::http::{HeaderValue, Request, header};
use http_body_util::Full;
use proptest::prelude::*;

use super::*;
use crate::upload::Sent;

/// What a connection does when it is read.
#[derive(Clone, Debug, PartialEq)]
enum Comes {
    Bytes(Vec<u8>),
    NothingYet,
    End,
    Reset,
}

/// A connection by a script. When that is over nothing more comes.
struct Script {
    comes: VecDeque<Comes>,
    /// So many bytes are taken at each write; all when it is over.
    takes: VecDeque<usize>,
    /// So often it is not flushed yet.
    holds: usize,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Read for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.comes.pop_front() {
            None | Some(Comes::NothingYet) => Poll::Pending,
            Some(Comes::Reset) => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            Some(Comes::End) => {
                self.comes.push_front(Comes::End);
                Poll::Ready(Ok(()))
            }
            Some(Comes::Bytes(mut bytes)) => {
                let left = bytes.split_off(bytes.len().min(room.remaining()));
                if !left.is_empty() {
                    self.comes.push_front(Comes::Bytes(left));
                }
                room.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Write for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = self.takes.pop_front().unwrap_or(usize::MAX);
        if most == 0 {
            return Poll::Pending;
        }
        let taken = bytes.len().min(most);
        self.taken.lock().extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.holds.checked_sub(1) {
            None => Poll::Ready(Ok(())),
            Some(left) => {
                self.holds = left;
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What became of a call.
#[derive(Debug, PartialEq)]
struct Ended {
    status: Option<u16>,
    body: Vec<u8>,
    end: Result<(), BadAnswer>,
    serves_again: bool,
    taken: Vec<u8>,
}

/// More looks than any script has steps.
const LOOKS: usize = 2_000;

fn call(comes: Vec<Comes>, room: Vec<usize>, body: &[u8], closes: bool) -> Ended {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut wire = Wire::over(Patient::new(Script {
        comes: comes.into(),
        holds: room.len() % 4,
        takes: room.into(),
        taken: taken.clone(),
    }));
    let body = Sent::Whole(Full::new(Bytes::copy_from_slice(body)));
    let mut request = Request::post("/x").body(body).expect("a request");
    if closes {
        let close = HeaderValue::from_static("close");
        request.headers_mut().insert(header::CONNECTION, close);
    }
    let mut sending = Sending::new(request);
    let mut ended = Ended {
        status: None,
        body: Vec::new(),
        end: Err(BadAnswer::Closed),
        serves_again: false,
        taken: Vec::new(),
    };
    let cx = &mut Context::from_waker(Waker::noop());
    let mut decoder = None;
    for _ in 0..LOOKS {
        let Some(decoder) = &mut decoder else {
            match wire.poll_answer(&mut sending, cx) {
                Poll::Pending => {}
                Poll::Ready(Err(error)) => {
                    ended.end = Err(error);
                    break;
                }
                Poll::Ready(Ok(started)) => {
                    ended.status = Some(started.response.status().as_u16());
                    ended.body.extend_from_slice(&started.piece);
                    decoder = Some(started.body);
                }
            }
            continue;
        };
        if let Poll::Ready(sent) = wire.poll_send(&mut sending, cx) {
            assert_eq!(sent, Ok(()));
        }
        match wire.poll_piece(decoder, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(None)) if !sending.is_done() => {}
            Poll::Ready(Ok(None)) => {
                ended.end = Ok(());
                break;
            }
            Poll::Ready(Ok(Some(piece))) => {
                assert!(!piece.is_empty());
                ended.body.extend_from_slice(&piece);
            }
            Poll::Ready(Err(error)) => {
                ended.end = Err(error);
                break;
            }
        }
    }
    ended.serves_again = ended.end.is_ok() && wire.is_good(cx);
    ended.taken = taken.lock().clone();
    ended
}

fn at_once(answer: &str, end: Option<Comes>) -> Ended {
    let bytes = Comes::Bytes(answer.as_bytes().to_vec());
    call(
        [bytes].into_iter().chain(end).collect(),
        Vec::new(),
        b"{}",
        false,
    )
}

#[test]
fn an_answer_ends_where_it_says_and_a_break_is_no_end() {
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let to_the_end = "HTTP/1.1 200 OK\r\n\r\n{}";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
    let closed = Err(BadAnswer::Closed);
    for (answer, end, wanted, serves_again) in [
        (plain, None, Ok(()), true),
        (plain, Some(Comes::End), Ok(()), false),
        (to_the_end, Some(Comes::End), Ok(()), false),
        (to_the_end, Some(Comes::Reset), closed, false),
        (&plain[..plain.len() - 1], Some(Comes::End), closed, false),
        (chunked, Some(Comes::End), closed, false),
        (
            chunked,
            Some(Comes::Bytes(b"0\r\n\r\n".to_vec())),
            Ok(()),
            true,
        ),
        (
            chunked,
            Some(Comes::Bytes(b"0\r\n\r\nHTTP/1.1 200 OK\r\n".to_vec())),
            Ok(()),
            false,
        ),
        (
            chunked,
            Some(Comes::Bytes(b"x\r\n".to_vec())),
            Err(BadAnswer::Malformed),
            false,
        ),
        ("HTTP/1.1 20", Some(Comes::End), closed, false),
        ("", Some(Comes::End), closed, false),
        ("", Some(Comes::Reset), closed, false),
        ("220 smtp\r\n", None, Err(BadAnswer::Malformed), false),
    ] {
        let comes = [answer].into_iter().filter(|answer| !answer.is_empty());
        let comes = comes.map(|answer| Comes::Bytes(answer.as_bytes().to_vec()));
        let given = call(comes.chain(end.clone()).collect(), Vec::new(), b"{}", false);
        let was = (given.end, given.serves_again);
        assert_eq!(was, (wanted, serves_again), "{answer:?} {end:?}");
    }
    // The beginning of an answer that breaks off was one.
    let given = at_once(chunked, Some(Comes::Reset));
    assert_eq!((given.status, given.body), (Some(200), b"{}".to_vec()));
}

#[test]
fn interim_answers_are_passed_over_and_a_head_without_end_is_refused() {
    let given = at_once(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        None,
    );
    assert_eq!((given.status, given.serves_again), (Some(200), true));
    let endless = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(READ_BYTES));
    assert_eq!(at_once(&endless, None).end, Err(BadAnswer::Malformed));
    let mut beginning = Beginning::default();
    let mut bytes = endless.bytes();
    let refused_at = bytes.position(|byte| beginning.take(&[byte]).is_err());
    assert_eq!(refused_at, Some(READ_BYTES - 1));
    let hints = Comes::Bytes(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec());
    let given = call(vec![hints; LOOKS], Vec::new(), b"{}", false);
    assert_eq!(given.end, Err(BadAnswer::Malformed), "hints without end");
}

#[test]
fn a_call_that_asks_for_the_end_of_its_connection_is_the_last() {
    let answer = Comes::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec());
    let given = call(vec![answer], Vec::new(), b"{}", true);
    assert_eq!((given.end, given.serves_again), (Ok(()), false));
}

/// Wherever what comes is cut: who is billed by what was answered is not to depend on that.
#[test]
fn what_came_before_a_fault_is_given_first() {
    let faulty =
        "HTTP/1.1 429 Too Many\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\n[1]\r\n0\n\n";
    let no_chunk = "HTTP/1.1 429 Too Many\r\ntransfer-encoding: chunked\r\n\r\n{\"error\": 1}";
    for (answer, body) in [(faulty, "{}[1]"), (no_chunk, "")] {
        for cut in 0..=answer.len() {
            let given = call(comes(answer.as_bytes(), &[cut]), Vec::new(), b"{}", false);
            let was = (given.status, given.body.as_slice(), given.end);
            let wanted = (Some(429), body.as_bytes(), Err(BadAnswer::Malformed));
            assert_eq!(was, wanted, "{cut}");
            assert!(!given.serves_again);
        }
    }
}

/// What takes nothing at all of a request takes none, and another may.
#[test]
fn a_request_of_which_nothing_was_taken_is_as_it_was() {
    struct Shut;
    impl Read for Shut {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
    impl Write for Shut {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let cx = &mut Context::from_waker(Waker::noop());
    let long = Bytes::from(vec![b'x'; 100_000]);
    let body = Sent::Whole(Full::new(long.clone()));
    let mut sending = Sending::new(Request::post("/x").body(body).expect("a request"));
    sending.may_go_elsewhere = true;
    let mut shut = Wire::over(Patient::new(Shut));
    let begun = shut.poll_answer(&mut sending, cx);
    assert!(matches!(begun, Poll::Ready(Err(BadAnswer::Untouched))));
    assert!(!shut.is_good(cx));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut open = Wire::over(Patient::new(Script {
        comes: VecDeque::new(),
        takes: VecDeque::new(),
        holds: 0,
        taken: taken.clone(),
    }));
    assert!(open.poll_answer(&mut sending, cx).is_pending());
    assert!(sending.is_done());
    let taken = taken.lock();
    assert!(taken.starts_with(b"POST /x HTTP/1.1\r\ncontent-length: 100000\r\n\r\nx"));
    assert!(taken.ends_with(&long));
}

fn comes(answer: &[u8], cuts: &[usize]) -> Vec<Comes> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (answer.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(answer.len());
    let mut begun = 0;
    let mut all = Vec::new();
    for end in ends {
        if end > begun {
            all.push(Comes::Bytes(answer[begun..end].to_vec()));
        }
        all.push(Comes::NothingYet);
        begun = end;
    }
    all
}

proptest! {
    #[test]
    fn however_a_call_is_cut_and_held_up_it_is_the_same(
        form in 0..3_usize,
        length in prop_oneof![0..50_usize, 1_000..40_000_usize],
        sent in prop_oneof![0..50_usize, 2_000..60_000_usize],
        chunk in 1..20_000_usize,
        interim in any::<bool>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
        takes in proptest::collection::vec(prop_oneof![Just(0), 1..3_000_usize], 0..40),
    ) {
        let body: Vec<u8> = (0..251_u8).cycle().take(length).collect();
        let request: Vec<u8> = (0..241_u8).cycle().take(sent).collect();
        let mut answer = Vec::new();
        if interim {
            answer.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        match form {
            0 => {
                answer.extend_from_slice(format!("HTTP/1.1 201 Made\r\ncontent-length: {length}\r\n\r\n").as_bytes());
                answer.extend_from_slice(&body);
            }
            1 => {
                answer.extend_from_slice(b"HTTP/1.1 201 Made\r\ntransfer-encoding: chunked\r\n\r\n");
                for piece in body.chunks(chunk) {
                    answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    answer.extend_from_slice(piece);
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"0\r\n\r\n");
            }
            _ => {
                answer.extend_from_slice(b"HTTP/1.1 201 Made\r\n\r\n");
                answer.extend_from_slice(&body);
            }
        }
        let mut comes = comes(&answer, &cuts);
        let ends_by_close = form == 2;
        if ends_by_close {
            comes.push(Comes::End);
        }
        let given = call(comes, takes, &request, false);
        let mut taken = format!("POST /x HTTP/1.1\r\ncontent-length: {sent}\r\n\r\n").into_bytes();
        taken.extend_from_slice(&request);
        prop_assert_eq!(given.status, Some(201));
        prop_assert!(given.body == body, "{} of {} bytes", given.body.len(), body.len());
        prop_assert_eq!(given.end, Ok(()));
        prop_assert_eq!(given.serves_again, !ends_by_close);
        prop_assert!(given.taken == taken);
    }
}
