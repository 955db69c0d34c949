//! A byte of the log that is another on a broker's disk: what can not be read any more is never taken for what was written, nor passed
//! over for what stands behind it; it is named, other partitions go on, and so does this one when it is mended.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use consumer::{KafkaLog, Read};
use schemas::Topic;
use tests::{TopicView, eventually};

use super::events::{encode, event};
use super::member::Member;
use super::places::{is_heard, say};
use super::stand::{PARTITIONS, Stand};

const EVENTS: u64 = 90;
/// Of a batch, behind its head and among what its checksum is of.
const PLACE: u64 = 200;
/// Of a batch, the byte that says in which form it is.
const FORM: u64 = 16;
/// Events that come at a time: several for each partition.
const ROUND: u64 = 12;

fn flip(file: &File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it has records");
    byte[0] ^= 1;
    file.write_all_at(&byte, at).expect("it can be changed");
}

/// A partition, and the broker's file of it.
fn some_file(stand: &Stand) -> (i32, File) {
    let segments = stand.cluster.segments(&Stand::topic(Topic::Usage));
    assert_eq!(segments.len(), PARTITIONS as usize);
    let name = segments[0].parent().and_then(|dir| dir.to_str());
    let (_, partition) = name
        .and_then(|name| name.rsplit_once('-'))
        .expect("a partition");
    let partition = partition.parse().expect("a number");
    let file = OpenOptions::new().read(true).write(true).open(&segments[0]);
    (partition, file.expect("the broker's file"))
}

fn length(file: &File) -> u64 {
    file.metadata().expect("a file has a length").len()
}

/// Where the partitions end now.
async fn ends(stand: &Stand) -> BTreeMap<i32, i64> {
    let view = TopicView::new(&stand.cluster.servers(), Stand::topic(Topic::Usage));
    eventually("the broker says where the topic ends", async || {
        view.ends(PARTITIONS).await
    })
    .await
}

/// Sends events to all partitions in turn.
async fn spread(stand: &Stand, numbers: Range<u64>) {
    for (number, partition) in numbers.zip((0..PARTITIONS).cycle()) {
        stand.send(Some(partition), &encode(&event(number)), |_| {});
    }
    stand.flush().await;
}

/// A batch of one record, of which the broker has other bytes once it was flipped.
struct Damaged {
    partition: i32,
    /// The record's.
    place: i64,
    file: File,
    /// The place of the byte in the file.
    byte: u64,
}

impl Damaged {
    /// Appends it to a partition to which nobody else appends.
    async fn append(stand: &Stand, number: u64, byte: u64) -> Self {
        let (partition, file) = some_file(stand);
        let place = ends(stand).await[&partition];
        let byte = length(&file) + byte;
        stand.send(Some(partition), &encode(&event(number)), |_| {});
        stand.flush().await;
        let end = ends(stand).await[&partition];
        assert_eq!(end, place + 1, "nothing else came");
        assert!(byte < length(&file), "the byte is one of the batch");
        Self {
            partition,
            place,
            file,
            byte,
        }
    }

    /// The byte becomes another, or again what it was.
    fn flip(&self) {
        flip(&self.file, self.byte);
    }

    /// Whoever begins behind it is given all the rest: it alone is what the broker does not have. Whoever begins with it is told so.
    async fn is_all_that_is_wrong(&self, stand: &Stand) {
        let (partition, place, next) = (self.partition, self.place, self.place + 1);
        let (end, options) = (ends(stand).await[&partition], stand.options());
        let reading = tokio::task::spawn_blocking(move || {
            let log = KafkaLog::open(options).expect("a log");
            match log.reader(partition, end)(place).next() {
                Some(Err(why)) => assert!(why.to_string().contains("has other bytes"), "{why}"),
                other => panic!("it is there, and can not be read: {other:?}"),
            }
            let given = log.reader(partition, end)(next).map(|read| match read {
                Ok(Read::Record(record)) => record.offset,
                other => panic!("the broker has records there: {other:?}"),
            });
            given.collect::<Vec<_>>()
        });
        let given = reading.await.expect("no panic");
        let behind: Vec<_> = (next..end).collect();
        assert!(behind.len() > 1, "others stand behind it");
        assert_eq!(given, behind);
    }

    /// How often it was named: once for each time that its partition was begun and came to a stop here.
    fn stops(&self, member: &Member) -> usize {
        let (partition, place) = (self.partition, self.place);
        let words =
            format!("a broker has other bytes in partition {partition} from place {place} on");
        member.log().matches(&words).count()
    }

    /// Waits for so many stops; at no time is anything of it taken, or of what is behind.
    async fn stops_again(&self, stand: &Stand, member: &Member, stops: usize) {
        eventually("its partition is tried, and stops there", async || {
            self.is_not_passed(stand).await;
            (self.stops(member) >= stops).then_some(())
        })
        .await;
    }

    /// No table has anything of the partition from this place on.
    async fn is_not_passed(&self, stand: &Stand) {
        let (partition, from) = (self.partition, self.place);
        let places = [
            ("audit_log", "offset"),
            ("usage_events", "offset"),
            ("cuts", "last"),
        ];
        let counts = places.map(|(table, place)| {
            format!("SELECT count() AS rows FROM {table} WHERE partition = {partition} AND {place} >= {from}")
        });
        let counts = counts.join(" UNION ALL ");
        let sql = format!("SELECT toUInt64(sum(rows)) FROM ({counts})");
        let taken = stand.count(&sql).await;
        assert_eq!(taken, 0, "rows from place {from} of {partition} on");
    }

    /// Waits until every other partition is in the store up to where it ends now; this one ends before the batch.
    async fn holds_up_its_partition_alone(&self, stand: &Stand, member: &Member) {
        let ends = ends(stand).await;
        eventually("the others go on", async || {
            let at = member.partitions().await;
            let own = at.get(&self.partition)?.committed;
            assert!(own <= self.place, "it is passed over: {own}");
            let mut others = ends.iter().filter(|(of, _)| **of != self.partition);
            let is_done = others.all(|(of, end)| at.get(of).is_some_and(|at| at.committed >= *end));
            (is_done && own == self.place).then_some(())
        })
        .await;
        self.is_not_passed(stand).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_a_broker_does_not_have_as_it_was_written_is_named_and_read_when_it_is_mended()
{
    let stand = Stand::new().await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    let (partition, file) = some_file(&stand);
    flip(&file, PLACE);

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

    flip(&file, PLACE);
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_behind_a_batch_with_other_bytes_is_taken_before_it_however_often_it_is_tried() {
    stands_still_where_it_is_another(PLACE).await;
}

/// Kafka's client tells of it by another error, and goes on behind it by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_seems_to_be_of_another_form_is_not_passed_over_either() {
    stands_still_where_it_is_another(FORM).await;
}

async fn stands_still_where_it_is_another(byte: u64) {
    let stand = Stand::new().await;
    let first = Member::start(&stand, "first");
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.holds_exactly(EVENTS, &[&first]).await;
    first.stop().await;

    let damaged = Damaged::append(&stand, EVENTS, byte).await;
    let mut events = EVENTS + 1;
    spread(&stand, events..events + ROUND).await;
    events += ROUND;
    damaged.flip();
    damaged.is_all_that_is_wrong(&stand).await;

    let mut member = Member::start(&stand, "second");
    // The second time it is fetched anew, by who has stood still at it.
    for stops in 1..=2 {
        damaged.stops_again(&stand, &member, stops).await;
        spread(&stand, events..events + ROUND).await;
        events += ROUND;
        damaged.holds_up_its_partition_alone(&stand, &member).await;
    }
    assert!(
        !member.log().contains("joining again"),
        "nobody else is disturbed"
    );

    member.kill();
    let stops = damaged.stops(&member);
    member.replace();
    damaged.stops_again(&stand, &member, stops + 1).await;
    spread(&stand, events..events + ROUND).await;
    events += ROUND;
    damaged.holds_up_its_partition_alone(&stand, &member).await;

    damaged.flip();
    stand.holds_exactly(events, &[&member]).await;
    let (partition, place) = (damaged.partition, damaged.place);
    let itself = format!(
        "SELECT countIf(fate = 'event') FROM audit_log WHERE partition = {partition} AND offset = {place}"
    );
    assert_eq!(stand.count(&itself).await, 1, "it has its place");
    assert!(
        !member.log().contains("of the log can not be read; see"),
        "no place was given up"
    );
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_what_producers_say_with_other_bytes_is_named_and_heard_when_it_is_mended() {
    let stand = Stand::new().await;
    let first = Member::start(&stand, "first");
    say(&stand, "gw-1", 1);
    stand.flush().await;
    is_heard(&stand, "gw-1", 1).await;
    first.stop().await;

    let segments = stand.cluster.segments(&Stand::topic(Topic::Producers));
    let file = OpenOptions::new().read(true).write(true).open(&segments[0]);
    let file = file.expect("the broker's file");
    let byte = length(&file) + PLACE;
    say(&stand, "gw-1", 2);
    stand.flush().await;
    assert!(byte < length(&file), "the byte is one of the batch");
    say(&stand, "gw-2", 3);
    stand.produce(0..EVENTS);
    stand.flush().await;
    flip(&file, byte);

    let member = Member::start(&stand, "second");
    let words = "nothing more is heard of producers";
    eventually("it is named", async || {
        let (status, text) = member.ask("/readyz").await?;
        (status == 503 && text.contains(words) && text.contains("from place 1 on")).then_some(())
    })
    .await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    let behind = "SELECT count() FROM producer_log WHERE synced_position > 1";
    assert_eq!(stand.count(behind).await, 0, "nothing is passed over");

    flip(&file, byte);
    is_heard(&stand, "gw-1", 2).await;
    is_heard(&stand, "gw-2", 3).await;
    eventually("all is well", async || {
        (member.ask("/readyz").await?.0 == 200).then_some(())
    })
    .await;
    let log = member.log();
    assert!(!log.contains("No more messages"), "that is no fault: {log}");
    member.stop().await;
}
