//! What is announced as our own: networks and aggregates, and how flapping
//! routes are damped.

use bgp_wire::Origin;
use serde::{Deserialize, Serialize};

/// Options of one `network` line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Network {
    /// The route map that the route goes through.
    pub route_map: Option<String>,
}

/// Options of one `aggregate-address` line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Aggregate {
    /// The path has the ASes of what is aggregated.
    pub as_set: bool,
    /// What is aggregated is not announced.
    pub summary_only: bool,
    /// Aggregate only routes of the same MED.
    pub matching_med_only: bool,
    /// The origin; `None` takes the worst of what is aggregated.
    #[serde(with = "origin")]
    pub origin: Option<Origin>,
    /// The route map that the aggregate goes through.
    pub route_map: Option<String>,
    /// The route map of what is not announced.
    pub suppress_map: Option<String>,
}

/// The words of origins.
pub(crate) const ORIGINS: [(&str, Origin); 3] = [
    ("egp", Origin::Egp),
    ("igp", Origin::Igp),
    ("incomplete", Origin::Incomplete),
];

/// The word of an origin.
pub(crate) fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Egp => "egp",
        Origin::Igp => "igp",
        Origin::Incomplete => "incomplete",
    }
}

/// `bgp dampening` (RFC 2439).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dampening {
    /// Minutes in which a penalty halves, 1 to 45.
    pub half_life_mins: u8,
    /// A suppressed route whose penalty falls below is used again, 1 to 20000.
    pub reuse: u16,
    /// A route whose penalty rises to this is suppressed, 1 to 50000.
    pub suppress: u16,
    /// Minutes after which a route is used again in any case, 1 to 255.
    pub max_suppress_mins: u8,
}

impl Default for Dampening {
    fn default() -> Self {
        Self::with_half_life(15)
    }
}

impl Dampening {
    /// The usual values with another half-life: no route is suppressed for
    /// longer than four of them.
    pub fn with_half_life(half_life_mins: u8) -> Self {
        Self {
            half_life_mins,
            reuse: 750,
            suppress: 2000,
            max_suppress_mins: half_life_mins.saturating_mul(4),
        }
    }
}

/// Origins by their names.
mod origin {
    use bgp_wire::Origin;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::{ORIGINS, origin_word};

    pub(super) fn serialize<S: Serializer>(
        origin: &Option<Origin>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        origin.map(origin_word).serialize(to)
    }

    pub(super) fn deserialize<'de, D>(from: D) -> Result<Option<Origin>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let Some(word) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let known = ORIGINS.iter().find(|(name, _)| *name == word);
        match known {
            Some((_, origin)) => Ok(Some(*origin)),
            None => Err(D::Error::custom(format!("not an origin: '{word}'"))),
        }
    }
}
