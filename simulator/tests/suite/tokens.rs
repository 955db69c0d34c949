//! The tokenizer against counts that others published.

use serde::Deserialize;
use serde_json::json;
use simulator::Encoding;

use crate::common::{body, json, start};
