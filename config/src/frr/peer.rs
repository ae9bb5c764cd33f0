//! Lines about a neighbor or peer group, whatever the address family.

use crate::model::{PeerSettings, Shutdown, UpdateSource};
use crate::validate::{PASSWORD, can_be_password};

use super::instance::read_timers;
use super::row::{Apply, Args, Done, PeerFlag, Print, Rejection, Row, Said, Target};

macro_rules! peer {
    ($rest:literal) => {
        concat!("neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

macro_rules! no_peer {
    ($rest:literal) => {
        concat!("no neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

macro_rules! flag {
    ($text:literal, $field:ident) => {
        Row::new(
            peer!($text),
            no_peer!($text),
            Apply::PeerFlag(PeerFlag {
                get: |settings: &PeerSettings| settings.$field,
                set: |settings, on| settings.$field = on,
            }),
            Print::Flag,
        )
    };
}

/// In the order in which FRR prints them.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        peer!("description LINE...$text"),
        no_peer!("description [LINE...]"),
        Apply::Peer(|target, args| {
            target.settings.description = args.when_on(args.text("text"));
            Ok(())
        }),
        Print::Peer(|shown| {
            let text = shown.settings.description.as_ref()?;
            Some(Said::on(format!("description {text}")))
        }),
    ),
    Row::new(
        peer!("shutdown [message LINE...$message]"),
        no_peer!("shutdown [message LINE...]"),
        Apply::Peer(shutdown),
        Print::Peer(|shown| {
            let group_is_shut = shown
                .group
                .is_some_and(|group| matches!(group.shutdown, Some(Shutdown::On { .. })));
            match shown.settings.shutdown.as_ref()? {
                Shutdown::On {
                    message: Some(message),
                } => Some(Said::on(format!("shutdown message {message}"))),
                Shutdown::On { message: None } => Some(Said::on("shutdown")),
                Shutdown::Off => group_is_shut.then(|| Said::off("shutdown")),
            }
        }),
    ),
    Row::new(
        peer!("password WORD$password"),
        no_peer!("password [WORD]"),
        Apply::Peer(password),
        Print::Peer(|shown| {
            let password = shown.settings.password.as_ref()?;
            Some(Said::on(format!("password {password}")))
        }),
    ),
    Row::new(
        peer!("port (1-65535)$port"),
        no_peer!("port [(1-65535)]"),
        Apply::Peer(|target, args| {
            target.settings.port = args.when_on(args.number("port"));
            Ok(())
        }),
        Print::Peer(|shown| Some(Said::on(format!("port {}", shown.settings.port?)))),
    ),
    flag!("passive", passive),
    Row::new(
        peer!("ebgp-multihop [(1-255)$hops]"),
        no_peer!("ebgp-multihop [(1-255)]"),
        Apply::Peer(|target, args| {
            target.settings.ebgp_multihop = args.on.then(|| args.number("hops").unwrap_or(255));
            Ok(())
        }),
        Print::Peer(|shown| {
            Some(Said::on(format!(
                "ebgp-multihop {}",
                shown.settings.ebgp_multihop?
            )))
        }),
    ),
    flag!("disable-connected-check", disable_connected_check),
    flag!("aigp", aigp),
    flag!(
        "disable-link-bw-encoding-ieee",
        disable_link_bw_encoding_ieee
    ),
    Row::new(
        peer!("update-source <A.B.C.D|X:X::X:X|WORD>$source"),
        no_peer!("update-source [<A.B.C.D|X:X::X:X|WORD>]"),
        Apply::Peer(update_source),
        Print::Peer(|shown| {
            let source = shown.settings.update_source.as_ref()?;
            Some(Said::on(format!("update-source {source}")))
        }),
    ),
    Row::new(
        peer!("timers (0-65535)$keepalive (0-65535)$hold"),
        no_peer!("timers [(0-65535) (0-65535)]"),
        Apply::Peer(|target, args| {
            target.settings.timers = if args.on { read_timers(args)? } else { None };
            Ok(())
        }),
        Print::Peer(|shown| {
            let timers = shown.settings.timers?;
            Some(Said::on(format!(
                "timers {} {}",
                timers.keepalive_secs, timers.hold_secs
            )))
        }),
    ),
    Row::new(
        peer!("timers connect (1-65535)$seconds"),
        no_peer!("timers connect [(1-65535)]"),
        Apply::Peer(|target, args| {
            target.settings.connect_retry_secs = args.when_on(args.number("seconds"));
            Ok(())
        }),
        Print::Peer(|shown| {
            Some(Said::on(format!(
                "timers connect {}",
                shown.settings.connect_retry_secs?
            )))
        }),
    ),
    flag!("capability extended-nexthop", extended_nexthop),
];

/// A repeated `shutdown` without a message keeps the message, as in FRR.
fn shutdown(target: &mut Target<'_>, args: &Args<'_>) -> Done {
    let group_is_shut = target
        .group
        .is_some_and(|group| matches!(group.shutdown, Some(Shutdown::On { .. })));
    let said = args.text("message");
    target.settings.shutdown = match (args.on, target.settings.shutdown.take()) {
        (true, Some(Shutdown::On { message })) => Some(Shutdown::On {
            message: said.or(message),
        }),
        (true, _) => Some(Shutdown::On { message: said }),
        (false, _) => group_is_shut.then_some(Shutdown::Off),
    };
    Ok(())
}

fn password(target: &mut Target<'_>, args: &Args<'_>) -> Done {
    let password = args.when_on(args.text("password"));
    if !password.as_deref().is_none_or(can_be_password) {
        return Err(Rejection::at("password", PASSWORD));
    }
    target.settings.password = password;
    Ok(())
}

fn update_source(target: &mut Target<'_>, args: &Args<'_>) -> Done {
    let address = args.address("source");
    let interface = args.text("source");
    let source = address
        .map(UpdateSource::Address)
        .or_else(|| interface.map(UpdateSource::Interface));
    target.settings.update_source = args.when_on(source);
    Ok(())
}
