//! A byte of the log that is another on a broker's disk: what can not be read any more is never taken for what was written, nor passed
//! over; it is named, other partitions go on, and so does this one when it is mended.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use schemas::Topic;
use tests::eventually;

use super::member::Member;
use super::stand::{PARTITIONS, Stand};

const EVENTS: u64 = 90;
/// Behind the head of the first batch of a file, among what its checksum is of.
const PLACE: u64 = 200;

fn flip(file: &File) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, PLACE)
        .expect("it has records");
    byte[0] ^= 1;
    file.write_all_at(&byte, PLACE).expect("it can be changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_a_broker_does_not_have_as_it_was_written_is_named_and_read_when_it_is_mended()
{
    let stand = Stand::new().await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    let segments = stand.cluster.segments(&Stand::topic(Topic::Usage));
    assert_eq!(segments.len(), PARTITIONS as usize);
    let name = segments[0].parent().and_then(|dir| dir.to_str());
    let (_, partition) = name
        .and_then(|name| name.rsplit_once('-'))
        .expect("a partition");
    let partition: i32 = partition.parse().expect("a number");
    let file = OpenOptions::new().read(true).write(true).open(&segments[0]);
    let file = file.expect("the broker's file");
    flip(&file);

    let member = Member::start(&stand, "one");
    let words = format!("a broker has other bytes in partition {partition} from place 0 on");
    eventually("it is named", async || {
        let (status, text) = member.ask("/readyz").await?;
        (status == 503 && text.contains(&words)).then_some(())
    })
    .await;
    eventually("the others go on", async || {
        let mut at = member.partitions().await;
        let damaged = at.remove(&partition)?;
        assert_eq!(damaged.committed, 0, "nothing of it is passed over");
        let is_done = at.values().all(|at| at.committed == at.readable);
        (is_done && at.len() == PARTITIONS as usize - 1).then_some(())
    })
    .await;
    assert!(
        !member.log().contains("joining again"),
        "nobody else is disturbed"
    );
    let of_it = format!("SELECT count() FROM audit_log WHERE partition = {partition}");
    assert_eq!(stand.count(&of_it).await, 0);

    flip(&file);
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
}
