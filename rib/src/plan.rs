//! Who of an update group is told what of a route.

use std::sync::Arc;

use bgp_wire::PathAttributes;

use crate::peer::PeerId;

/// One form in which a route goes out.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) attributes: Arc<PathAttributes>,
    /// The next hop is each member's own: our address towards it.
    pub(crate) own_next_hop: bool,
}

impl PartialEq for Form {
    fn eq(&self, other: &Form) -> bool {
        self.own_next_hop == other.own_next_hop
            && (Arc::ptr_eq(&self.attributes, &other.attributes)
                || self.attributes == other.attributes)
    }
}

/// What the members are told. Most routes go to all of them in one form; the
/// exceptions are the peer that it came from, and those who share a subnet
/// with its next hop.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) forms: Vec<Form>,
    /// The form for members that are no exceptions; none where they are told
    /// nothing.
    pub(crate) rest: Option<usize>,
    /// Members that are told something else, ascending.
    pub(crate) exceptions: Vec<(PeerId, Option<usize>)>,
}

/// Members of an update group that a part of a batch is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every member.
    All,
    /// Every member but these.
    Except(Vec<PeerId>),
    /// These.
    Only(Vec<PeerId>),
}

impl Audience {
    /// Whether the member is among them.
    pub fn includes(&self, peer: PeerId) -> bool {
        match self {
            Audience::All => true,
            Audience::Except(list) => !list.contains(&peer),
            Audience::Only(list) => list.contains(&peer),
        }
    }
}

impl Plan {
    /// The form for a member; none where it is told nothing.
    pub(crate) fn form_of(&self, peer: PeerId) -> Option<usize> {
        match self.exceptions.iter().find(|(id, _)| *id == peer) {
            Some((_, form)) => *form,
            None => self.rest,
        }
    }

    /// Whether all members are told the same.
    pub(crate) fn is_simple(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// Whether nobody of the members is told anything.
    pub(crate) fn is_nothing(&self, members: usize) -> bool {
        let nothing = self.exceptions.iter().all(|(_, form)| form.is_none());
        nothing && (self.rest.is_none() || self.exceptions.len() >= members)
    }

    /// Who is told the form.
    pub(crate) fn audience(&self, form: usize) -> Audience {
        let of = |wanted: bool| -> Vec<PeerId> {
            let exceptions = self.exceptions.iter();
            exceptions
                .filter(|(_, told)| (*told == Some(form)) == wanted)
                .map(|(peer, _)| *peer)
                .collect()
        };
        if self.rest != Some(form) {
            Audience::Only(of(true))
        } else {
            let others = of(false);
            if others.is_empty() {
                Audience::All
            } else {
                Audience::Except(others)
            }
        }
    }
}
