//! Who of an update group is told what of a route.

use core::cell::OnceCell;
use std::sync::Arc;

use bgp_wire::PathAttributes;
use smallvec::SmallVec;

use crate::attrs::AttrRef;
use crate::edit::Edit;
use crate::peer::PeerId;

/// One form in which a route goes out. The attributes are made when they are
/// wanted.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The next hop is each member's own: our address towards it.
    pub(crate) own_next_hop: bool,
    /// What it is made of, where policy changed nothing.
    source: Option<(AttrRef, Edit)>,
    made: OnceCell<Arc<PathAttributes>>,
}

impl Form {
    /// A set that policy left as it is.
    pub(crate) const fn edited(set: AttrRef, edit: Edit, own_next_hop: bool) -> Form {
        Form {
            own_next_hop,
            source: Some((set, edit)),
            made: OnceCell::new(),
        }
    }

    /// What policy made of it.
    pub(crate) fn made(attributes: PathAttributes, own_next_hop: bool) -> Form {
        Form {
            own_next_hop,
            source: None,
            made: OnceCell::from(Arc::new(attributes)),
        }
    }

    /// The attributes as they go out.
    pub(crate) fn attributes(&self) -> &Arc<PathAttributes> {
        self.made.get_or_init(|| {
            let made = self.source.as_ref().map(|(set, edit)| {
                let before = edit.before_policy(set);
                edit.after_policy(before)
            });
            Arc::new(made.unwrap_or_default())
        })
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Form) -> bool {
        self.own_next_hop == other.own_next_hop
            && ((self.source.is_some() && self.source == other.source)
                || self.attributes() == other.attributes())
    }
}

/// What the members are told. Most routes go to all of them in one form; the
/// exceptions are the peer that it came from, and those who share a subnet
/// with its next hop.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) forms: SmallVec<[Form; 1]>,
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

    /// Whether a form is the same message as one of another plan, made for the
    /// same member, whose own address is not looked for.
    pub(crate) fn names_as(&self, form: usize, other: &Plan, its: usize) -> bool {
        let forms = self.forms.get(form).zip(other.forms.get(its));
        forms.is_some_and(|(one, two)| one.attributes() == two.attributes())
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
