//! Excerpts of spend logs in the shape of the real ones, each way of exporting them; names and figures are our own.

use super::*;
use proptest::prelude::*;

const HEADER: &str = "request_id,call_type,api_key,spend,total_tokens,prompt_tokens,completion_tokens,startTime,endTime,\
    completionStartTime,model,model_id,model_group,custom_llm_provider,api_base,user,metadata,cache_hit,cache_key,request_tags,\
    team_id,end_user,requester_ip_address,messages,response,session_id,status,proxy_server_request";
const DIGEST: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

fn csv_row(id: &str, spend: &str) -> String {
    format!(
        "{id},acompletion,{DIGEST},{spend},30,20,10,2026-06-07 12:43:30.308,2026-06-07 12:43:30.954,,azure/gpt-4o-mini,,gpt-4o-mini,\
         azure,,u1,\"{{\"\"user_api_key_alias\"\": \"\"search\"\", \"\"prompt\"\": \"\"hush\"\"}}\",None,Cache OFF,\"[\"\"a\"\", \"\"b\"\"]\",\
         team-1,,,\"{{\"\"hush\"\": 1}}\",{{}},s,success,{{}}"
    )
}

fn json_row(id: &str, spend: &str) -> String {
    format!(
        r#"{{"request_id":"{id}","call_type":"acompletion","api_key":"{DIGEST}","spend":{spend},"total_tokens":30,"prompt_tokens":20,
        "completion_tokens":10,"startTime":"2026-06-07T12:43:30.308000Z","endTime":"2026-06-07T12:43:30.954000+00:00",
        "model":"azure/gpt-4o-mini","model_group":"gpt-4o-mini","custom_llm_provider":"azure","user":"u1","cache_hit":"None",
        "metadata":{{"user_api_key_alias":"search","prompt":"hush"}},"request_tags":["a","b"],"team_id":"team-1","end_user":null,
        "messages":{{"hush":1}},"status":"success"}}"#
    )
}

fn naming() -> Naming {
    Naming {
        source: "litellm".to_owned(),
        without_team: "imported".to_owned(),
    }
}

fn read(text: &str) -> (Vec<SpendRow>, Survey) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spend");
    std::fs::write(&path, text).unwrap();
    let naming = naming();
    let mut reading = Reading::open(&path, &naming).unwrap();
    let mut rows = Vec::new();
    while let Some(chunk) = reading.next_chunk().unwrap() {
        rows.extend(chunk.into_iter().map(|(_, row)| row));
    }
    assert_eq!(survey(&path, &naming).unwrap(), reading.survey);
    (rows, reading.survey)
}

#[test]
fn a_dump_and_an_answer_give_the_same_rows_and_no_prompt() {
    let spends = [("a", "2.4999999999999998e-05"), ("b", "0.1")];
    let csv: Vec<_> = spends.map(|(id, spend)| csv_row(id, spend)).into();
    let json: Vec<_> = spends.map(|(id, spend)| json_row(id, spend)).into();
    let (from_csv, survey) = read(&format!("{HEADER}\n{}\n", csv.join("\n")));
    let (from_list, _) = read(&format!("[{}]", json.join(",")));
    let (from_lines, _) = read(&json.map_lines());
    assert_eq!(from_csv, from_list);
    assert_eq!(from_csv, from_lines);
    let row = &from_csv[0];
    assert_eq!(row.spend.to_string(), "0.000024999999999999998");
    assert_eq!(
        (
            row.tenant.as_str(),
            row.key.as_str(),
            row.key_sha256.as_str()
        ),
        ("team-1", "search", DIGEST)
    );
    assert_eq!(row.started, Micros(1_780_836_210_308_000));
    assert_eq!(row.tags, ["a", "b"]);
    assert!(!format!("{from_csv:?}").contains("hush"));
    assert_eq!(survey.file.spend.to_string(), "0.100024999999999999998");
    assert_eq!(
        (
            survey.file.rows,
            survey.file.input_tokens,
            survey.file.output_tokens
        ),
        (2, 40, 20)
    );
    assert_eq!(survey.taken(), Some(survey.file));
}

trait Lines {
    fn map_lines(&self) -> String;
}

impl Lines for Vec<String> {
    fn map_lines(&self) -> String {
        self.iter()
            .map(|row| row.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[test]
fn bad_rows_are_refused_by_line_and_stay_in_the_files_total_where_they_have_one() {
    let good = json_row("good", "0.5").replace('\n', " ");
    let rows = [
        good.clone(),
        good.replace("0.5", "null"),
        good.replace(r#""prompt_tokens":20"#, r#""prompt_tokens":-1"#),
        good.replace("2026-06-07T12:43:30.308000Z", "yesterday")
            .replace("good", "late"),
        good.replace(r#""good""#, "null"),
        "{\"request_id\": \"cut".to_owned(),
        good.clone(),
        good.replace("0.5", "0.25"),
        good.replace("0.5", "1e-40").replace("good", "fine"),
    ];
    let (taken, survey) = read(&rows.join("\n"));
    assert_eq!(taken.len(), 1);
    let refused: Vec<_> = survey
        .refusals
        .kept()
        .iter()
        .map(|one| (one.line, one.reason.as_str()))
        .collect();
    let wanted = [
        (2, "no `spend`: nothing is filled in"),
        (3, "`prompt_tokens` is not a count of tokens"),
        (
            4,
            "`startTime` is not an instant such as 2025-06-21 15:47:15.344",
        ),
        (5, "no `request_id`: nothing is filled in"),
        (6, "not JSON: neither an object nor a list"),
        (8, "line 1 has the same request_id and says something else"),
    ];
    assert_eq!(refused[..6], wanted);
    assert_eq!(refused[6].0, 9);
    assert_eq!(survey.unreadable_rows, 4);
    assert_eq!(
        (survey.file.rows, survey.refused.rows, survey.repeated.rows),
        (5, 3, 1)
    );
    assert_eq!(survey.file.spend.to_string(), "2.25");
    assert_eq!(survey.taken().unwrap().spend.to_string(), "0.50");
}

#[test]
fn a_secret_in_the_log_becomes_its_digest_and_what_is_no_key_becomes_none() {
    let row = |key: &str| {
        json_row("a", "0")
            .replace(DIGEST, key)
            .replace("user_api_key_alias", "other")
    };
    let (secret, _) = read(&row("sk-1234"));
    assert_eq!(secret[0].key_sha256, hex::encode(Sha256::digest("sk-1234")));
    assert!(!format!("{secret:?}").contains("sk-1234"));
    let (master, _) = read(&row("litellm_proxy_master_key"));
    assert_eq!(
        (master[0].key.as_str(), master[0].key_sha256.as_str()),
        ("", "")
    );
    let (failed, _) = read(&row("").replace(r#""team-1""#, "null"));
    assert_eq!(failed[0].tenant, "imported");
}

proptest! {
    #[test]
    fn the_sum_is_that_of_the_digits(digits in proptest::collection::vec((0..1_000_000_000_u64, 0..18_u32), 1..40)) {
        let row = |(at, (digits, power)): (usize, &(u64, u32))| json_row(&format!("r{at}"), &format!("{digits}e-{power}")).replace('\n', " ");
        let rows: Vec<_> = digits.iter().enumerate().map(row).collect();
        let (_, survey) = read(&rows.join("\n"));
        let wanted: i128 = digits.iter().map(|(digits, power)| i128::from(*digits) * 10_i128.pow(27 - power)).sum();
        prop_assert_eq!(survey.file.spend.stored(), wanted);
        prop_assert_eq!(survey.file.rows, digits.len() as u64);
    }
}
