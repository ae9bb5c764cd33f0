//! The export rules: whether a peer is told of a path, and with which
//! attributes (RFC 4271 sections 5.1 and 9.2, RFC 4456, RFC 1997, RFC 5065, RFC 7311,
//! RFC 7947).

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bgp_wire::{Family, NextHop, PeerKind};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::attrs::{AttrId, AttrRef, Interner};
use crate::bandwidth::Carried;
use crate::config::RibConfig;
use crate::edit::{Aigp, BandwidthEdit, Edit, Towards};
use crate::explain::Offered;
use crate::import::is_link_local;
use crate::local::LocalSource;
use crate::peer::{PeerId, PeerInfo};
use crate::plan::{Form, Plan};
use crate::policy::{Attributes, RouteContext, Verdict};
use crate::shared::{Peer, Rules};
use crate::view::PathSource;

/// Works out what the members of an update group are told, by one state of the
/// rules. Lives for one portion, in which paths that share attributes and
/// source are worked out once.
pub(crate) struct Exporter<'a> {
    config: &'a RibConfig,
    rules: &'a Rules,
    members: Vec<(PeerId, Arc<Peer>)>,
    family: Family,
    /// What the members are told beside the table.
    default_route: Option<AttrRef>,
    default_plan: Option<Option<Rc<Plan>>>,
    sets: HashMap<Route, Option<Rc<Prepared>>, RandomState>,
    last: Option<(Route, Option<Rc<Prepared>>)>,
    /// Plans that policy made of single prefixes, by what they say.
    rewritten: HashMap<Vec<u8>, Vec<Rc<Plan>>, RandomState>,
    /// Which members are special for a next hop that came from inside or
    /// outside.
    next_hops: HashMap<(Option<NextHop>, Origin), Rc<NextHops>, RandomState>,
}

/// What was or is to be told, but for the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    pub(crate) attributes: AttrId,
    pub(crate) source: PathSource,
    /// [`Path::distance`](crate::path::Path::distance).
    pub(crate) distance: u32,
    /// What the paths that are used together carry.
    pub(crate) carried: Carried,
    /// An aggregate stands for it.
    pub(crate) suppressed: bool,
}

/// Where a route comes from, as far as next hops go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Local,
    /// Outside of the AS and the confederation.
    External,
    /// Another member AS.
    Confederation,
    Internal,
}

/// Which next hop a member is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Our address towards it.
    Own,
    This(NextHop),
    /// There is none that it could use.
    Nothing,
}

/// Next hops for the members: most are named the same.
#[derive(Debug)]
struct NextHops {
    rest: Named,
    exceptions: Vec<(PeerId, Named)>,
}

/// A set of attributes for the group, before export policy.
struct Prepared {
    weight: u32,
    learned_from: Option<Arc<Peer>>,
    /// One for each next hop that members are named.
    forms: SmallVec<[PreparedForm; 1]>,
    rest: Option<usize>,
    exceptions: Vec<(PeerId, Option<usize>)>,
    /// What is told where policy changes nothing.
    unchanged: std::cell::OnceCell<Rc<Plan>>,
    /// What is told after other verdicts, one for each form. Those made of the
    /// same allocation are the same.
    told: RefCell<SmallVec<[Told; 1]>>,
    source: Option<LocalSource>,
    original_next_hop: Option<NextHop>,
    original_med: Option<u32>,
}

/// Export policy's answers, one for each form.
type Verdicts = SmallVec<[Verdict; 1]>;

/// What is told after these answers; none if nobody is told.
type Told = (Verdicts, Option<Rc<Plan>>);

/// Policy that makes more of one set makes something else of each prefix.
const TOLD_MAX: usize = 8;

/// Whether the verdicts are known to be the same without a look inside.
fn same_verdicts(one: &[Verdict], other: &[Verdict]) -> bool {
    let same = |pair: (&Verdict, &Verdict)| match pair {
        (Verdict::AcceptWith(one), Verdict::AcceptWith(other)) => Arc::ptr_eq(one, other),
        (Verdict::AcceptWith(_), _) | (_, Verdict::AcceptWith(_)) => false,
        (Verdict::Accept | Verdict::Deny(_), _) => pair.0 == pair.1,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// A route as it is told to all members, but for the next hop.
struct Base<'a> {
    set: &'a AttrRef,
    /// To the next hop, where the route was learned.
    distance: Option<u32>,
    /// Told those whose next hop we are; nothing where it is the path's own.
    carried: Carried,
    towards: Towards,
}

struct PreparedForm {
    set: AttrRef,
    edit: Edit,
    attributes: Attributes<'static>,
    own_next_hop: bool,
    /// A member that the form is for.
    to: Arc<Peer>,
}

impl<'a> Exporter<'a> {
    /// For the members that the rules know.
    pub(crate) fn new(rules: &'a Rules, members: &[PeerId], family: Family) -> Exporter<'a> {
        let members: Vec<(PeerId, Arc<Peer>)> = members
            .iter()
            .filter_map(|id| Some((*id, Arc::clone(rules.peer(*id)?))))
            .collect();
        let first = members.first().map(|(_, peer)| peer);
        Exporter {
            config: &rules.config,
            rules,
            default_route: first.and_then(|peer| peer.default_route(family).cloned()),
            default_plan: None,
            members,
            family,
            sets: HashMap::default(),
            last: None,
            rewritten: HashMap::default(),
            next_hops: HashMap::default(),
        }
    }

    /// What the members are to hold for the route; none if nobody is told.
    pub(crate) fn plan(
        &mut self,
        interner: &Interner,
        prefix: IpNet,
        route: Option<Route>,
    ) -> Option<Rc<Plan>> {
        if self.is_beside(prefix) {
            return self.default_plan();
        }
        let route = route?;
        let prepared = self.prepared(interner, route)?;
        let mut verdicts = Verdicts::new();
        let mut all_accept = true;
        for form in &prepared.forms {
            let context = RouteContext {
                peer: &form.to.info,
                learned_from: prepared.learned_from.as_ref().map(|peer| &peer.info),
                family: self.family,
                prefix,
                attributes: &form.attributes,
                weight: prepared.weight,
                source: prepared.source,
                original_next_hop: prepared.original_next_hop,
                original_med: prepared.original_med,
            };
            let verdict = match route.suppressed {
                true => form.to.policy.export_suppressed(&context),
                false => form.to.policy.export(&context),
            };
            if matches!(verdict, Verdict::Accept) && all_accept {
                continue;
            }
            all_accept = false;
            verdicts.push(verdict);
        }
        if all_accept {
            return Some(Rc::clone(
                prepared
                    .unchanged
                    .get_or_init(|| Rc::new(Self::finished(&prepared, &[]))),
            ));
        }
        // Those before the first that is no plain acceptance.
        let plain = prepared.forms.len() - verdicts.len();
        let verdicts: Verdicts = std::iter::repeat_with(|| Verdict::Accept)
            .take(plain)
            .chain(verdicts)
            .collect();
        self.after(&prepared, verdicts)
    }

    /// Whether the members are told a default route of ours in place of what the
    /// table has of this prefix.
    pub(crate) fn is_beside(&self, prefix: IpNet) -> bool {
        self.default_route.is_some() && prefix.prefix_len() == 0
    }

    /// What the members are told of that default route.
    fn default_plan(&mut self) -> Option<Rc<Plan>> {
        if self.default_plan.is_none() {
            let set = self.default_route.clone()?;
            let local = PathSource::Local(LocalSource::Network);
            let prepared = self.prepare(&set, (local, 0, Carried::default()));
            let plan = prepared.map(|prepared| Rc::new(Self::finished(&prepared, &[])));
            self.default_plan = Some(plan);
        }
        self.default_plan.clone().flatten()
    }

    /// What export policy of the only member is asked about a route; none where
    /// the member is not told of it in any case.
    pub(crate) fn offered(
        &mut self,
        interner: &Interner,
        prefix: IpNet,
        route: Route,
    ) -> Option<Offered> {
        let prepared = self.prepared(interner, route)?;
        let form = match prepared.exceptions.first() {
            Some((_, form)) => *form,
            None => prepared.rest,
        };
        let form = prepared.forms.get(form?)?;
        let from = match route.source {
            PathSource::Peer(peer) => Some(peer),
            PathSource::Local(_) => None,
        };
        Some(Offered {
            prefix,
            attributes: bgp_wire::PathAttributes::clone(&form.attributes),
            learned_from: from,
            weight: prepared.weight,
            source: prepared.source,
            original_next_hop: prepared.original_next_hop,
            original_med: prepared.original_med,
        })
    }

    /// The plan after verdicts that are not all to accept.
    fn after(&mut self, prepared: &Prepared, verdicts: Verdicts) -> Option<Rc<Plan>> {
        let told = prepared.told.borrow();
        let known = told
            .iter()
            .find(|(known, _)| same_verdicts(known, &verdicts));
        if let Some((_, plan)) = known {
            return plan.clone();
        }
        let is_room = told.len() < TOLD_MAX;
        drop(told);
        let plan = Self::finished(prepared, &verdicts);
        let plan = (!plan.is_nothing(self.members.len())).then(|| self.share(plan));
        if is_room {
            prepared.told.borrow_mut().push((verdicts, plan.clone()));
        }
        plan
    }

    /// Equal plans are one, so that prefixes with equal plans are sent
    /// together.
    fn share(&mut self, plan: Plan) -> Rc<Plan> {
        let mut key = Vec::new();
        for form in &plan.forms {
            key.extend(bgp_wire::encode_attribute_block(form.attributes()));
        }
        let known = self.rewritten.entry(key).or_default();
        if let Some(same) = known.iter().find(|same| ***same == plan) {
            return Rc::clone(same);
        }
        let plan = Rc::new(plan);
        known.push(Rc::clone(&plan));
        plan
    }

    /// The plan after these verdicts, one for each form; all accept where
    /// there are none.
    fn finished(prepared: &Prepared, verdicts: &[Verdict]) -> Plan {
        let mut forms = SmallVec::new();
        let places: SmallVec<[Option<usize>; 2]> = prepared
            .forms
            .iter()
            .enumerate()
            .map(|(at, form)| {
                forms.push(match verdicts.get(at) {
                    None | Some(Verdict::Accept) => {
                        Form::edited(form.set.clone(), form.edit, form.own_next_hop)
                    }
                    Some(Verdict::Deny(_)) => return None,
                    Some(Verdict::AcceptWith(new)) => {
                        let next_hop = new.attributes.next_hop?;
                        let own = form.own_next_hop && form.edit.next_hop == next_hop;
                        Form::made(form.edit.after_policy(new.attributes.clone()), own)
                    }
                });
                Some(forms.len() - 1)
            })
            .collect();
        let place = |form: Option<usize>| places.get(form?).copied().flatten();
        let rest = place(prepared.rest);
        let exceptions = prepared.exceptions.iter();
        Plan {
            forms,
            rest,
            exceptions: exceptions
                .map(|(peer, form)| (*peer, place(*form)))
                .filter(|(_, form)| *form != rest)
                .collect(),
        }
    }

    fn prepared(&mut self, interner: &Interner, route: Route) -> Option<Rc<Prepared>> {
        if let Some((last, prepared)) = &self.last
            && *last == route
        {
            return prepared.clone();
        }
        let known = self.sets.get(&route).cloned();
        let prepared = known.unwrap_or_else(|| {
            let set = interner.set(route.attributes);
            let of = (route.source, route.distance, route.carried);
            let prepared = set.and_then(|set| self.prepare(set, of));
            let prepared = prepared.map(Rc::new);
            self.sets.insert(route, prepared.clone());
            prepared
        });
        self.last = Some((route, prepared.clone()));
        prepared
    }

    /// The attributes for the members as export policy sees them.
    fn prepare(
        &mut self,
        set: &AttrRef,
        (source, distance, carried): (PathSource, u32, Carried),
    ) -> Option<Prepared> {
        let from = match source {
            PathSource::Local(_) => None,
            PathSource::Peer(peer) => Some(Arc::clone(self.rules.peer(peer)?)),
        };
        let (_, any) = self.members.first()?;
        let any = Arc::clone(any);
        let from_info = from.as_ref().map(|peer| &peer.info);
        let distance = from_info.map(|_| distance);
        // A route of another table is announced as if it began here: nobody but
        // us knows the way to its next hop.
        let from_info = from_info.filter(|from| from.imported.is_none());
        if !communities_allow(&any.info, set) || !self.reflection_allows(&any.info, from_info) {
            return None;
        }
        let ours = from
            .as_ref()
            .is_some_and(|from| from.info.imported.is_some());
        let next_hop = set.next_hop().filter(|_| !ours);
        let next_hops = self.next_hops(next_hop, from_info);
        let towards = self.towards(&any.info, from_info);
        let base = Base {
            set,
            distance,
            carried: carried.told(self.config.link_bandwidth),
            towards,
        };
        let mut prepared = Prepared {
            weight: set.weight(),
            forms: SmallVec::new(),
            rest: None,
            exceptions: Vec::new(),
            unchanged: std::cell::OnceCell::new(),
            told: RefCell::default(),
            source: match source {
                PathSource::Local(source) => Some(source),
                PathSource::Peer(_) => None,
            },
            original_next_hop: set.next_hop(),
            original_med: set.med(),
            learned_from: from.clone(),
        };
        prepared.rest = self.form(&mut prepared.forms, &base, next_hops.rest, &any);
        for (peer, named) in &next_hops.exceptions {
            let to = self.member(*peer)?;
            let form = self.form(&mut prepared.forms, &base, *named, &to);
            prepared.exceptions.push((*peer, form));
        }
        self.leave_out(&mut prepared, set, source);
        let told = prepared.exceptions.iter().any(|(_, form)| form.is_some());
        let rest = prepared.rest.is_some() && prepared.exceptions.len() < self.members.len();
        (told || rest).then_some(prepared)
    }

    fn member(&self, peer: PeerId) -> Option<Arc<Peer>> {
        let at = self.members.binary_search_by_key(&peer, |(id, _)| *id);
        Some(Arc::clone(&self.members.get(at.ok()?)?.1))
    }

    /// The form with this next hop, new if need be.
    fn form(
        &self,
        forms: &mut SmallVec<[PreparedForm; 1]>,
        base: &Base<'_>,
        named: Named,
        to: &Arc<Peer>,
    ) -> Option<usize> {
        let (next_hop, own_next_hop) = match named {
            Named::Nothing => return None,
            Named::Own => (own_next_hop(&to.info, self.family)?, true),
            Named::This(next_hop) => (next_hop, false),
        };
        let same = |form: &PreparedForm| {
            form.own_next_hop == own_next_hop && (own_next_hop || form.edit.next_hop == next_hop)
        };
        if let Some(at) = forms.iter().position(same) {
            return Some(at);
        }
        let aigp = match base.distance {
            _ if !to.info.takes_aigp() => Aigp::Forbidden,
            Some(distance) if own_next_hop && base.set.has_aigp() => Aigp::further(distance),
            _ => Aigp::Unchanged,
        };
        let edit = Edit {
            next_hop,
            learned: base.distance.is_some(),
            aigp,
            bandwidth: BandwidthEdit {
                // What is behind us is what we can take.
                carried: match own_next_hop {
                    true => base.carried,
                    false => Carried::default(),
                },
                asn: match to.info.kind {
                    PeerKind::External => self.config.outer_as(),
                    PeerKind::Confederation | PeerKind::Internal => self.config.local_as,
                },
                integer: to.info.integer_bandwidth,
            },
            towards: base.towards,
            communities: to.info.family(self.family).send_communities,
        };
        forms.push(PreparedForm {
            set: base.set.clone(),
            edit,
            attributes: Attributes::edited(base.set.clone(), edit),
            own_next_hop,
            to: Arc::clone(to),
        });
        Some(forms.len() - 1)
    }

    /// Nobody is told what he said himself: split horizon, and the originator
    /// of a reflected route (RFC 4456 section 8).
    fn leave_out(&self, prepared: &mut Prepared, set: &AttrRef, source: PathSource) {
        let internal = prepared
            .learned_from
            .as_ref()
            .is_some_and(|from| from.info.is_internal());
        let originator = set.originator_id().filter(|_| internal);
        let mut out: Vec<PeerId> = Vec::new();
        if let PathSource::Peer(peer) = source
            && self.member(peer).is_some()
        {
            out.push(peer);
        }
        if let Some(originator) = originator {
            let members = self.members.iter();
            let back = members
                .filter(|(_, peer)| peer.info.is_internal() && peer.info.router_id == originator);
            out.extend(back.map(|(id, _)| *id));
        }
        if out.is_empty() {
            return;
        }
        out.sort_unstable();
        out.dedup();
        let told = &mut prepared.exceptions;
        told.retain(|(peer, _)| !out.contains(peer));
        told.extend(out.into_iter().map(|peer| (peer, None)));
        told.sort_unstable_by_key(|(peer, _)| *peer);
    }

    /// Which boundary a route crosses.
    fn towards(&self, to: &PeerInfo, from: Option<&PeerInfo>) -> Towards {
        let local_pref = self.config.default_local_pref;
        match to.kind {
            PeerKind::External => {
                let behind = self.config.outer_as();
                let other = to.local_as != behind && !to.replace_as;
                Towards::External {
                    transparent: self.transparent(to),
                    prepend: (to.local_as, other.then_some(behind)),
                }
            }
            PeerKind::Confederation => Towards::Confederation {
                local_pref,
                prepend: self.config.local_as,
            },
            PeerKind::Internal => {
                let reflected = from.filter(|from| from.is_internal());
                Towards::Internal {
                    local_pref,
                    reflected: reflected.map(|from| (from.router_id, self.config.cluster_id())),
                }
            }
        }
    }

    /// RFC 4271 section 9.2: internal routes stay with the peer that was told,
    /// unless we reflect (RFC 4456 section 6): from clients to everybody, from
    /// others to clients. Between clients only where they are not fully meshed
    /// (section 10).
    fn reflection_allows(&self, to: &PeerInfo, from: Option<&PeerInfo>) -> bool {
        let Some(from) = from.filter(|from| from.is_internal() && to.is_internal()) else {
            return true;
        };
        let client = |peer: &PeerInfo| peer.reflector_client.contains(self.family);
        match (client(from), client(to)) {
            (true, true) => self.config.client_to_client_reflection,
            (from, to) => from || to,
        }
    }

    fn transparent(&self, to: &PeerInfo) -> bool {
        to.route_server_client.contains(self.family)
    }

    // ===== next hops =====

    fn next_hops(&mut self, current: Option<NextHop>, from: Option<&PeerInfo>) -> Rc<NextHops> {
        let origin = match from {
            None => Origin::Local,
            Some(from) => match from.kind {
                PeerKind::External => Origin::External,
                PeerKind::Confederation => Origin::Confederation,
                PeerKind::Internal => Origin::Internal,
            },
        };
        if let Some(known) = self.next_hops.get(&(current, origin)) {
            return Rc::clone(known);
        }
        let named = |(_, peer): &(PeerId, Arc<Peer>)| self.named(&peer.info, origin, current);
        // What the first one is named is what most are, in a group of peers
        // that are alike; where it is the exception the lists are longer.
        let rest = self.members.first().map_or(Named::Nothing, named);
        let exceptions = self
            .members
            .iter()
            .map(|member| (member.0, named(member)))
            .filter(|(_, named)| *named != rest)
            .collect();
        let next_hops = Rc::new(NextHops { rest, exceptions });
        self.next_hops
            .insert((current, origin), Rc::clone(&next_hops));
        next_hops
    }

    /// RFC 4271 section 5.1.3. Within a confederation a next hop may pass
    /// through as within an AS (RFC 5065 section 4).
    fn named(&self, to: &PeerInfo, origin: Origin, current: Option<NextHop>) -> Named {
        let ours = match own_next_hop(to, self.family) {
            Some(_) => Named::Own,
            None => Named::Nothing,
        };
        let Some(current) = current.filter(|hop| self.may_keep(to, *hop)) else {
            return ours;
        };
        let ours_if = |set: bool| {
            if set {
                ours
            } else {
                Named::This(beyond_link(current))
            }
        };
        if (to.kind, origin) == (PeerKind::External, Origin::External) && self.transparent(to) {
            return Named::This(current);
        }
        if origin != Origin::Local && to.family(self.family).next_hop_unchanged {
            return Named::This(beyond_link(current));
        }
        let forced = to.next_hop_self_force.contains(self.family);
        let wanted = forced || to.next_hop_self.contains(self.family);
        match (to.kind, origin) {
            (PeerKind::External, _) if !wanted && on_shared_subnet(to, current) => {
                Named::This(current)
            }
            (PeerKind::External, _) | (_, Origin::Local) => ours,
            (PeerKind::Internal, Origin::Internal) => ours_if(forced),
            (PeerKind::Internal | PeerKind::Confederation, _) => ours_if(wanted),
        }
    }

    /// Whether the peer could use this next hop: never its own address, no
    /// other link's address, and an IPv6 one for an IPv4 prefix only where
    /// that was negotiated (RFC 8950).
    fn may_keep(&self, to: &PeerInfo, next_hop: NextHop) -> bool {
        let addr = next_hop.addr();
        let fits = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V6 { .. }) => to.extended_next_hop.contains(self.family),
            (Family::Ipv4Unicast, NextHop::V4(addr)) => !addr.is_unspecified(),
            (Family::Ipv6Unicast, NextHop::V6 { global, .. }) => !global.is_unspecified(),
            (Family::Ipv6Unicast, NextHop::V4(_)) => false,
        };
        fits && addr != to.address && !is_link_local(addr)
    }
}

/// A third party on the subnet that we share with the peer.
fn on_shared_subnet(to: &PeerInfo, next_hop: NextHop) -> bool {
    let addr: IpAddr = next_hop.addr();
    !to.ebgp_multihop && to.shared_subnets.iter().any(|net| net.contains(&addr))
}

/// RFC 1997: NO_EXPORT keeps a route in the confederation, or in the AS that is
/// in none; NO_EXPORT_SUBCONFED in the member AS.
fn communities_allow(to: &PeerInfo, set: &AttrRef) -> bool {
    let scope = set.scope();
    let stays = match to.kind {
        PeerKind::Internal => false,
        PeerKind::Confederation => scope.no_export_subconfed,
        PeerKind::External => scope.no_export || scope.no_export_subconfed,
    };
    !(scope.no_advertise || stays)
}

/// A next hop as it is named to somebody who does not share its link: without
/// the link-local address (RFC 2545 section 3).
fn beyond_link(next_hop: NextHop) -> NextHop {
    match next_hop {
        NextHop::V4(_) => next_hop,
        NextHop::V6 { global, .. } => NextHop::V6 {
            global,
            link_local: None,
        },
    }
}

/// Our own address as next hop, in the family that the peer can use; none
/// where we have none. Where there is no global IPv6 address the link-local
/// one takes both places, as other speakers on unnumbered links send it.
pub(crate) fn own_next_hop(to: &PeerInfo, family: Family) -> Option<NextHop> {
    let v6 = || {
        let global = to.local_v6.or(to.local_link_local)?;
        Some(NextHop::V6 {
            global,
            link_local: to.local_link_local,
        })
    };
    match family {
        Family::Ipv6Unicast => v6(),
        Family::Ipv4Unicast => match to.local_v4 {
            Some(addr) => Some(NextHop::V4(addr)),
            None if to.extended_next_hop.contains(family) => v6(),
            None => None,
        },
    }
}
