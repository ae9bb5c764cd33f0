//! Values that stand in a configuration as they are written.

use core::fmt::Display;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// For `#[serde(with = "...")]`: a list of values, each as its text.
pub(crate) mod many {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        let parse = |text: String| text.parse().map_err(D::Error::custom);
        texts.into_iter().map(parse).collect()
    }
}
