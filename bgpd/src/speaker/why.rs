//! Why a path is the best one of its prefix, and what kept the others out.

use std::net::IpAddr;

use holdfast_api::v1;
use holdfast_policy::Direction;
use holdfast_rib::{
    Comparison, DenyReason, ExplainedPath, Invalid, PathName, PathSource, Rejection, Standing,
    Step, ask_import,
};
use ipnet::IpNet;

use super::core::Core;
use super::request::{Request, Selection};
use super::trace::{next_hop_words, refused_by, steps};
use super::{Speaker, SpeakerError, family, selection};

impl Speaker {
    /// Why the best path of a prefix, or of an address' longest match, is the
    /// best one, and what became of the others.
    ///
    /// # Errors
    /// [`SpeakerError::BadPrefix`], [`SpeakerError::NoSuchPrefix`],
    /// [`SpeakerError::NoBgp`].
    pub async fn explain_route(
        &self,
        request: &v1::ExplainRouteRequest,
    ) -> Result<v1::RouteExplanation, SpeakerError> {
        let family = family(request.family())?;
        let asked = selection(family, &request.prefix, false)?;
        let speaker = self.named(&request.instance);
        speaker
            .ask(|answer| Request::Explain(asked, answer))
            .await?
    }
}

impl Core {
    pub(super) fn explain(&self, asked: Selection) -> Result<v1::RouteExplanation, SpeakerError> {
        if self.config.bgp.is_none() {
            return Err(SpeakerError::NoBgp);
        }
        let prefix = match asked {
            Selection::Prefix(prefix) | Selection::Longer(prefix) => Some(prefix),
            Selection::Longest(address) => {
                let found = self.rib.longest_match(address);
                found.map(|view| view.prefix)
            }
            Selection::All => None,
        };
        let explained = prefix.and_then(|prefix| self.rib.explain(prefix));
        let explained = explained.ok_or(SpeakerError::NoSuchPrefix)?;
        let best = explained.paths.first().map(|path| path.name);
        let paths = explained.paths.iter();
        Ok(v1::RouteExplanation {
            prefix: explained.prefix.to_string(),
            paths: paths
                .map(|path| self.explained_path(explained.prefix, path, best))
                .collect(),
        })
    }

    fn explained_path(
        &self,
        prefix: IpNet,
        path: &ExplainedPath,
        best: Option<PathName>,
    ) -> v1::PathExplanation {
        use v1::PathStanding as Place;
        let of = |place: Place| v1::PathExplanation {
            standing: place as i32,
            peer: self.source_words(path.name.0),
            path_id: path.name.1,
            next_hop: next_hop_words(path.attributes.next_hop()),
            as_path: path.attributes.decode().as_path.to_string(),
            ..v1::PathExplanation::default()
        };
        let compared = |place: Place, lost: &Comparison| {
            let is_other = Some(lost.with) != best && place != Place::StandingBest;
            v1::PathExplanation {
                step: step_words(lost.step).to_owned(),
                value: lost.value.clone(),
                other_value: lost.other.clone(),
                relation: relation(&lost.value, &lost.other).to_owned(),
                lost_to: match is_other {
                    true => self.source_words(lost.with.0),
                    false => String::new(),
                },
                ..of(place)
            }
        };
        match &path.standing {
            Standing::Best(None) => of(Place::StandingBest),
            Standing::Best(Some(second)) => compared(Place::StandingBest, second),
            Standing::Beside(lost) => compared(Place::StandingMultipath, lost),
            Standing::Lost(lost) => compared(Place::StandingLost, lost),
            Standing::Invalid(invalid) => v1::PathExplanation {
                reason: match invalid {
                    Invalid::Unresolved => "next hop inaccessible",
                    Invalid::NotConnected => "next hop is not on a connected subnet",
                }
                .to_owned(),
                ..of(Place::StandingInvalid)
            },
            Standing::Rejected(rejection) => {
                let (reason, trace) = self.refusal(prefix, path, *rejection);
                v1::PathExplanation {
                    reason,
                    trace,
                    ..of(Place::StandingRefused)
                }
            }
        }
    }

    /// Why a route was not let in, in words and step by step.
    fn refusal(
        &self,
        prefix: IpNet,
        path: &ExplainedPath,
        rejection: Rejection,
    ) -> (String, Vec<v1::TraceStep>) {
        let Rejection::Policy(reason) = rejection else {
            return (rejection.text().to_owned(), Vec::new());
        };
        if reason == DenyReason::NoPolicy {
            let text = "external session without import policy (RFC 8212)";
            return (text.to_owned(), Vec::new());
        }
        let trace = self.import_trace(prefix, path);
        match trace {
            Some(trace) => {
                let text = format!("denied by import policy: {}", refused_by(&trace));
                (text, steps(&trace))
            }
            None => ("denied by import policy".to_owned(), Vec::new()),
        }
    }

    fn import_trace(&self, prefix: IpNet, path: &ExplainedPath) -> Option<holdfast_policy::Trace> {
        let PathSource::Peer(id) = path.name.0 else {
            return None;
        };
        let info = self.rib.peer(id)?;
        let policy = self.peer_by_id(id)?.policy()?;
        let ask = |route: &holdfast_rib::RouteContext<'_>| {
            policy.import().explain(Direction::In, route).1
        };
        Some(ask_import(info, prefix, &path.attributes, ask))
    }

    /// The address of a neighbor, or nothing.
    fn source_words(&self, source: PathSource) -> String {
        match source {
            PathSource::Local(_) => String::new(),
            PathSource::Peer(id) => match self.rib.peer(id) {
                Some(info) => info.address.to_string(),
                None => String::new(),
            },
        }
    }
}

const fn step_words(step: Step) -> &'static str {
    match step {
        Step::OnlyPath => "",
        Step::Weight => "weight",
        Step::LocalPref => "local preference",
        Step::LocalRoute => "own route",
        Step::Aigp => "AIGP metric",
        Step::AsPath => "AS path length",
        Step::Origin => "origin",
        Step::Med => "MED",
        Step::PeerType => "peer type",
        Step::ConfederationType => "confederation peer type",
        Step::IgpMetric => "metric to the next hop",
        Step::RouterId => "router ID",
        Step::ClusterLength => "cluster list length",
        Step::NeighborIp => "neighbor address",
        Step::TieBreak => "path identifier",
    }
}

/// How two values stand to each other.
fn relation(one: &str, other: &str) -> &'static str {
    let numbers = (one.parse::<u64>(), other.parse::<u64>());
    let addresses = (one.parse::<IpAddr>(), other.parse::<IpAddr>());
    let order = match (numbers, addresses) {
        ((Ok(one), Ok(other)), _) => one.cmp(&other),
        (_, (Ok(one), Ok(other))) => one.cmp(&other),
        _ => return "against",
    };
    match order {
        std::cmp::Ordering::Less => "<",
        std::cmp::Ordering::Equal => "=",
        std::cmp::Ordering::Greater => ">",
    }
}
