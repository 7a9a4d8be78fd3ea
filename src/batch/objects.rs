//! Object stores: documents and reports by `s3://`, `gs://` and `az://`.
//!
//! A store is one more place that files come from and go to, and what goes wrong with it is an
//! `io::Error` like that of a disk: what may go better next time has a kind that says so. A put is
//! whole or nothing. Async stays in [`Bucket`], which waits for one request at a time.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::input::{Found, Input, InputError, MOST_NAME_BYTES, Search, safe};
use crate::document::{self, Document, Reading};

pub use remote::Bucket;

/// Where something named on the command line lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file or folder, by its path or as `file://`.
    File(PathBuf),
    /// An object or a prefix.
    Object(Uri),
}

impl Location {
    /// What a path or URI means.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let text = path.to_str().unwrap_or_default();
        if let Some(uri) = Uri::parse(text) {
            return Self::Object(uri);
        }
        let local =
            text.strip_prefix("file://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let decoded = local.map(|local| percent_decode_str(local).decode_utf8_lossy().into_owned());
        Self::File(decoded.map_or_else(|| path.to_owned(), PathBuf::from))
    }

    /// Whether it is there as a folder, or ends like one.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        match self {
            Self::File(path) => {
                path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
            }
            Self::Object(uri) => uri.is_prefix(),
        }
    }

    /// Whether both are one file or object.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => {
                a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
            }
            _ => self == other,
        }
    }
}

/// Name of an object or of a prefix, such as `s3://bucket/archive/a.pdf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    scheme: &'static str,
    bucket: String,
    /// As the store knows it: nothing in it is encoded.
    key: String,
}

/// Each scheme, and where its credentials come from.
const SCHEMES: [(&str, &str); 3] = [
    (
        "s3",
        "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; AWS_ENDPOINT_URL for another server than Amazon's, and AWS_ALLOW_HTTP=true if it has no TLS",
    ),
    ("gs", "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"),
    ("az", "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
];

impl Uri {
    /// A URI of a scheme that is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, _) = SCHEMES.iter().find(|(known, _)| *known == scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The name in the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it says by its end that many objects are meant.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The same, as the prefix of what lies below.
    #[must_use]
    pub fn folder(&self) -> Self {
        let slash = if self.is_prefix() { "" } else { "/" };
        Self { key: format!("{}{slash}", self.key), ..self.clone() }
    }

    /// Something below this prefix.
    #[must_use]
    pub fn join(&self, name: &Path) -> Self {
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        Self { key: format!("{}{}", self.folder().key, parts.join("/")), ..self.clone() }
    }

    /// The prefix that it is right below, and its name there.
    #[must_use]
    pub fn split(&self) -> (Self, &str) {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let key = self.key[..self.key.len() - name.len()].to_owned();
        (Self { key, ..self.clone() }, name)
    }

    /// As a path, for what takes either.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        self.to_string().into()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.bucket, self.key)
    }
}

/// An object as a list of objects tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the bucket.
    pub key: String,
    /// Its size.
    pub n_bytes: u64,
    /// What changes whenever its bytes do.
    pub version: Option<String>,
}

impl Listed {
    /// Whether it stands for a folder, as some programs and some stores have them.
    fn is_folder(&self) -> bool {
        self.n_bytes == 0 && Path::new(&self.key).extension().is_none()
    }
}

/// An object that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The version that these are the bytes of.
    pub version: Option<String>,
}

impl Search {
    /// The object of this name, or the documents below the prefix.
    pub(super) fn list(
        &self,
        bucket: &Bucket,
        uri: &Uri,
        found: &mut Found,
    ) -> Result<(), InputError> {
        let failed = |source| InputError::Path { path: uri.to_path(), source };
        let input = |object: Listed, relative: PathBuf| Input::Object {
            uri: Uri { key: object.key, ..uri.clone() },
            relative,
            n_bytes: object.n_bytes,
            version: object.version,
        };
        let mut missing = None;
        if !uri.is_prefix() {
            match bucket.head(&uri.key) {
                Ok(object) if object.is_folder() => {}
                Ok(object) => {
                    found.inputs.push(input(object, relative(uri.split().1)));
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => missing = Some(e),
                Err(e) => return Err(failed(e)),
            }
        }
        let folder = uri.folder();
        let skip = self.skip.as_deref().map(Location::of).and_then(|location| match location {
            Location::Object(skip) => Some(skip.folder()).filter(|skip| *skip != folder),
            Location::File(_) => None,
        });
        let is_skipped = |key: &str| {
            skip.as_ref().is_some_and(|skip| {
                skip.scheme == uri.scheme && skip.bucket == uri.bucket && key.starts_with(&skip.key)
            })
        };
        let overrides = self.overrides(Path::new(""))?;
        let n_before = found.inputs.len();
        for object in bucket.list(&folder.key).map_err(failed)? {
            missing = None;
            let Some(below) = object.key.strip_prefix(&folder.key) else { continue };
            let path = Path::new(below);
            let is_hidden = below.split('/').any(|part| part.starts_with('.'));
            let in_ignored = path.ancestors().skip(1).any(|folder| {
                folder != Path::new("") && overrides.matched(folder, true).is_ignore()
            });
            if object.is_folder()
                || is_hidden
                || in_ignored
                || overrides.matched(path, false).is_ignore()
                || is_skipped(&object.key)
            {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if document::is_named_as_document(&name) {
                let relative = relative(below);
                found.inputs.push(input(object, relative));
            } else {
                found.pass_over(&name);
            }
        }
        if let Some(e) = missing {
            return Err(failed(e));
        }
        let by_name = |a: &Input, b: &Input| a.relative().cmp(b.relative());
        found.inputs[n_before..].sort_by(by_name);
        if found.inputs.len() == n_before {
            return Err(InputError::NoDocuments { path: uri.to_path() });
        }
        Ok(())
    }
}

/// A path below any folder, for an object of this name.
pub(super) fn relative(name: &str) -> PathBuf {
    let path = Path::new(name);
    let is_safe = path
        .components()
        .all(|part| matches!(part, Component::Normal(name) if name.len() <= MOST_NAME_BYTES));
    if is_safe { path.to_owned() } else { safe(name) }
}

/// Fetches a document and reads it.
pub(super) fn read(uri: &Uri, reading: &Reading) -> Result<Document, InputError> {
    let fetched = Bucket::open(uri).and_then(|bucket| bucket.get(&uri.key));
    let Fetched { bytes, version } =
        fetched.map_err(|source| InputError::Path { path: uri.to_path(), source })?;
    let extension = Path::new(&uri.key).extension().map(|e| e.to_string_lossy().to_lowercase());
    let mut document = reading.bytes(&uri.to_string(), bytes, extension.as_deref())?;
    document.source.version = version;
    Ok(document)
}

/// The way out of what befell an object.
pub(super) fn hint(path: &Path, error: &io::Error) -> Option<String> {
    let Location::Object(uri) = Location::of(path) else { return None };
    match error.kind() {
        io::ErrorKind::Unsupported => {
            Some("install it with them: cargo install --path . --features object-store".to_owned())
        }
        io::ErrorKind::PermissionDenied => SCHEMES
            .iter()
            .find(|(scheme, _)| *scheme == uri.scheme)
            .map(|(_, out)| (*out).to_owned()),
        _ => None,
    }
}

/// A program that was built without stores.
#[cfg(not(feature = "object-store"))]
mod remote {
    use std::io;

    use super::{Fetched, Listed, Uri};

    /// A bucket, of which there is none: this program was built without the feature `object-store`.
    #[derive(Debug)]
    pub enum Bucket {}

    #[allow(missing_docs, clippy::missing_errors_doc, reason = "nobody can call them")]
    impl Bucket {
        pub fn open(_: &Uri) -> io::Result<Self> {
            let reason = "this longsum was built without the feature `object-store`";
            Err(io::Error::new(io::ErrorKind::Unsupported, reason))
        }

        pub fn head(&self, _: &str) -> io::Result<Listed> {
            match *self {}
        }

        pub fn list(&self, _: &str) -> io::Result<Vec<Listed>> {
            match *self {}
        }

        pub fn get(&self, _: &str) -> io::Result<Fetched> {
            match *self {}
        }

        pub fn put(&self, _: &str, _: &[u8]) -> io::Result<()> {
            match *self {}
        }

        pub fn check(&self, _: &str) -> io::Result<()> {
            match *self {}
        }
    }
}

#[cfg(feature = "object-store")]
mod remote {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use futures_util::TryStreamExt;
    use http_body_util::BodyExt;
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    };
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::path::Path;
    use object_store::{
        Attribute, Attributes, BackoffConfig, ClientConfigKey, ClientOptions, Error,
        MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, RetryConfig,
    };
    use ureq::http::{Method, Request, header};

    use super::{Fetched, Listed, Uri};

    /// How often a request is made again that failed for a passing reason, and for how long.
    const N_RETRIES: usize = 4;
    const RETRY_TIME: Duration = Duration::from_secs(60);
    /// A connection that says nothing for so long is dead.
    const SILENCE: Duration = Duration::from_secs(30);
    /// Where the machines of a cloud ask for credentials, where nobody gave any.
    const METADATA: [&str; 2] = ["169.254.", "metadata.google.internal"];
    /// The most that is told of an answer.
    const MOST_CHARS: usize = 300;

    /// A bucket or container.
    #[derive(Debug, Clone)]
    pub struct Bucket(Arc<dyn ObjectStore>);

    impl Bucket {
        /// The bucket of a URI; nothing is asked of it yet. Credentials come from the environment.
        ///
        /// # Errors
        /// If what the environment says is of no use.
        pub fn open(uri: &Uri) -> io::Result<Self> {
            let url = format!("{}://{}", uri.scheme, uri.bucket);
            let retry = RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(200),
                    max_backoff: Duration::from_secs(10),
                    base: 2.0,
                },
                max_retries: N_RETRIES,
                retry_timeout: RETRY_TIME,
            };
            macro_rules! open {
                ($builder:ty) => {
                    <$builder>::from_env()
                        .with_url(url)
                        .with_retry(retry)
                        .with_http_connector(Connector)
                        .build()
                        .map(|store| Self(Arc::new(store)))
                };
            }
            let opened = match uri.scheme {
                "gs" => open!(GoogleCloudStorageBuilder),
                "az" => open!(MicrosoftAzureBuilder),
                _ => open!(AmazonS3Builder),
            };
            opened.map_err(|e| io::Error::new(io::ErrorKind::PermissionDenied, last(&e)))
        }

        /// What is known of one object.
        ///
        /// # Errors
        /// `NotFound` if there is none; what the store or the network says.
        pub fn head(&self, key: &str) -> io::Result<Listed> {
            let path = path(key)?;
            wait(self.0.head(&path)).map(listed)
        }

        /// All objects below a prefix, which is empty or ends with `/`.
        ///
        /// # Errors
        /// What the store or the network says.
        pub fn list(&self, prefix: &str) -> io::Result<Vec<Listed>> {
            let path = path(prefix)?;
            let all = self.0.list(Some(&path)).map_ok(listed);
            wait(all.try_collect())
        }

        /// Fetches an object.
        ///
        /// # Errors
        /// `NotFound` if there is none; what the store or the network says.
        pub fn get(&self, key: &str) -> io::Result<Fetched> {
            let path = path(key)?;
            wait(async {
                let got = self.0.get(&path).await?;
                let version = version(&got.meta);
                Ok(Fetched { bytes: got.bytes().await?.into(), version })
            })
        }

        /// Writes an object, whole or not at all.
        ///
        /// # Errors
        /// What the store or the network says; the object is as it was.
        pub fn put(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
            let path = path(key)?;
            let kind = match path.extension() {
                Some("json") => "application/json",
                Some("md") => "text/markdown; charset=utf-8",
                _ => "text/plain; charset=utf-8",
            };
            let attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
            let options = PutOptions { attributes, ..PutOptions::default() };
            wait(self.0.put_opts(&path, bytes.to_vec().into(), options)).map(|_| ())
        }

        /// Fails where nothing can be written: begins an upload and gives it up, so that nobody sees
        /// an object come and go. Azure has nothing to begin, and tells at the first put.
        ///
        /// # Errors
        /// What the store or the network says.
        pub fn check(&self, key: &str) -> io::Result<()> {
            let path = path(key)?;
            wait(async {
                let mut upload = self.0.put_multipart(&path).await?;
                // The check is made; an upload without parts costs nothing.
                let _ = upload.abort().await;
                Ok(())
            })
        }
    }

    #[cfg(test)]
    impl Bucket {
        /// A bucket that is nowhere else.
        pub fn in_memory() -> Self {
            Self(Arc::new(object_store::memory::InMemory::new()))
        }
    }

    fn path(key: &str) -> io::Result<Path> {
        Path::parse(key).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
    }

    fn listed(meta: ObjectMeta) -> Listed {
        let version = version(&meta);
        Listed { key: meta.location.into(), n_bytes: meta.size, version }
    }

    fn version(meta: &ObjectMeta) -> Option<String> {
        // A list may have it without the quotation marks of a header.
        let tag = meta.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_owned());
        tag.or_else(|| meta.version.clone())
    }

    /// Waits for an answer, on this thread.
    fn wait<T>(answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(answer).map_err(|e| told(&e))
    }

    /// An error as a disk would have it.
    fn told(error: &Error) -> io::Error {
        let (whole, last) = (error.to_string(), last(error));
        if METADATA.iter().any(|host| whole.contains(host)) {
            let reason = "no credentials are set, and this machine has none of its own";
            return io::Error::new(io::ErrorKind::PermissionDenied, reason);
        }
        let is_passing = |error: &(dyn std::error::Error + 'static)| {
            use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
            let error = error.downcast_ref::<HttpError>();
            error.is_some_and(|e| matches!(e.kind(), Connect | Interrupted | Request | Timeout))
        };
        let is_refused = |error: &(dyn std::error::Error + 'static)| {
            let error = error.downcast_ref::<io::Error>();
            error.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
        };
        let chain = || std::iter::successors(error.source(), |&error| error.source());
        let kind = match error {
            _ if chain().any(is_passing) => io::ErrorKind::ConnectionAborted,
            _ if chain().any(is_refused) => io::ErrorKind::PermissionDenied,
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, last)
    }

    /// What is at the bottom of an error, in a few words.
    fn last(error: &Error) -> String {
        let chain = std::iter::successors(error.source(), |&error| error.source());
        let said = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
        let element = |name: &str| {
            let (_, rest) = said.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let words = match (element("Code"), element("Message")) {
            // Behind the first line are numbers of the request.
            (Some(code), Some(message)) => {
                format!("{code}: {}", message.lines().next().unwrap_or_default())
            }
            (Some(code), None) => code,
            _ => said,
        };
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        words.trim_end_matches(['.', ':']).chars().take(MOST_CHARS).collect()
    }

    /// Sends requests with the client that models are fetched with.
    #[derive(Debug)]
    struct Connector;

    impl HttpConnector for Connector {
        fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
            let option = |key| options.get_config_value(&key);
            let connect = option(ClientConfigKey::ConnectTimeout);
            let connect = connect.and_then(|time| humantime::parse_duration(&time).ok());
            let config = ureq::Agent::config_builder()
                .user_agent(concat!("longsum/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("")
                .https_only(option(ClientConfigKey::AllowHttp).as_deref() != Some("true"))
                .http_status_as_error(false)
                // A signed request is meant for one host.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(connect)
                .timeout_per_read(Some(SILENCE))
                .timeout_per_write(Some(SILENCE));
            Ok(HttpClient::new(Service(config.build().new_agent())))
        }
    }

    #[derive(Debug)]
    struct Service(ureq::Agent);

    #[async_trait]
    impl HttpService for Service {
        /// Nothing else runs on this thread, so it may wait.
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let has_body = !body.is_empty() || [Method::POST, Method::PUT].contains(&parts.method);
            let answer = if has_body {
                self.0.run(Request::from_parts(parts, &body[..]))
            } else {
                self.0.run(Request::from_parts(parts, ()))
            };
            let (mut parts, body) = answer.map_err(failed)?.into_parts();
            let bytes = body.into_with_config().limit(u64::MAX).read_to_vec().map_err(failed)?;
            // So that all that may go better next time looks alike, and all that is refused.
            let status = parts.status;
            let error = match status.as_u16() {
                408 | 429 | 500 | 502..=599 => {
                    Some((HttpErrorKind::Request, io::ErrorKind::ConnectionAborted))
                }
                401 | 403 => Some((HttpErrorKind::Unknown, io::ErrorKind::PermissionDenied)),
                _ => None,
            };
            if let Some((kind, as_disk)) = error {
                let said = format!("{status}: {}", String::from_utf8_lossy(&bytes));
                return Err(HttpError::new(kind, io::Error::new(as_disk, said)));
            }
            // What was packed on its way has lost it.
            parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| bytes.len().into());
            Ok(HttpResponse::from_parts(parts, bytes.into()))
        }
    }

    fn failed(error: ureq::Error) -> HttpError {
        use ureq::Error::{
            ConnectionFailed, HostNotFound, Io, Protocol, RequireHttpsOnly, Timeout,
        };
        use ureq::Timeout::{Connect, Resolve};
        if let RequireHttpsOnly(url) = &error {
            let said = format!("{url} has no TLS, and that is not allowed");
            let refused = io::Error::new(io::ErrorKind::PermissionDenied, said);
            return HttpError::new(HttpErrorKind::Unknown, refused);
        }
        let kind = match &error {
            ConnectionFailed | HostNotFound | Timeout(Connect | Resolve) => HttpErrorKind::Connect,
            Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
            // A certificate that is no good.
            Io(e) if e.kind() == io::ErrorKind::InvalidData => HttpErrorKind::Unknown,
            Timeout(_) => HttpErrorKind::Timeout,
            Io(_) | Protocol(_) => HttpErrorKind::Interrupted,
            _ => HttpErrorKind::Unknown,
        };
        HttpError::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
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
        use crate::batch::{Output, Store};

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
            assert_eq!(output.journal("key"), None);

            let Input::Object { version, .. } = input else { panic!() };
            let facts = |uri: &str, version: &Option<String>| crate::report::SourceFacts {
                uri: uri.to_owned(),
                sha256: String::new(),
                version: version.clone(),
                pages_are: String::new(),
                n_pages: 1,
                coverage: crate::report::Coverage::default(),
            };
            assert!(input.is_still(&facts("s3://b/in/a.txt", version)));
            assert!(!input.is_still(&facts("s3://c/in/a.txt", version)));
            assert!(!input.is_still(&facts("s3://b/in/a.txt", &None)));
            assert_eq!(bucket.get("in/a.txt").unwrap().version, *version);
        }
    }
}
