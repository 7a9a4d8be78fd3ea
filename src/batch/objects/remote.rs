//! A bucket, and the one HTTP client of this program as `object_store` wants it.

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
    Attribute, Attributes, BackoffConfig, ClientConfigKey, ClientOptions, Error, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, RetryConfig,
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
            Some("html") => "text/html; charset=utf-8",
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
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Protocol, RequireHttpsOnly, Timeout};
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
