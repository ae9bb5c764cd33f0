//! NOTIFICATIONs: names, and the texts of a shutdown.

use bgp_wire::family::AfiSafi;
use bgp_wire::{Cease, ErrorCode, FsmError, HeaderError, Notification, OpenError, UpdateError};

#[test]
fn names() {
    for (notification, name) in [
        (
            Notification::cease(Cease::AdministrativeShutdown),
            "Cease/Administrative Shutdown",
        ),
        (
            Notification::open(OpenError::BadPeerAs, []),
            "OPEN Message Error/Bad Peer AS",
        ),
        (Notification::hold_timer_expired(), "Hold Timer Expired"),
        (
            Notification::update(UpdateError::MalformedAsPath, []),
            "UPDATE Message Error/Malformed AS_PATH",
        ),
        (
            Notification::header(HeaderError::BadType, [9]),
            "Message Header Error/Bad Message Type",
        ),
        (
            Notification::fsm(FsmError::OpenSent, []),
            "Neighbor Events Error/Receive Unexpected Message in OpenSent State",
        ),
        (
            Notification::new(3, 0, []),
            "UPDATE Message Error/Unspecific",
        ),
        (Notification::new(99, 7, []), "Unknown Error/Unknown"),
        (
            Notification::send_hold_timer_expired(),
            "Send Hold Timer Expired",
        ),
    ] {
        assert_eq!(notification.to_string(), name);
    }
}

#[test]
fn shutdown_communication_is_written_and_read() {
    let shutdown = Notification::shutdown(Cease::AdministrativeShutdown, "maintenance");
    assert_eq!(shutdown.data, b"\x0bmaintenance");
    assert_eq!(shutdown.shutdown_communication(), Some("maintenance"));
    let silent = Notification::shutdown(Cease::AdministrativeReset, "");
    assert!(silent.data.is_empty());
    assert_eq!(silent.shutdown_communication(), None);
    // 255 octets at most (RFC 9003), and whole characters.
    let long = Notification::shutdown(Cease::AdministrativeReset, &"ä".repeat(200));
    assert_eq!(long.data.len(), 255);
    assert_eq!(
        long.shutdown_communication(),
        Some("ä".repeat(127).as_str())
    );
}

#[test]
fn shutdown_communication_that_cannot_be_shown() {
    for data in [
        &[][..],
        &[0],
        &[5, b'a'],
        &[1, b'a', b'b'],
        &[2, 0xff, 0xfe],
    ] {
        let notification = Notification::new(6, 2, data);
        assert_eq!(notification.shutdown_communication(), None, "{data:?}");
    }
    let other = Notification::new(6, 3, [1, b'a']);
    assert_eq!(other.shutdown_communication(), None);
}

#[test]
fn hard_reset_carries_its_cause() {
    let cause = Notification::shutdown(Cease::AdministrativeReset, "upgrade");
    let reset = Notification::hard_reset(&cause);
    assert_eq!(reset.to_string(), "Cease/Hard Reset");
    assert_eq!(reset.hard_reset_cause(), Some(cause.clone()));
    assert_eq!(cause.hard_reset_cause(), None);
    assert_eq!(
        Notification::cease(Cease::HardReset).hard_reset_cause(),
        None
    );
}

#[test]
fn codes_as_types() {
    let limit = Notification::maximum_prefixes(AfiSafi::IPV6_UNICAST, 1000);
    assert_eq!(limit.data, [0, 2, 1, 0, 0, 3, 232]);
    assert_eq!(limit.error_code(), Some(ErrorCode::Cease));
    assert_eq!(limit.cease_reason(), Some(Cease::MaximumPrefixes));
    assert_eq!(Notification::new(9, 1, []).error_code(), None);
    assert_eq!(Notification::new(3, 1, []).cease_reason(), None);
    assert_eq!(Notification::new(6, 0, []).cease_reason(), None);
}
