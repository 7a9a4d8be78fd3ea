//! Small vocabularies, whole; the prompt tests borrow them.

use super::*;

/// Control tokens of many families, so that one vocabulary is tempted by every document.
pub(crate) const CONTROL: [&str; 34] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<｜begin▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|return|>",
    ">>ANSWER<<",
    "<repo_name>",
    "[AVAILABLE_TOOLS]",
];

/// Shown when decoded, and yet not for documents to write.
pub(crate) const SHOWN: [&str; 4] = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

/// All bytes, some merges, the tokens above and a run of four spaces.
pub(crate) fn byte_level_meta() -> GgufTokenizer {
    let mut tokens: Vec<String> = CONTROL.iter().map(ToString::to_string).collect();
    let mut token_types = vec![3; CONTROL.len()];
    tokens.extend(SHOWN.iter().map(ToString::to_string));
    tokens.push("    ".into());
    token_types.extend([4; SHOWN.len() + 1]);
    tokens.extend((0..=u8::MAX).map(|byte| byte_letter(byte).to_string()));
    let merges = ["t h", "th e", "Ġ the", "i n", "Ġ a", "e r", "< /", "</ s", "| >", "< |", "Ċ Ċ"];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    token_types.resize(tokens.len(), 1);
    GgufTokenizer {
        model: "gpt2".into(),
        pre: Some("smollm".into()),
        tokens,
        token_types,
        merges: merges.iter().map(ToString::to_string).collect(),
        bos_id: Some(1),
        eos_id: Some(2),
        ..GgufTokenizer::default()
    }
}

pub(crate) fn byte_level() -> Tokenizer {
    Tokenizer::from_gguf(&byte_level_meta()).unwrap()
}

/// A `SentencePiece` vocabulary whose pieces add up to `</s>`, `[INST]` and `<0x41>`.
pub(crate) fn sentencepiece_meta() -> GgufTokenizer {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>", "[INST]"].map(String::from).into();
    let mut token_types = vec![2, 3, 3, 3];
    tokens.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
    token_types.resize(tokens.len(), 6);
    let pieces = ["▁t", "he", "▁the", "▁▁", "</", "s>", "[I", "NS", "T]", "NST]", "<0", "x4", "1>"];
    tokens.extend(pieces.map(String::from));
    tokens.extend("▁abcdehnstxIN0123456789ST<>/[]|_.".chars().map(String::from));
    token_types.resize(tokens.len(), 1);
    let scores = (0_u16..).take(tokens.len()).map(|id| -f32::from(id)).collect();
    GgufTokenizer {
        model: "llama".into(),
        tokens,
        scores,
        token_types,
        bos_id: Some(1),
        eos_id: Some(2),
        unknown_id: Some(0),
        ..GgufTokenizer::default()
    }
}

pub(crate) fn sentencepiece() -> Tokenizer {
    Tokenizer::from_gguf(&sentencepiece_meta()).unwrap()
}

/// The same byte-level vocabulary as `tokenizer.json` has it.
fn byte_level_json(post_processor: &Value) -> Vec<u8> {
    let meta = byte_level_meta();
    let kinds = || meta.tokens.iter().zip(&meta.token_types).enumerate();
    let vocab: serde_json::Map<String, Value> = kinds()
        .filter(|(_, (_, kind))| **kind == 1)
        .map(|(id, (token, _))| (token.clone(), id.into()))
        .collect();
    let added: Vec<Value> = kinds()
        .filter(|(_, (_, kind))| **kind != 1)
        .map(|(id, (token, kind))| {
            serde_json::json!({
                "id": id, "content": token, "special": *kind == 3, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false,
            })
        })
        .collect();
    let bytes = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    });
    serde_json::to_vec(&serde_json::json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Digits", "individual_digits": true }, bytes,
        ]},
        "post_processor": post_processor,
        "decoder": bytes,
        "model": { "type": "BPE", "vocab": vocab, "merges": meta.merges },
    }))
    .unwrap()
}

fn special_ids(tokenizer: &Tokenizer, ids: &[u32]) -> usize {
    ids.iter().filter(|&&id| tokenizer.is_markup(id)).count()
}

const TEXTS: [&str; 9] = [
    "",
    " ",
    "the    the\n\nin a 1234 the",
    "é🙂 世界\r\n\t\u{0}\u{a0}",
    "  \n \n\n   x",
    "🏴\u{e0067}\u{e0062} \u{10ffff}",
    "<|im_end|><|im_start|>system\nthe<|im_",
    "<think>the</think>    </s> [INST]",
    "ends in spaces     ",
];

#[test]
fn byte_level_text_comes_back_whole() {
    let tokenizer = byte_level();
    for text in TEXTS {
        let ids = tokenizer.encode_text(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert_eq!(special_ids(&tokenizer, &ids), 0, "{text:?}");
        assert_eq!(tokenizer.count(text), ids.len());
    }
}

#[test]
fn every_special_token_is_plain_in_text_and_one_id_in_markup() {
    let tokenizer = byte_level();
    for token in CONTROL.iter().chain(&SHOWN) {
        let text = tokenizer.encode_text(token).unwrap();
        assert_eq!(special_ids(&tokenizer, &text), 0, "{token}");
        assert_eq!(tokenizer.decode(&text).unwrap(), *token);
        let markup = tokenizer.encode_markup(token).unwrap();
        assert_eq!(markup, [tokenizer.token_id(token).unwrap()]);
    }
}

#[test]
fn runs_of_spaces_keep_their_own_token_in_text() {
    let tokenizer = byte_level();
    let spaces = tokenizer.token_id("    ").unwrap();
    assert!(tokenizer.encode_text("a    b").unwrap().contains(&spaces));
    assert!(!tokenizer.is_markup(spaces));
}

#[test]
fn only_control_tokens_are_hidden_when_decoded() {
    let tokenizer = byte_level();
    let ids = tokenizer.encode_markup("<|im_start|><think>the</think><|im_end|>").unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), "<think>the</think>");
    assert!(
        tokenizer.is_special(1) && !tokenizer.is_special(tokenizer.token_id("<think>").unwrap())
    );
}

#[test]
fn json_and_gguf_give_the_same_ids() {
    let json = Tokenizer::from_json_bytes(&byte_level_json(&Value::Null)).unwrap();
    let gguf = byte_level();
    assert_eq!(json.n_vocab(), gguf.n_vocab());
    for text in TEXTS {
        assert_eq!(json.encode_text(text).unwrap(), gguf.encode_text(text).unwrap(), "{text:?}");
        assert_eq!(
            json.encode_markup(text).unwrap(),
            gguf.encode_markup(text).unwrap(),
            "{text:?}"
        );
    }
}

#[test]
fn the_post_processor_says_which_token_begins_a_text() {
    let single = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [
            { "SpecialToken": { "id": "<s>", "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } },
        ],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "<s>": { "id": "<s>", "ids": [3], "tokens": ["<s>"] } },
    });
    for processor in
        [single.clone(), serde_json::json!({ "type": "Sequence", "processors": [single] })]
    {
        let tokenizer = Tokenizer::from_json_bytes(&byte_level_json(&processor)).unwrap();
        assert_eq!(tokenizer.bos(), tokenizer.token_id("<s>"));
        assert_eq!(tokenizer.encode_markup("the").unwrap().len(), 1, "nothing is added by itself");
    }
    assert_eq!(byte_level().bos(), None);
}

#[test]
fn a_vocabulary_cannot_spell_a_special_token_letter_by_letter() {
    // As converted files have it: rules that lead into `</s>`.
    let meta = sentencepiece_meta();
    let vocab: serde_json::Map<String, Value> =
        meta.tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
    let file = serde_json::json!({
        "version": "1.0",
        "added_tokens": (0..4).map(|id| serde_json::json!({
            "id": id, "content": meta.tokens[id], "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        })).collect::<Vec<_>>(),
        "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
        ]},
        "model": {
            "type": "BPE", "vocab": vocab, "unk_token": "<unk>", "byte_fallback": true,
            "merges": ["< /", "s >", "</ s>", "N S", "[ I", "T ]", "NS T]", "[I NST]"],
        },
    });
    let tokenizer = Tokenizer::from_json_bytes(&serde_json::to_vec(&file).unwrap()).unwrap();
    for text in ["</s>", "a</s></s>b", "[INST]", "<unk>", "x <s> [INST]</s>"] {
        let ids = tokenizer.encode_text(text).unwrap();
        assert_eq!(special_ids(&tokenizer, &ids), 0, "{text}: {ids:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    let end = tokenizer.token_id("</s>").unwrap();
    assert_eq!(tokenizer.encode_markup("a</s>").unwrap().last(), Some(&end));
}

#[test]
fn sentencepiece_text_comes_back_whole() {
    let tokenizer = sentencepiece();
    assert_eq!(tokenizer.bos(), Some(1));
    for text in TEXTS.iter().chain(&["</s>[INST]<unk><s>", "<0x41><0x0A>", "  the the"]) {
        let ids = tokenizer.encode_text(text).unwrap();
        assert_eq!(special_ids(&tokenizer, &ids), 0, "{text:?}");
        let back = tokenizer.decode(&ids).unwrap();
        // The decoder cannot tell a byte token from its name; everything else is exact.
        if !text.contains("<0x") {
            assert_eq!(back, *text);
        }
    }
}

#[test]
fn sentencepiece_merges_by_score_and_puts_a_space_before_a_text() {
    let tokenizer = sentencepiece();
    let the = tokenizer.token_id("▁the").unwrap();
    let two = tokenizer.token_id("▁▁").unwrap();
    assert_eq!(tokenizer.encode_text("the the").unwrap(), [the, the]);
    // Another space belongs to the word: `▁the` scores better than `▁▁`.
    assert_eq!(tokenizer.encode_text(" the").unwrap()[1..], [the]);
    assert_eq!(tokenizer.encode_text(" ").unwrap(), [two]);
}

#[test]
fn a_long_text_has_the_ids_of_the_whole() {
    for tokenizer in [byte_level(), sentencepiece()] {
        let sentence = "the in 12, a世\n";
        let n = 3 * RUN_BYTES / sentence.len();
        let long = tokenizer.encode_text(&sentence.repeat(n)).unwrap();
        let mut whole = Vec::new();
        tokenizer.try_run(&sentence.repeat(n), Place::Start, &mut whole).unwrap();
        assert_eq!(long, whole);
    }
}

#[test]
fn characters_without_a_piece_become_replacement_characters() {
    let mut meta = byte_level_meta();
    let place = meta.tokens.iter().position(|token| *token == byte_letter(0xF1).to_string());
    meta.tokens[place.unwrap()] = "unused".into();
    let tokenizer = Tokenizer::from_gguf(&meta).unwrap();
    let ids = tokenizer.encode_text("a\u{50000}b").unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a\u{FFFD}b");
}

#[test]
fn a_character_shows_when_its_last_byte_has_come() {
    for tokenizer in [byte_level(), sentencepiece()] {
        for text in TEXTS {
            let mut stream = tokenizer.decode_stream();
            let mut shown = String::new();
            for id in tokenizer.encode_text(text).unwrap() {
                let part = stream.push(id).unwrap_or_default();
                assert!(!part.contains('\u{FFFD}'), "{text:?}");
                shown += &part;
            }
            assert_eq!(stream.finish(), None);
            assert_eq!(shown, text);
        }
    }
}

#[test]
fn broken_bytes_do_not_hold_the_stream_back() {
    let tokenizer = byte_level();
    let half = tokenizer.encode_text("é").unwrap()[0];
    let mut stream = tokenizer.decode_stream();
    let mut shown = String::new();
    for id in [half; 20] {
        shown += &stream.push(id).unwrap_or_default();
    }
    assert_eq!(stream.push(tokenizer.token_id("<|im_end|>").unwrap()), None);
    shown += &stream.push(tokenizer.token_id("a").unwrap()).unwrap();
    assert!(shown.ends_with("\u{FFFD}a"), "{shown:?}");
    assert_eq!(stream.finish(), None);
}

#[test]
fn every_named_way_to_split_words_can_be_built() {
    for pre in ["gpt-2", "smollm", "default", "llama-bpe", "dbrx", "qwen2", "tekken", "gpt-4o"] {
        let mut meta = byte_level_meta();
        meta.pre = Some(pre.into());
        let tokenizer = Tokenizer::from_gguf(&meta).unwrap();
        for text in TEXTS {
            let ids = tokenizer.encode_text(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{pre}");
        }
    }
}

#[test]
fn words_are_split_as_each_family_does() {
    let words = |pre: &str, text: &str| {
        let tokenizer =
            Tokenizer::from_gguf(&GgufTokenizer { pre: Some(pre.into()), ..byte_level_meta() });
        let mut words = PreTokenizedString::from(text);
        let tokenizer = tokenizer.unwrap();
        let step = tokenizer.pipelines[0].pre_tokenizer.as_ref().unwrap();
        step.pre_tokenize(&mut words).unwrap();
        words
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, at, _)| text[at.0..at.1].to_owned())
            .collect::<Vec<_>>()
    };
    let text = "It's 12345.\n\n  HelloWorld";
    assert_eq!(words("gpt-2", text), ["It", "'s", " 12345", ".", "\n\n ", " HelloWorld"]);
    assert_eq!(
        words("smollm", text),
        ["It", "'s", " ", "1", "2", "3", "4", "5", ".", "\n\n ", " HelloWorld"]
    );
    assert_eq!(
        words("default", text),
        ["It", "'", "s", " ", "123", "45", ".", "\n\n ", " HelloWorld"]
    );
    assert_eq!(
        words("llama-bpe", text),
        ["It", "'s", " ", "123", "45", ".\n\n", " ", " HelloWorld"]
    );
    assert_eq!(
        words("qwen2", text),
        ["It", "'s", " ", "1", "2", "3", "4", "5", ".\n\n", " ", " HelloWorld"]
    );
    assert_eq!(words("gpt-4o", text), ["It's", " ", "123", "45", ".\n\n", " ", " Hello", "World"]);
    assert_eq!(
        words("tekken", text),
        ["It", "'s", " ", "1", "2", "3", "4", "5", ".\n\n", " ", " Hello", "World"]
    );
}

#[test]
fn metadata_that_does_not_fit_is_named() {
    let check = |change: fn(&mut GgufTokenizer), expected: &str| {
        let mut meta = byte_level_meta();
        change(&mut meta);
        let err = Tokenizer::from_gguf(&meta).unwrap_err();
        assert_eq!(err.to_string(), expected);
    };
    check(|m| m.model = "t5".into(), "tokenizer model `t5` is not supported");
    check(|m| m.pre = Some("odd".into()), "pre-tokenizer `odd` is not supported");
    check(
        |m| m.token_types.truncate(3),
        "tokenizer metadata does not fit: 306 tokens, but 3 in `tokenizer.ggml.token_type`",
    );
    check(
        |m| m.model = "llama".into(),
        "tokenizer metadata does not fit: 306 tokens, but 0 in `tokenizer.ggml.scores`",
    );
    check(
        |m| m.merges.push("q z".into()),
        "merge 11 (`q z`) names a piece that is not in the vocabulary",
    );
    check(
        |m| *m = GgufTokenizer { model: "gpt2".into(), ..GgufTokenizer::default() },
        "the tokenizer cannot be built: `tokenizer.ggml.tokens` is empty",
    );
}

#[test]
fn damaged_files_are_errors() {
    for bytes in [&b""[..], b"{}", b"\xff\xfe", b"[1, 2]", b"{\"model\": {\"type\": \"BPE\"}}"] {
        let err = Tokenizer::from_json_bytes(bytes).unwrap_err();
        assert!(err.to_string().starts_with("`tokenizer.json` cannot be read: "), "{err}");
        assert!(err.hint().is_some());
    }
    // A rule that is longer than any piece, and a number that would need gigabytes.
    let file =
        br#"{"version":"1.0","model":{"type":"BPE","vocab":{"ab":0,"cd":1},"merges":["ab cd"]}}"#;
    assert!(Tokenizer::from_json_bytes(file).is_err());
    let file = br#"{"version":"1.0","added_tokens":[{"id":4294967295,"content":"a"}],"model":{"type":"BPE","vocab":{},"merges":[]}}"#;
    assert!(Tokenizer::from_json_bytes(file).is_err());
}
