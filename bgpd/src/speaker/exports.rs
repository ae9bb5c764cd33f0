//! What update groups are told, and who of them has room for it.
//!
//! A portion is taken from the table when every member's lane has room, and is
//! shared by all. A member that lags is waited for a moment, and becomes a
//! group of its own then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_rib::{GroupBatch, GroupId, GroupMember, PeerId};

use super::core::Core;
use super::peers::Peer;
use crate::session::outbound::{Outbound, SharedBatch};
use crate::session::status::now_ms;

/// Prefixes in one portion: enough to pack well, few enough that a portion is
/// small and the core is back in a millisecond or two.
const BUDGET: usize = 4_096;
/// How long a group waits for a member whose socket takes nothing, while
/// others have room.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same for one whose socket takes something now and then.
const PATIENCE_WITH_SLOW: Duration = Duration::from_secs(1);
/// How long groups are served before the core looks at its lanes again and the
/// writers get a turn: what waits to be encoded takes more memory than what is.
const SLICE: Duration = Duration::from_millis(4);

/// What the core knows of the groups' lanes.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// Groups of several members of which some have no room.
    waiting: HashMap<GroupId, Wait>,
    /// The group whose turn it is when time ran out.
    next: Option<GroupId>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    /// One that has no room: while it has none, the others need not be asked.
    for_peer: PeerId,
    since: Instant,
    /// When to look at all members.
    until: Instant,
}

impl Exports {
    /// When a group has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|wait| wait.until).min()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Open,
    Full,
    /// The session's end is on its way to us.
    Gone,
}

impl Core {
    /// Gives the writers what they have room for.
    pub(super) fn pump_exports(&mut self) {
        let now = Instant::now();
        if !self.export_pace.allows(now) {
            return;
        }
        let more = self.pump_groups();
        self.more |= more;
        let churn = self.rib.take_churn();
        self.export_pace.told(now, churn, !more);
    }

    /// Returns whether there may be more that there is room for.
    fn pump_groups(&mut self) -> bool {
        let mut more = false;
        let mut groups = self.rib.pending_groups();
        if !self.exports.waiting.is_empty() {
            self.exports.waiting.retain(|id, _| groups.contains(id));
        }
        let next = self.exports.next.take();
        if let Some(at) = next.and_then(|next| groups.iter().position(|id| *id == next)) {
            groups.rotate_left(at);
        }
        let start = Instant::now();
        for group in groups {
            if start.elapsed() > SLICE {
                self.exports.next = Some(group);
                return true;
            }
            more |= self.pump_group(group);
        }
        more
    }

    /// Returns whether there may be more that there is room for.
    fn pump_group(&mut self, group: GroupId) -> bool {
        if !self.has_room(group) {
            return false;
        }
        let Some(batch) = self.rib.export_group(group, BUDGET) else {
            return false;
        };
        self.hand_out(batch);
        self.rib.group_pending(group)
    }

    fn lane(&self, id: PeerId) -> Lane {
        match self.peer_by_id(id).and_then(|peer| peer.up.as_ref()) {
            Some(up) if up.data.is_closed() => Lane::Gone,
            Some(up) if up.data.capacity() == 0 => Lane::Full,
            Some(_) => Lane::Open,
            None => Lane::Gone,
        }
    }

    /// Whether the members have room for a portion. Those that are waited for
    /// in vain leave the group.
    fn has_room(&mut self, group: GroupId) -> bool {
        let now = Instant::now();
        if let Some(wait) = self.exports.waiting.get(&group)
            && now < wait.until
            && self.lane(wait.for_peer) == Lane::Full
        {
            return false;
        }
        let members = self.rib.members(group);
        let lanes: Vec<Lane> = members.iter().map(|id| self.lane(*id)).collect();
        let full: Vec<PeerId> = members
            .iter()
            .zip(&lanes)
            .filter(|(_, lane)| **lane == Lane::Full)
            .map(|(id, _)| *id)
            .collect();
        let open = lanes.contains(&Lane::Open);
        let Some(first) = full.first().copied() else {
            self.exports.waiting.remove(&group);
            return open;
        };
        if !open {
            // Nobody is kept waiting. A writer says when it takes something.
            self.exports.waiting.remove(&group);
            return false;
        }
        let wait = self.exports.waiting.entry(group).or_insert(Wait {
            for_peer: first,
            since: now,
            until: now + PATIENCE,
        });
        wait.for_peer = first;
        if now < wait.until {
            return false;
        }
        wait.until = now + PATIENCE;
        let all = now.duration_since(wait.since) >= PATIENCE_WITH_SLOW;
        let mut left = full.len();
        for id in full {
            if all || self.stands_still(id) {
                tracing::debug!(peer = ?self.ids.get(&id), "lags behind its update group");
                self.rib.isolate(id, group.family());
                left -= 1;
            }
        }
        if left == 0 {
            self.exports.waiting.remove(&group);
        }
        left == 0
    }

    /// Whether the peer's socket took nothing for a while. A writer that only
    /// waits for its turn of the processor is not the peer's fault.
    fn stands_still(&self, id: PeerId) -> bool {
        self.peer_by_id(id).is_some_and(|peer| {
            let (_, wrote, _) = peer.session.status.last_times();
            let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
            now_ms().saturating_sub(wrote) >= patience
        })
    }

    fn hand_out(&mut self, mut batch: GroupBatch) {
        let family = batch.group.family();
        let (end_of_rib, end_of_refresh) = (batch.end_of_rib, batch.end_of_refresh);
        let members = std::mem::take(&mut batch.members);
        // The part of a sender's own routes is for everybody else.
        let concerned = |member: &GroupMember| {
            let id = member.peer;
            batch.withdrawn.iter().any(|(to, _)| to.includes(id))
                || batch
                    .announced
                    .iter()
                    .any(|part| part.audience.includes(id))
        };
        let concerned: Vec<bool> = members.iter().map(concerned).collect();
        let batch = Arc::new(SharedBatch::new(batch));
        for (member, concerned) in members.into_iter().zip(concerned) {
            let sent = end_of_rib && self.rib.counters(member.peer, family).sent > 0;
            let Some(address) = self.ids.get(&member.peer) else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(address) else {
                continue;
            };
            let outbound = Outbound {
                member,
                begin_refresh: false,
                batch: Arc::clone(&batch),
                end_of_rib,
                end_of_refresh,
                ready: Arc::clone(&self.ready),
            };
            tell(peer, Box::new(outbound), (concerned, sent));
        }
    }
}

/// Puts a batch into a peer's lane, with the marks that the peer is to get.
/// `concerned` says whether any route in it is for the peer, `sent` whether it
/// was told any.
fn tell(peer: &mut Peer, mut outbound: Box<Outbound>, (concerned, sent): (bool, bool)) {
    let family = outbound.batch.family();
    let Some(up) = &mut peer.up else { return };
    outbound.begin_refresh = up.begin_refresh.contains(family);
    up.begin_refresh.remove(family);
    if outbound.begin_refresh {
        up.refreshing.insert(family);
    }
    // An end without a beginning means nothing (RFC 7313 section 4.2).
    outbound.end_of_refresh &= up.refreshing.contains(family);
    if outbound.end_of_refresh {
        up.refreshing.remove(family);
    }
    if outbound.end_of_rib {
        up.end_of_rib_sent.insert(family);
        if sent {
            up.end_of_rib_after_update.insert(family);
        }
    }
    let marked = outbound.begin_refresh || outbound.end_of_rib || outbound.end_of_refresh;
    if concerned || marked {
        // There was room, and nobody else sends; a lane that is closed belongs
        // to a session that ends.
        let _ = up.data.try_send(outbound);
    }
}
