//! Which documents of an archive are this machine's.
//!
//! Shards are shared out by size, and depend on the archive alone: a shard that is started again has
//! the same documents.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

/// One of several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: NonZeroUsize,
    n_shards: NonZeroUsize,
}

/// What is wrong with a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not `i/n`.
    #[error("`{0}` is no shard: i/n with i from 1 to n, or auto")]
    NoShard(String),
    /// `auto` outside of an array job.
    #[error(
        "no array job is running here: none of {} is set",
        ENGINES.map(|engine| engine.index).join(", ")
    )]
    NoEngine,
    /// An engine's variable is missing or no number.
    #[error("`{name}` is {}, and a number is needed", found.as_deref().map_or("not set".to_owned(), |v| format!("`{v}`")))]
    Variable {
        /// Name of the environment variable.
        name: &'static str,
        /// What it is.
        found: Option<String>,
    },
}

/// Where an engine tells which task of how many this is.
#[derive(Clone, Copy)]
struct Engine {
    index: &'static str,
    /// The index of the first task, where that is not 0.
    first: Option<&'static str>,
    count: &'static str,
}

const ENGINES: [Engine; 4] = [
    Engine {
        index: "SLURM_ARRAY_TASK_ID",
        first: Some("SLURM_ARRAY_TASK_MIN"),
        count: "SLURM_ARRAY_TASK_COUNT",
    },
    // Kubernetes tells a pod its index, and not how many there are: the manifest has to.
    Engine { index: "JOB_COMPLETION_INDEX", first: None, count: "LONGSUM_SHARDS" },
    Engine { index: "AWS_BATCH_JOB_ARRAY_INDEX", first: None, count: "AWS_BATCH_JOB_ARRAY_SIZE" },
    Engine { index: "CLOUD_RUN_TASK_INDEX", first: None, count: "CLOUD_RUN_TASK_COUNT" },
];

impl Shard {
    /// The shard that the array job of an engine gives to this task.
    ///
    /// - `variable`: looks up an environment variable
    ///
    /// # Errors
    /// [`ShardError`] if there is none, or it does not say how many there are.
    pub fn auto(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        let engine = ENGINES.iter().find(|engine| variable(engine.index).is_some());
        let engine = engine.ok_or(ShardError::NoEngine)?;
        let number = |name: &'static str| -> Result<usize, ShardError> {
            let found = variable(name);
            let number = found.as_deref().and_then(|value| value.trim().parse().ok());
            number.ok_or(ShardError::Variable { name, found })
        };
        let first = engine.first.map_or(Ok(0), number)?;
        let (index, count) = (number(engine.index)?, number(engine.count)?);
        let from_one = index.checked_sub(first).map(|k| k + 1);
        let shard = from_one.and_then(|number| Self::new(number, count));
        shard.ok_or_else(|| ShardError::Variable {
            name: engine.index,
            found: Some(format!("{index} of {count}")),
        })
    }

    fn new(number: usize, n_shards: usize) -> Option<Self> {
        let shard =
            Self { number: NonZeroUsize::new(number)?, n_shards: NonZeroUsize::new(n_shards)? };
        (number <= n_shards).then_some(shard)
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number.get()
    }

    /// How many shards there are.
    #[must_use]
    pub fn n_shards(&self) -> usize {
        self.n_shards.get()
    }

    /// The places, in `n_bytes`, of the documents that are this shard's, in order. Large ones are
    /// given out first, each to the shard that has least.
    #[must_use]
    pub fn pick(&self, n_bytes: &[u64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n_bytes.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(n_bytes[at]), at));
        let mut loads = vec![0_u64; self.n_shards.get()];
        let mut picked = Vec::new();
        for at in order {
            let least = (0..loads.len()).min_by_key(|&shard| (loads[shard], shard)).unwrap_or(0);
            // A document costs something however short it is.
            loads[least] += n_bytes[at] + 1024;
            if least + 1 == self.number.get() {
                picked.push(at);
            }
        }
        picked.sort_unstable();
        picked
    }

    /// Files of other shards, as `run-2-of-8.json`, that saw another archive than the one with this
    /// hash.
    ///
    /// - `read`: what is in a file beside the reports
    #[must_use]
    pub fn strangers(
        &self,
        read: &dyn Fn(&Path) -> Option<Vec<u8>>,
        archive_sha256: &str,
    ) -> Vec<PathBuf> {
        let others = (1..=self.n_shards()).filter_map(|k| Self::new(k, self.n_shards()));
        let files = others.map(|other| PathBuf::from(format!("run-{}.json", other.file_part())));
        let is_stranger = |path: &PathBuf| {
            let run = read(path).and_then(|text| serde_json::from_slice(&text).ok());
            let found = run.as_ref().and_then(|run: &Value| run["archive_sha256"].as_str());
            found.is_some_and(|sha256| sha256 != archive_sha256)
        };
        files.filter(is_stranger).collect()
    }

    /// Part of a file name: `2-of-8`.
    #[must_use]
    pub fn file_part(&self) -> String {
        format!("{}-of-{}", self.number, self.n_shards)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.n_shards)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let shard = numbers.and_then(|(i, n)| Self::new(i, n));
        shard.ok_or_else(|| ShardError::NoShard(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_is_i_of_n() {
        let shard: Shard = "2/8".parse().unwrap();
        assert_eq!((shard.to_string(), shard.file_part()), ("2/8".into(), "2-of-8".into()));
        for text in ["0/8", "9/8", "8", "a/b", "1/0", "", "1/", "-1/2"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError::NoShard(text.into())));
        }
    }

    #[test]
    fn engines_tell_which_task_of_how_many_this_is() {
        let auto = |variables: &[(&str, &str)]| {
            let found = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            };
            Shard::auto(&found).map(|shard| shard.to_string())
        };
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(auto(&slurm), Ok("3/4".into()));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), ("LONGSUM_SHARDS", "3")];
        assert_eq!(auto(&kubernetes), Ok("1/3".into()));
        let aws = [("AWS_BATCH_JOB_ARRAY_INDEX", "9"), ("AWS_BATCH_JOB_ARRAY_SIZE", "10")];
        assert_eq!(auto(&aws), Ok("10/10".into()));
        let cloud_run = [("CLOUD_RUN_TASK_INDEX", "1"), ("CLOUD_RUN_TASK_COUNT", "2")];
        assert_eq!(auto(&cloud_run), Ok("2/2".into()));
        assert_eq!(auto(&[]), Err(ShardError::NoEngine));
        let said = auto(&kubernetes[..1]).unwrap_err().to_string();
        assert_eq!(said, "`LONGSUM_SHARDS` is not set, and a number is needed");
        assert!(auto(&[("JOB_COMPLETION_INDEX", "3"), ("LONGSUM_SHARDS", "3")]).is_err());
        assert!(auto(&slurm[..2]).is_err());
    }

    proptest! {
        #[test]
        fn every_document_is_in_one_shard_and_no_shard_has_much_more_than_another(
            n_bytes in prop::collection::vec(0_u64..1_000_000, 0..200),
            n_shards in 1_usize..12,
        ) {
            let shards: Vec<Vec<usize>> =
                (1..=n_shards).map(|k| Shard::new(k, n_shards).unwrap().pick(&n_bytes)).collect();
            let mut all: Vec<usize> = shards.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n_bytes.len()).collect::<Vec<_>>());
            let load = |shard: &Vec<usize>| -> u64 { shard.iter().map(|&at| n_bytes[at] + 1024).sum() };
            let loads: Vec<u64> = shards.iter().map(load).collect();
            let largest = n_bytes.iter().max().map_or(0, |n| n + 1024);
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= largest);
        }
    }
}
