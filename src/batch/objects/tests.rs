use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

#[test]
fn a_location_is_a_path_or_an_object() {
    let file = |path: &str| Location::File(path.into());
    assert_eq!(Location::of("a/b.pdf".as_ref()), file("a/b.pdf"));
    assert_eq!(Location::of("file:///a%20b/c.pdf".as_ref()), file("/a b/c.pdf"));
    assert_eq!(Location::of("file://localhost/c/".as_ref()), file("/c/"));
    assert_eq!(Location::of("ftp://a/b".as_ref()), file("ftp://a/b"));
    for text in ["s3://bucket/a b%20/c.pdf", "gs://b/", "az://c/d/"] {
        let Location::Object(uri) = Location::of(text.as_ref()) else { panic!("{text}") };
        assert_eq!(uri.to_string(), text);
    }
    assert_eq!(uri("s3://bucket"), uri("s3://bucket/"));
}

#[test]
fn a_uri_is_joined_and_split() {
    let joined = uri("s3://b/reports").join(Path::new("in/a.pdf.json"));
    assert_eq!(joined, uri("s3://b/reports/in/a.pdf.json"));
    assert_eq!(uri("s3://b").join(Path::new("run.json")), uri("s3://b/run.json"));
    assert_eq!(joined.split(), (uri("s3://b/reports/in/"), "a.pdf.json"));
    assert_eq!(uri("s3://b/a.pdf").split(), (uri("s3://b/"), "a.pdf"));
    assert!(uri("s3://b").is_prefix() && uri("s3://b/a/").is_prefix());
    assert!(!uri("s3://b/a").is_prefix());
}

#[cfg(not(feature = "object-store"))]
#[test]
fn without_the_feature_a_uri_says_what_is_missing() {
    let search = Search { paths: vec!["s3://b/a.pdf".into()], ..Search::default() };
    let error = search.find(&|_| Ok(Vec::new())).unwrap_err();
    assert!(error.is_usage() && !error.is_passing());
    assert!(error.to_string().contains("`object-store`"), "{error}");
    assert!(error.hint().unwrap().contains("--features object-store"));
    let output = crate::batch::Output::new(Some("s3://b/r/".as_ref()), &[], &[], "json");
    assert!(output.unwrap_err().is_usage());
}

#[cfg(feature = "object-store")]
mod stores {
    use super::*;
    use crate::batch::{Isolate, Limits, Output, Store};

    fn bucket(keys: &[&str]) -> Bucket {
        let bucket = Bucket::in_memory();
        keys.iter().for_each(|key| bucket.put(key, key.as_bytes()).unwrap());
        bucket
    }

    fn found(search: &Search, bucket: &Bucket, at: &str) -> Result<Found, InputError> {
        let mut found = Found::default();
        search.list(bucket, &uri(at), &mut found).map(|()| found)
    }

    fn names(found: &Found) -> Vec<String> {
        found.inputs.iter().map(Input::name).collect()
    }

    #[test]
    fn a_prefix_is_searched_as_a_folder_is() {
        let bucket = bucket(&[
            "x/b.txt",
            "x/a.pdf",
            "x/a/z.md",
            "x/.git/c.txt",
            "x/.d.txt",
            "x/e.png",
            "x/drafts/f.txt",
            "x/out/g.md",
            "xy/h.txt",
            "x/a.pdf.json",
        ]);
        let search = Search {
            globs: vec!["!drafts".into()],
            skip: Some("s3://b/x/out".into()),
            ..Search::default()
        };
        for at in ["s3://b/x/", "s3://b/x"] {
            let found = found(&search, &bucket, at).unwrap();
            assert_eq!(names(&found), ["a/z.md", "a.pdf", "b.txt"]);
            let passed_over = [(".json".to_owned(), 1), (".png".to_owned(), 1)];
            assert_eq!(found.passed_over, passed_over.into());
            let Input::Object { uri: at, n_bytes, version, .. } = &found.inputs[1] else {
                panic!()
            };
            assert_eq!((at, *n_bytes), (&uri("s3://b/x/a.pdf"), 7));
            assert!(version.is_some());
        }
        let only = Search { globs: vec!["*.txt".into()], ..Search::default() };
        let found_only = found(&only, &bucket, "s3://b").unwrap();
        assert_eq!(names(&found_only), ["x/b.txt", "x/drafts/f.txt", "xy/h.txt"]);
    }

    #[test]
    fn one_object_is_one_document_and_nothing_is_an_error() {
        let bucket = bucket(&["x/b.txt", "x/c.png"]);
        let all = Search::default();
        assert_eq!(names(&found(&all, &bucket, "s3://b/x/b.txt").unwrap()), ["b.txt"]);
        let error = found(&all, &bucket, "s3://b/x/no.txt").unwrap_err();
        assert!(matches!(&error, InputError::Path { .. }) && error.is_usage());
        let error = found(&all, &bucket, "s3://b/no/").unwrap_err();
        assert_eq!(error.to_string(), "`s3://b/no/` has no documents");
    }

    #[test]
    fn reports_are_objects_and_an_object_is_the_same_by_its_version() {
        let bucket = bucket(&["in/a.txt"]);
        let store = Store::Objects(bucket.clone(), uri("s3://b/r/"), None);
        store.check().unwrap();
        let output = Output::Folder("json", store);
        let found = found(&Search::default(), &bucket, "s3://b/in/").unwrap();
        let input = &found.inputs[0];
        assert_eq!(output.read(input), None);
        output.write(input, b"{}").unwrap();
        output.write_to("run.json".as_ref(), b"[]").unwrap();
        assert_eq!(output.read(input).as_deref(), Some(&b"{}"[..]));
        let keys: Vec<String> = bucket.list("").unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(keys, ["in/a.txt", "r/a.txt.json", "r/run.json"]);
        assert_eq!(output.journals(input).folder("key"), None);

        let Input::Object { version, .. } = input else { panic!() };
        let facts = |uri: &str, version: &Option<String>| crate::report::SourceFacts {
            uri: uri.to_owned(),
            sha256: String::new(),
            version: version.clone(),
            pages_are: String::new(),
            n_pages: 1,
            coverage: crate::report::Coverage::default(),
        };
        let isolate =
            Isolate { program: PathBuf::new(), args: Vec::new(), limits: Limits::default() };
        let is_still = |facts| isolate.is_still(input, &facts);
        assert!(is_still(facts("s3://b/in/a.txt", version)));
        assert!(!is_still(facts("s3://c/in/a.txt", version)));
        assert!(!is_still(facts("s3://b/in/a.txt", &None)));
        assert_eq!(bucket.get("in/a.txt").unwrap().version, *version);
    }
}
