//! A cache that says what the test tells it to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use holdfast_rtr::Vrp;
use holdfast_rtr::pdu::{Pdu, Timing, Version, put, take};

use crate::harness::{Namespace, SOON};

const TICK: Duration = Duration::from_millis(20);

/// A payload from its text, `192.0.2.0/24-24 AS65001`.
pub(crate) fn vrp(text: &str) -> Vrp {
    let (prefix, rest) = text.split_once('-').expect("a greatest length");
    let (longest, asn) = rest.split_once(" AS").expect("an AS");
    Vrp {
        prefix: prefix.parse().expect("a prefix"),
        max_length: longest.parse().expect("a length"),
        asn: asn.parse().expect("a number"),
    }
}

pub(crate) struct Cache {
    listener: TcpListener,
    connection: Option<(TcpStream, BytesMut)>,
}

impl Cache {
    pub(crate) fn listen(namespace: &Namespace, address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("an address and port");
        let listener = namespace.inside(|| TcpListener::bind(address));
        let listener = listener.expect("a listening socket");
        listener.set_nonblocking(true).expect("no waiting");
        Self {
            listener,
            connection: None,
        }
    }

    /// The router's next message, over a new connection if need be.
    #[track_caller]
    pub(crate) fn hears(&mut self) -> Pdu {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < SOON, "the router says nothing");
            let Some((stream, buffer)) = &mut self.connection else {
                match self.listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).expect("waiting");
                        stream.set_read_timeout(Some(TICK)).expect("not for long");
                        self.connection = Some((stream, BytesMut::new()));
                    }
                    Err(_) => std::thread::sleep(TICK),
                }
                continue;
            };
            if let Some((_, pdu)) = take(buffer).expect("a message") {
                return pdu;
            }
            let mut octets = [0; 4096];
            match stream.read(&mut octets) {
                Ok(0) => self.connection = None,
                Ok(count) => buffer.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.connection = None,
            }
        }
    }

    pub(crate) fn says(&mut self, pdus: &[Pdu]) {
        let mut out = BytesMut::new();
        for pdu in pdus {
            put(Version::V1, pdu, &mut out);
        }
        let (stream, _) = self.connection.as_mut().expect("a connection");
        stream.write_all(&out).expect("the router reads");
    }

    /// Answers a question: each payload comes (`+`) or goes (`-`).
    pub(crate) fn answers(&mut self, (session, serial): (u16, u32), payloads: &[&str]) {
        let mut pdus = vec![Pdu::CacheResponse { session }];
        pdus.extend(payloads.iter().map(|text| Pdu::Prefix {
            announce: text.starts_with('+'),
            vrp: vrp(&text[1..]),
        }));
        let timing = Some(Timing {
            refresh: 3_600,
            retry: 600,
            expire: 7_200,
        });
        pdus.push(Pdu::EndOfData {
            session,
            serial,
            timing,
        });
        self.says(&pdus);
    }

    /// Says that there is news, and hears the question for it.
    #[track_caller]
    pub(crate) fn notifies(&mut self, (session, serial): (u16, u32)) -> Pdu {
        self.says(&[Pdu::SerialNotify { session, serial }]);
        self.hears()
    }

    /// Closes the connection; the router may come again.
    pub(crate) fn closes(&mut self) {
        self.connection = None;
    }
}
