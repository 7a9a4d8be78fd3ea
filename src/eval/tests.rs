use std::fs;

use super::*;

fn sample(document: &str, references: &[&str]) -> Sample {
    Sample {
        document: document.to_owned(),
        references: references.iter().map(|&r| r.to_owned()).collect(),
    }
}

fn made(text: &str) -> Made {
    Made { text: text.to_owned(), coverage: 0.5, supported: 1.0, exact: 1.0 }
}

fn set(samples: Vec<Sample>) -> Set {
    Set { name: "harbour".to_owned(), samples }
}

#[test]
fn a_summary_is_asked_for_in_the_length_of_each_reference_and_cut_to_it() {
    let set = set(vec![sample("a b c d e f", &["a b", "c  d\ne f"])]);
    let mut asked = Vec::new();
    let (scores, failed) = evaluate(
        &set,
        &mut |document, n_words| {
            asked.push((document.to_owned(), n_words.to_vec()));
            Ok::<_, ()>(vec![made("a b surplus"), made("c d e f surplus")])
        },
        &mut |_| {},
    );
    assert_eq!(asked, [("a b c d e f".to_owned(), vec![2, 4])]);
    assert!(failed.is_empty());
    assert_eq!(scores.unwrap().longsum, Scores { rouge1: 100.0, rouge2: 100.0, rouge_l: 100.0 });
}

#[test]
fn the_best_reference_counts_for_each_metric() {
    let set = set(vec![sample("x", &["a b c d", "d c b a"])]);
    // Against the first: two words in order, one pair. Against the second: four words, no pair.
    let (scores, _) = evaluate(
        &set,
        &mut |_, _| Ok::<_, ()>(vec![made("a b x y"), made("a b c d")]),
        &mut |_| {},
    );
    let Scores { rouge1, rouge2, rouge_l } = scores.unwrap().longsum;
    assert_eq!((rouge1, rouge_l), (100.0, 50.0));
    assert!((rouge2 - 100.0 / 3.0).abs() < 1e-9, "{rouge2}");
}

#[test]
fn a_failed_document_is_named_and_the_others_count() {
    let set = set(vec![sample("good", &["w"]), sample("bad", &["w"]), sample("good", &["v"])]);
    let mut n_done = 0;
    let mut summarize = |document: &str, _: &[usize]| match document {
        "bad" => Err("too bad"),
        _ => Ok(vec![made("w")]),
    };
    let (scores, failed) = evaluate(&set, &mut summarize, &mut |n| n_done = n);
    let scores = scores.unwrap();
    assert_eq!((scores.n, scores.longsum.rouge1), (2, 50.0));
    assert_eq!(scores.trust, Trust { coverage: 50.0, supported: 100.0, exact: 100.0 });
    assert_eq!(failed, [(1, "too bad")]);
    assert_eq!(n_done, 3);
    let all_bad = Set { name: String::new(), samples: vec![set.samples[1].clone()] };
    assert_eq!(evaluate(&all_bad, &mut summarize, &mut |_| {}).0, None);
}

fn evaluation() -> Evaluation {
    let scores = |name: &str, n, rouge1| SetScores {
        name: name.to_owned(),
        n,
        longsum: Scores { rouge1, rouge2: 8.25, rouge_l: 20.0 },
        trust: Trust { coverage: rouge1, supported: 90.0, exact: 100.0 },
    };
    Evaluation::new(vec![scores("harbour", 12, 60.0), scores("lights", 3, 40.0)])
}

#[test]
fn every_set_counts_alike_in_the_average() {
    let json = serde_json::to_value(evaluation()).unwrap();
    let trust = |coverage: f64| serde_json::json!({"coverage": coverage, "supported": 90.0, "exact": 100.0});
    assert_eq!(
        json,
        serde_json::json!({
            "sets": [
                {"name": "harbour", "n": 12, "trust": trust(60.0),
                    "longsum": {"rouge1": 60.0, "rouge2": 8.25, "rougeL": 20.0}},
                {"name": "lights", "n": 3, "trust": trust(40.0),
                    "longsum": {"rouge1": 40.0, "rouge2": 8.25, "rougeL": 20.0}},
            ],
            "average": {"trust": trust(50.0),
                "longsum": {"rouge1": 50.0, "rouge2": 8.25, "rougeL": 20.0}},
        })
    );
}

#[test]
fn a_table_is_aligned() {
    assert_eq!(
        evaluation().table(),
        "\
set          n  ROUGE-1  ROUGE-2  ROUGE-L  coverage  supported  exact
harbour     12     60.0      8.2     20.0       60%        90%   100%
lights       3     40.0      8.2     20.0       40%        90%   100%
average     15     50.0      8.2     20.0       50%        90%   100%
"
    );
}

#[test]
fn sets_are_found_by_their_extension_and_read_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let lines = "{\"document\": \"a b\", \"summary\": \"a\", \"id\": 7}\n\n\
        {\"document\": \"c\", \"summary\": \"no\", \"references\": [\"c\", \"d\"]}\r\n";
    fs::write(path("b.jsonl"), lines).unwrap();
    fs::write(path("a.jsonl.zst"), PACKED).unwrap();
    fs::write(path("b.jsonl.zst"), "the plain file is taken").unwrap();
    fs::write(path("notes.txt"), "no set").unwrap();
    let files = set::files(dir.path()).unwrap();
    assert_eq!(files, [path("a.jsonl.zst"), path("b.jsonl")]);

    let expected = [sample("a b", &["a"]), sample("c", &["c", "d"])];
    let b = Set::read(&files[1], None).unwrap();
    assert_eq!((b.name.as_str(), &b.samples[..]), ("b", &expected[..]));
    assert_eq!(Set::read(&files[1], Some(1)).unwrap().samples, expected[..1]);
    let a = Set::read(&files[0], None).unwrap();
    assert_eq!((a.name.as_str(), &a.samples[..]), ("a", &expected[..]));
}

/// The two lines above, each a frame of its own, from Zstandard 1.5.7 with checksums.
#[rustfmt::skip]
const PACKED: &[u8] = b"\
    (\xb5/\xfd$.q\x01\x00{\"document\": \"a b\", \"summary\": \"a\", \"id\": 7}\n\n\xd7I\x1df\
    (\xb5/\xfd$>\xd5\x01\x00\x82C\x0c\x12\xa0\xbb\x01l\x94\xf1w\xec\xb5\xcf\xfa\xd7\xd7\"\xfb\x0e<\x0f <r30\xafV{\xd3\x9eMGq\xd4\xc7|K\x85\x99\xa9\xa3\xb8\x1e\xf3\xab\x97\x99\"s\
    \x17\x01\x00\x82\x06\x05\x05\xa4\xfc\xe1\xdd";

#[test]
fn a_bad_line_is_named_with_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.jsonl");
    let good = r#"{"document": "a", "summary": "a"}"#;
    for (line, words) in [
        ("{", "EOF while parsing an object at byte 1"),
        (r#"{"summary": "a"}"#, "missing field `document`"),
        (r#"{"document": "a"}"#, "neither `summary` nor `references`"),
        (r#"{"document": "a", "references": []}"#, "`references` is empty"),
        (r#"{"document": "a", "references": ["a", " "]}"#, "without a word"),
        (r#"{"document": " ", "summary": "a"}"#, "`document` is empty"),
        (r#"{"document": 5, "summary": "a"}"#, "invalid type: integer `5`"),
    ] {
        fs::write(&path, format!("{good}\n{line}\n{good}\n")).unwrap();
        let error = Set::read(&path, None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("bad.jsonl`, line 2: ") && text.contains(words), "{text}");
        assert!(!error.is_usage() && error.hint().is_some());
        assert_eq!(Set::read(&path, Some(1)).unwrap().samples.len(), 1);
    }
}

#[test]
fn files_and_folders_that_hold_no_set_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for error in
        [set::files(dir.path()).unwrap_err(), set::files(&dir.path().join("missing")).unwrap_err()]
    {
        assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
        assert!(error.is_usage() && error.hint().unwrap().contains(".jsonl.zst"));
    }
    let mut damaged = PACKED.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    for (bytes, words) in [
        (&b"\n"[..], "no documents"),
        (b"no frame", "cannot read"),
        (&PACKED[..PACKED.len() - 9], "cannot read"),
        (&damaged, "damaged"),
    ] {
        let name = if bytes == b"\n" { "x.jsonl" } else { "x.jsonl.zst" };
        fs::write(dir.path().join(name), bytes).unwrap();
        let text = Set::read(&dir.path().join(name), None).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(words), "{text}");
    }
}
