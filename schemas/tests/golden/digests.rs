//! What records are known by: the hash of a record, which is its leaf, and the digest of a batch, which stands in `cuts` and under
//! what is signed. Two versions that repeat one batch must agree on it.

use schemas::rows::{BatchDigest, leaf_hash};
use serde_json::json;

use crate::files::same_as_file;
use crate::fixtures::records;

#[test]
fn every_record_and_their_batch_have_the_digest_that_they_always_had() {
    let (mut file, mut batch) = (String::new(), BatchDigest::default());
    for (name, _, bytes) in records() {
        let leaf = leaf_hash(&bytes);
        batch.push(&leaf);
        let line = json!({"leaf": hex::encode(leaf), "record": name});
        file = file + &line.to_string() + "\n";
    }
    let line = json!({"batch": hex::encode(batch.finish())});
    file = file + &line.to_string() + "\n";
    same_as_file("golden/digests.v1.json", file.as_bytes());
}
