//! A program that was built without stores.

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
