//! Messages about nexthop objects.

use netlink_packet_core::{
    DecodeError, Emitable, ErrorContext, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, NlasIterator, Parseable,
};

use super::attribute::NexthopAttribute;
use super::header::{HEADER_LENGTH, NexthopHeader};
use super::{RTM_DELNEXTHOP, RTM_GETNEXTHOP, RTM_NEWNEXTHOP};

/// A nexthop object: a router on a link, a blackhole, or a group of such objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NexthopMessage {
    pub(crate) header: NexthopHeader,
    pub(crate) attributes: Vec<NexthopAttribute>,
}

impl Emitable for NexthopMessage {
    fn buffer_len(&self) -> usize {
        self.header.buffer_len() + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.header.emit(buffer);
        if let Some(rest) = buffer.get_mut(HEADER_LENGTH..) {
            self.attributes.as_slice().emit(rest);
        }
    }
}

impl Parseable<[u8]> for NexthopMessage {
    fn parse(buffer: &[u8]) -> Result<Self, DecodeError> {
        let header = NexthopHeader::parse(buffer).context("nexthop header")?;
        let mut attributes = Vec::new();
        for nla in NlasIterator::new(buffer.get(HEADER_LENGTH..).unwrap_or_default()) {
            let nla = nla.context("nexthop attribute")?;
            attributes.push(NexthopAttribute::parse_with(&nla, header.family)?);
        }
        Ok(Self { header, attributes })
    }
}

/// The three messages, for `NetlinkMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NexthopNetlinkMessage {
    New(NexthopMessage),
    Delete(NexthopMessage),
    Get(NexthopMessage),
}

impl NexthopNetlinkMessage {
    fn message(&self) -> &NexthopMessage {
        match self {
            Self::New(message) | Self::Delete(message) | Self::Get(message) => message,
        }
    }
}

impl NetlinkSerializable for NexthopNetlinkMessage {
    fn message_type(&self) -> u16 {
        match self {
            Self::New(_) => RTM_NEWNEXTHOP,
            Self::Delete(_) => RTM_DELNEXTHOP,
            Self::Get(_) => RTM_GETNEXTHOP,
        }
    }

    fn buffer_len(&self) -> usize {
        self.message().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.message().emit(buffer);
    }
}

impl NetlinkDeserializable for NexthopNetlinkMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let message = NexthopMessage::parse(payload)?;
        match header.message_type {
            RTM_NEWNEXTHOP => Ok(Self::New(message)),
            RTM_DELNEXTHOP => Ok(Self::Delete(message)),
            RTM_GETNEXTHOP => Ok(Self::Get(message)),
            other => Err(format!("message type {other} is not about nexthop objects").into()),
        }
    }
}

impl From<NexthopNetlinkMessage> for NetlinkPayload<NexthopNetlinkMessage> {
    fn from(message: NexthopNetlinkMessage) -> Self {
        Self::InnerMessage(message)
    }
}
