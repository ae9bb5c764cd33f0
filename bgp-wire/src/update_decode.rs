//! Reading an UPDATE (RFC 4271 sections 4.3 and 6.3, RFC 7606): cut into
//! fields, attributes one by one, then what they say together.

use std::net::Ipv4Addr;

use bytes::Bytes;

use crate::as_path::AS_TRANS;
use crate::attribute::flag::{EXTENDED_LENGTH, OPTIONAL, PARTIAL, TRANSITIVE};
use crate::attribute::{NextHop, PathAttributes, RawAttribute, code};
use crate::attribute_decode::{Multiprotocol, Sink, check_prefixes};
use crate::attribute_table::{Descriptor, descriptor};
use crate::context::{CodecContext, PeerKind};
use crate::family::Family;
use crate::fault::{Action, Fault, Reason};
use crate::frame::HEADER_LEN;
use crate::notification::{Notification, UpdateError};
use crate::packed::{PackedAnnouncement, PackedPrefixes, PackedUpdate, PrefixField};
use crate::reader::{Reader, Truncated};
use crate::update::{Announcement, Prefixes, Update};

// ===== the fields =====

/// The fields of an UPDATE, cut and not looked into. Who keeps parsed
/// attributes can look [`UpdateParts::attribute_block`] up by its octets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateParts<'a> {
    withdrawn: Reader<'a>,
    attributes: Reader<'a>,
    nlri: Reader<'a>,
}

impl<'a> UpdateParts<'a> {
    /// Cuts what follows the header of an UPDATE.
    ///
    /// # Errors
    /// 3/1, Malformed Attribute List, where the lengths do not fit into the
    /// message (RFC 4271 section 6.3).
    pub fn split(body: Reader<'a>) -> Result<UpdateParts<'a>, Notification> {
        let split = |mut body: Reader<'a>| -> Result<UpdateParts<'a>, Truncated> {
            let len = body.u16()?;
            let withdrawn = body.take(usize::from(len))?;
            let len = body.u16()?;
            let attributes = body.take(usize::from(len))?;
            Ok(UpdateParts {
                withdrawn,
                attributes,
                nlri: body,
            })
        };
        split(body).map_err(|_| Notification::update(UpdateError::MalformedAttributeList, []))
    }

    /// The path attributes as they came. Two messages of one session have equal
    /// attributes and an equal next hop where their blocks are equal, provided
    /// that
    ///
    /// - both have NLRI ([`UpdateParts::has_nlri`]): else the attributes are not
    ///   looked at, and NEXT_HOP is not missed;
    /// - the block has no MP attributes ([`UpdateParts::has_mp_attributes`]):
    ///   those hold prefixes;
    /// - the session has IPv4 unicast: else NLRI is ignored;
    /// - the first of the two was decoded without faults: the errors of the
    ///   second have to be counted and acted upon as well.
    ///
    /// Then [`UpdateParts::packed_prefixes`] is all that is left to read.
    pub const fn attribute_block(&self) -> &'a [u8] {
        self.attributes.as_slice()
    }

    /// Whether MP_REACH_NLRI or MP_UNREACH_NLRI is in the block: then it holds
    /// prefixes and says more than attributes. Stops at what is malformed.
    pub fn has_mp_attributes(&self) -> bool {
        let mut block = self.attributes;
        while let Ok(attribute) = Attribute::next(&mut block) {
            if matches!(attribute.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
                return true;
            }
        }
        false
    }

    /// Whether the NLRI field has prefixes (that of MP_REACH_NLRI is another).
    pub const fn has_nlri(&self) -> bool {
        !self.nlri.is_empty()
    }

    /// The prefixes of WITHDRAWN ROUTES and NLRI, for a message whose
    /// attributes are known already. Whether the session has IPv4 unicast at all
    /// is not looked at.
    ///
    /// # Errors
    /// 3/10, Invalid Network Field.
    pub fn prefixes(&self, ctx: &CodecContext) -> Result<(Prefixes, Prefixes), Notification> {
        let (withdrawn, nlri) = self.prefix_fields(ctx)?;
        Ok((withdrawn.to_list(), nlri.to_list()))
    }

    /// As [`UpdateParts::prefixes`], left where they are in `body`, which is what
    /// was given to [`UpdateParts::split`] (of any other buffer they are copied).
    ///
    /// # Errors
    /// 3/10, Invalid Network Field.
    pub fn packed_prefixes(
        &self,
        ctx: &CodecContext,
        body: &Bytes,
    ) -> Result<(PackedPrefixes, PackedPrefixes), Notification> {
        let (withdrawn, nlri) = self.prefix_fields(ctx)?;
        Ok((withdrawn.cut_from(body), nlri.cut_from(body)))
    }

    fn prefix_fields(
        &self,
        ctx: &CodecContext,
    ) -> Result<(PrefixField<'a>, PrefixField<'a>), Notification> {
        let check = |field| {
            check_prefixes(ctx, Family::Ipv4Unicast, field)
                .map_err(|_| Notification::update(UpdateError::InvalidNetwork, []))
        };
        Ok((check(self.withdrawn)?, check(self.nlri)?))
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The NOTIFICATION to send for an error that RFC 7606 answers by a session
    /// reset. All others are in [`Update::faults`].
    pub fn decode(self, ctx: &CodecContext) -> Result<Update, Notification> {
        self.read(ctx).map(Content::into_update)
    }

    /// Reads all of it and leaves the prefixes where they are in `body`, which is
    /// what was given to [`UpdateParts::split`] (of any other buffer they are
    /// copied).
    ///
    /// # Errors
    /// As [`UpdateParts::decode`].
    pub fn decode_packed(
        self,
        ctx: &CodecContext,
        body: &Bytes,
    ) -> Result<PackedUpdate, Notification> {
        self.read(ctx).map(|content| content.into_packed(body))
    }

    fn read(self, ctx: &'a CodecContext) -> Result<Content<'a>, Notification> {
        let (withdrawn, nlri) = self.prefix_fields(ctx)?;
        let mut scan = Scan::new(ctx);
        scan.read(self.attributes)?;
        if let Some(family) = self.end_of_rib(&scan) {
            return Ok(Content {
                end_of_rib: Some(family),
                ..Content::default()
            });
        }
        scan.finish(Fields {
            withdrawn,
            nlri,
            offset: self.attributes.offset(),
        })
    }

    /// RFC 4724 section 2: an UPDATE without anything, or with an empty
    /// MP_UNREACH_NLRI and nothing else.
    fn end_of_rib(&self, scan: &Scan<'_>) -> Option<Family> {
        if !self.withdrawn.is_empty() || !self.nlri.is_empty() || !scan.faults.is_empty() {
            return None;
        }
        let ipv4 = Family::Ipv4Unicast;
        if self.attributes.is_empty() {
            return scan.sink.ctx.families.contains(ipv4).then_some(ipv4);
        }
        match &scan.sink.mp_unreach {
            Multiprotocol::Read(prefixes) if prefixes.is_empty() && !scan.has_others => {
                Some(prefixes.family)
            }
            _ => None,
        }
    }
}

/// Reads the body of an UPDATE (what follows the header) and leaves the prefixes
/// in it: as [`crate::decode_message`], without the lists.
///
/// # Errors
/// The NOTIFICATION to send for an error that RFC 7606 answers by a session
/// reset. All others are in [`PackedUpdate::faults`].
pub fn decode_update_packed(
    ctx: &CodecContext,
    body: &Bytes,
) -> Result<PackedUpdate, Notification> {
    UpdateParts::split(Reader::at(body, HEADER_LEN))?.decode_packed(ctx, body)
}

/// Reads a block of path attributes without the message around it, as MRT
/// files and BMP messages carry it. NEXT_HOP, or the next hop of an
/// MP_REACH_NLRI, is in [`PathAttributes::next_hop`].
///
/// # Errors
/// The NOTIFICATION for an error that cannot be survived. Mandatory attributes
/// that are missing are not looked for.
pub fn decode_attributes(
    ctx: &CodecContext,
    block: &[u8],
) -> Result<(PathAttributes, Vec<Fault>), Notification> {
    let mut scan = Scan::new(ctx);
    scan.read(Reader::new(block))?;
    scan.sink.merge_as4();
    let mut attributes = scan.sink.attributes;
    attributes.next_hop = match scan.sink.mp_reach {
        Multiprotocol::Read((next_hop, _)) => Some(next_hop),
        _ => scan.sink.next_hop.map(NextHop::V4),
    };
    let faults = scan.faults.iter().map(|pending| pending.fault).collect();
    Ok((attributes, faults))
}

// ===== one attribute =====

/// One attribute, cut out of the block.
#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    flags: u8,
    code: u8,
    value: Reader<'a>,
    /// Header and value: the data of a NOTIFICATION.
    whole: &'a [u8],
    offset: usize,
}

impl<'a> Attribute<'a> {
    /// Cuts the next attribute off. The error holds the code where it is known.
    fn next(block: &mut Reader<'a>) -> Result<Attribute<'a>, (u8, Reason)> {
        let start = *block;
        let short = |code| move |_: Truncated| (code, Reason::ShortHeader);
        let flags = block.u8().map_err(short(0))?;
        let code = block.u8().map_err(short(0))?;
        let len = if flags & EXTENDED_LENGTH != 0 {
            block.u16().map(usize::from)
        } else {
            block.u8().map(usize::from)
        };
        let len = len.map_err(short(code))?;
        let value = block.take(len).map_err(|_| (code, Reason::Overrun))?;
        let whole = start.len() - block.len();
        Ok(Attribute {
            flags,
            code,
            value,
            whole: start.as_slice().get(..whole).unwrap_or_default(),
            offset: start.offset(),
        })
    }

    fn fault(&self, action: Action, reason: Reason) -> Fault {
        Fault {
            action,
            attribute: self.code,
            reason,
            offset: self.offset,
        }
    }
}

/// BGP-LS (RFC 9552): not transitive by definition, whatever the flags of this
/// one say, and asks for attribute discard.
const NEVER_PASSED_ON: u8 = 29;

/// The NOTIFICATION for an error of an attribute (RFC 4271 section 6.3).
fn notification(reason: Reason, whole: &[u8]) -> Notification {
    let attribute = whole.get(1).copied().unwrap_or_default();
    let (subcode, with_attribute) = reason.subcode(attribute);
    Notification::update(subcode, if with_attribute { whole } else { &[] })
}

// ===== all of them =====

/// A fault, and the attribute that it would send back.
#[derive(Debug, Clone, Copy)]
struct Pending<'a> {
    fault: Fault,
    whole: &'a [u8],
}

/// One bit per attribute code.
#[derive(Debug, Default)]
struct Seen([u64; 4]);

impl Seen {
    /// Notes a code; whether it was there before.
    fn insert(&mut self, code: u8) -> bool {
        let bit = 1 << (code & 63);
        let Some(word) = self.0.get_mut(usize::from(code >> 6)) else {
            return false;
        };
        let before = *word & bit != 0;
        *word |= bit;
        before
    }

    fn contains(&self, code: u8) -> bool {
        self.0
            .get(usize::from(code >> 6))
            .is_some_and(|word| word & 1 << (code & 63) != 0)
    }
}

/// What the attributes of one message said so far.
struct Scan<'a> {
    sink: Sink<'a>,
    seen: Seen,
    faults: Vec<Pending<'a>>,
    /// Whether there is any attribute but MP_UNREACH_NLRI.
    has_others: bool,
}

impl<'a> Scan<'a> {
    fn new(ctx: &'a CodecContext) -> Scan<'a> {
        Scan {
            sink: Sink::new(ctx),
            seen: Seen::default(),
            faults: Vec::new(),
            has_others: false,
        }
    }

    fn read(&mut self, mut block: Reader<'a>) -> Result<(), Notification> {
        while !block.is_empty() {
            let offset = block.offset();
            match Attribute::next(&mut block) {
                Ok(attribute) => {
                    self.has_others |= attribute.code != code::MP_UNREACH_NLRI;
                    self.read_one(attribute)?;
                }
                Err((attribute, reason)) => return self.stop(attribute, reason, offset),
            }
        }
        Ok(())
    }

    /// RFC 7606 section 4: the attributes end in the middle of one. The total
    /// length is relied on; but prefixes that are in the attribute cannot be
    /// withdrawn without having been read (section 3 j).
    fn stop(&mut self, attribute: u8, reason: Reason, offset: usize) -> Result<(), Notification> {
        self.has_others = true;
        if matches!(attribute, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
            return Err(notification(reason, &[]));
        }
        let action = Action::TreatAsWithdraw;
        self.push(
            Fault {
                action,
                attribute,
                reason,
                offset,
            },
            &[],
        );
        Ok(())
    }

    fn push(&mut self, fault: Fault, whole: &'a [u8]) {
        self.faults.push(Pending { fault, whole });
    }

    fn read_one(&mut self, attribute: Attribute<'a>) -> Result<(), Notification> {
        if self.seen.insert(attribute.code) {
            return self.read_again(attribute);
        }
        let Some(row) = descriptor(attribute.code) else {
            return self.read_unknown(attribute);
        };
        if !row.accepted_from.accepts(self.sink.ctx) {
            let fault = attribute.fault(Action::Discard, Reason::UnexpectedPeer);
            self.push(fault, attribute.whole);
            return Ok(());
        }
        // RFC 7606 section 3 c; the Partial bit and the lower ones are not
        // looked at.
        let conflicts = (attribute.flags ^ row.flags) & (OPTIONAL | TRANSITIVE) != 0;
        if conflicts {
            let reason = Reason::Flags(attribute.flags);
            let fault = attribute.fault(row.on_wrong_flags(), reason);
            self.push(fault, attribute.whole);
            if fault.action == Action::Discard {
                return Ok(());
            }
        }
        self.read_value(attribute, row)
    }

    fn read_value(
        &mut self,
        attribute: Attribute<'a>,
        row: &Descriptor,
    ) -> Result<(), Notification> {
        match (row.decode)(&mut self.sink, attribute.value) {
            Ok(()) => {
                if attribute.flags & PARTIAL != 0 {
                    self.sink.attributes.partial.insert(attribute.code);
                }
                self.check_mp_next_hop(attribute);
                Ok(())
            }
            Err(reason) if row.on_error == Action::Reset => {
                Err(notification(reason, attribute.whole))
            }
            Err(reason) => {
                self.push(attribute.fault(row.on_error, reason), attribute.whole);
                Ok(())
            }
        }
    }

    /// The prefixes of an MP_REACH_NLRI could be read, so a next hop that no
    /// host can have costs the routes and not the session.
    fn check_mp_next_hop(&mut self, attribute: Attribute<'a>) {
        if attribute.code != code::MP_REACH_NLRI {
            return;
        }
        if let Multiprotocol::Read((next_hop, _)) = &self.sink.mp_reach
            && !next_hop.is_host()
        {
            let reason = Reason::NextHop(next_hop.addr());
            let fault = attribute.fault(Action::TreatAsWithdraw, reason);
            self.push(fault, attribute.whole);
        }
    }

    /// RFC 7606 section 3 g.
    fn read_again(&mut self, attribute: Attribute<'a>) -> Result<(), Notification> {
        if matches!(attribute.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
            return Err(notification(Reason::Duplicate, &[]));
        }
        let fault = attribute.fault(Action::Discard, Reason::Duplicate);
        self.push(fault, attribute.whole);
        Ok(())
    }

    /// RFC 4271 section 5 and 6.3: unrecognised well-known attributes end the
    /// session, optional ones are kept where they are transitive.
    fn read_unknown(&mut self, attribute: Attribute<'a>) -> Result<(), Notification> {
        if attribute.flags & OPTIONAL == 0 {
            return Err(notification(Reason::UnknownWellKnown, attribute.whole));
        }
        let stays = attribute.code == NEVER_PASSED_ON;
        if attribute.flags & TRANSITIVE != 0 && !stays {
            self.sink.attributes.unknown.push(RawAttribute {
                flags: attribute.flags & (OPTIONAL | TRANSITIVE | PARTIAL),
                code: attribute.code,
                value: attribute.value.as_slice().to_vec(),
            });
        }
        Ok(())
    }
}

// ===== together =====

/// What the message has besides attributes.
struct Fields<'a> {
    withdrawn: PrefixField<'a>,
    nlri: PrefixField<'a>,
    /// Where the attributes begin.
    offset: usize,
}

impl Sink<'_> {
    /// RFC 6793 section 4.2.3.
    fn merge_as4(&mut self) {
        let attributes = &mut self.attributes;
        if let Some(as4) = self.as4_aggregator.take() {
            match &mut attributes.aggregator {
                Some(aggregator) if aggregator.asn == AS_TRANS => *aggregator = as4,
                // The aggregator is not one that an old speaker had to hide:
                // it aggregated later, and knew nothing of what came before.
                Some(_) => self.as4_path = None,
                None => {}
            }
        }
        if let Some(as4) = self.as4_path.take() {
            attributes.as_path = attributes.as_path.merge_as4(&as4);
        }
    }

    /// The mandatory attribute that is missing, by code (RFC 4271 section 5).
    /// LOCAL_PREF is "required" of an internal peer (section 5.1.5).
    fn missing(&self, seen: &Seen, has_nlri: bool) -> Option<u8> {
        let internal = self.ctx.peer_kind == PeerKind::Internal;
        [
            (code::ORIGIN, true),
            (code::AS_PATH, true),
            (code::NEXT_HOP, has_nlri),
            (code::LOCAL_PREF, internal),
        ]
        .into_iter()
        .find(|(code, mandatory)| *mandatory && !seen.contains(*code))
        .map(|(code, _)| code)
    }
}

impl<'a> Scan<'a> {
    fn finish(mut self, fields: Fields<'a>) -> Result<Content<'a>, Notification> {
        let has_nlri = !fields.nlri.is_empty();
        let (mp_announced, mp_has_prefixes) = match std::mem::take(&mut self.sink.mp_reach) {
            Multiprotocol::Absent => (None, false),
            Multiprotocol::Ignored(has_prefixes) => (None, has_prefixes),
            Multiprotocol::Read(reach) => (Some(reach), !reach.1.is_empty()),
        };
        // "SHOULD ignore this attribute" (RFC 4760 section 3).
        if !has_nlri && self.seen.contains(code::MP_REACH_NLRI) {
            self.faults
                .retain(|pending| pending.fault.attribute != code::NEXT_HOP);
        }
        if has_nlri || mp_has_prefixes {
            if let Some(missing) = self.sink.missing(&self.seen, has_nlri) {
                let fault = Fault {
                    action: Action::TreatAsWithdraw,
                    attribute: missing,
                    reason: Reason::Missing,
                    offset: fields.offset,
                };
                self.push(fault, &[]);
            }
        } else {
            self.check_without_routes()?;
        }
        Ok(self.assemble(fields, mp_announced.filter(|_| mp_has_prefixes)))
    }

    /// RFC 7606 section 5.2: without reachable prefixes it is doubtful whether
    /// the prefixes were read at all, so any error but those that discard
    /// resets. A lone MP_UNREACH_NLRI was read.
    fn check_without_routes(&self) -> Result<(), Notification> {
        let error = self
            .faults
            .iter()
            .find(|pending| pending.fault.action > Action::Discard);
        match error {
            Some(pending) if self.has_others => {
                Err(notification(pending.fault.reason, pending.whole))
            }
            _ => Ok(()),
        }
    }

    fn assemble(
        mut self,
        fields: Fields<'a>,
        mp_announced: Option<(NextHop, PrefixField<'a>)>,
    ) -> Content<'a> {
        let ipv4 = self.sink.ctx.families.contains(Family::Ipv4Unicast);
        let of_ipv4 =
            |field| Some(field).filter(|field: &PrefixField<'_>| ipv4 && !field.is_empty());
        let mp_withdrawn = match self.sink.mp_unreach {
            Multiprotocol::Read(field) if !field.is_empty() => Some(field),
            _ => None,
        };
        // Without a usable NEXT_HOP there is a fault, and this is not used.
        let next_hop = self.sink.next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let nlri = of_ipv4(fields.nlri).map(|field| (NextHop::V4(next_hop), field));
        let mut content = Content {
            withdrawn: [of_ipv4(fields.withdrawn), mp_withdrawn],
            announced: [mp_announced, nlri],
            faults: self.faults.iter().map(|pending| pending.fault).collect(),
            ..Content::default()
        };
        let worst = content.faults.iter().map(|fault| fault.action).max();
        content.is_refused = worst >= Some(Action::TreatAsWithdraw);
        if !content.is_refused && content.announced.iter().any(Option::is_some) {
            self.sink.merge_as4();
            content.attributes = self.sink.attributes;
            content.attributes.unknown.sort_by_key(|raw| raw.code);
        }
        content
    }
}

/// What the message says, its prefixes where they came.
#[derive(Default)]
struct Content<'a> {
    /// WITHDRAWN ROUTES and MP_UNREACH_NLRI, where they hold something.
    withdrawn: [Option<PrefixField<'a>>; 2],
    /// MP_REACH_NLRI and NLRI, where they hold something.
    announced: [Option<(NextHop, PrefixField<'a>)>; 2],
    /// Treat-as-withdraw: what is announced is withdrawn.
    is_refused: bool,
    attributes: PathAttributes,
    end_of_rib: Option<Family>,
    faults: Vec<Fault>,
}

impl<'a> Content<'a> {
    /// All that is withdrawn, in the order of the fields.
    fn withdrawn(&self) -> impl Iterator<Item = PrefixField<'a>> {
        let refused = self.announced.iter().flatten().map(|(_, field)| *field);
        let refused = refused.filter(|_| self.is_refused);
        self.withdrawn.iter().flatten().copied().chain(refused)
    }

    fn announced(&self) -> impl Iterator<Item = (NextHop, PrefixField<'a>)> {
        let announced = self.announced.iter().flatten().copied();
        announced.filter(|_| !self.is_refused)
    }

    fn into_update(self) -> Update {
        let mut update = Update {
            announced: self
                .announced()
                .map(|(next_hop, field)| Announcement {
                    next_hop,
                    prefixes: field.to_list(),
                })
                .collect(),
            ..Update::default()
        };
        self.withdrawn()
            .for_each(|field| update.withdraw(field.to_list()));
        update.attributes = self.attributes;
        update.end_of_rib = self.end_of_rib;
        update.faults = self.faults;
        update
    }

    fn into_packed(self, body: &Bytes) -> PackedUpdate {
        let announced = self
            .announced()
            .map(|(next_hop, field)| PackedAnnouncement {
                next_hop,
                prefixes: field.cut_from(body),
            });
        PackedUpdate {
            withdrawn: self.withdrawn().map(|field| field.cut_from(body)).collect(),
            announced: announced.collect(),
            attributes: self.attributes,
            end_of_rib: self.end_of_rib,
            faults: self.faults,
        }
    }
}
