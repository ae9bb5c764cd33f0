//! Traffic that is counted: numbered datagrams at a steady pace from one
//! namespace to another, and which of them arrived.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::{Namespace, SOON, wait_until};

/// One datagram of each stream in this time.
const PACE: Duration = Duration::from_millis(1);
/// Where the receivers listen.
const PORT: u16 = 9000;
/// Room for what arrives while the receiver gets no processor, in octets.
const BUFFER: usize = 8 << 20;
/// Numbers from here on are sent before the count begins, one for each flow.
const KNOCK: u64 = u64::MAX - 0xffff;
/// How long the last datagrams may be on their way.
const LATE: Duration = Duration::from_secs(1);

/// 1,000 datagrams a second from a namespace to an address of another one.
#[derive(Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) from: &'a Namespace,
    pub(crate) to: &'a Namespace,
    pub(crate) destination: &'a str,
    /// How many source ports take turns.
    pub(crate) flows: usize,
}

/// What came of one stream, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Between two datagrams of a stream that arrived, with lost ones between
    /// them, by the times at which they were sent.
    pub(crate) longest_gap: Duration,
    /// From the first that was lost to the last one: of several flows, some
    /// arrive while others do not.
    pub(crate) span: Duration,
}

/// Streams on their way; dropping them ends them.
pub(crate) struct Traffic {
    streams: Vec<Running>,
}

struct Running {
    label: String,
    shared: Arc<Shared>,
    /// When each datagram was sent.
    sender: Option<JoinHandle<Vec<Instant>>>,
    /// The numbers that arrived.
    receiver: Option<JoinHandle<Vec<u64>>>,
}

#[derive(Default)]
struct Shared {
    stop_sending: AtomicBool,
    stop_receiving: AtomicBool,
    /// Datagrams that were received since the count began.
    received: AtomicU64,
    /// The flows that were heard of before it began.
    knocked: Mutex<Vec<bool>>,
}

// ===== impl Traffic =====

impl Traffic {
    /// Begins when all flows of all streams get through: what is lost from
    /// then on is counted.
    #[track_caller]
    pub(crate) fn start(streams: &[Stream<'_>]) -> Self {
        let streams: Vec<Running> = streams.iter().map(Running::start).collect();
        let traffic = Self { streams };
        wait_until(SOON, "traffic gets through", || {
            traffic.streams.iter().all(|running| running.counts())
        });
        traffic
    }

    /// Waits until each stream has received so many datagrams more.
    #[track_caller]
    pub(crate) fn wait_received(&self, more: u64) {
        let wanted: Vec<u64> = self.streams.iter().map(|s| s.received() + more).collect();
        for (stream, wanted) in self.streams.iter().zip(wanted) {
            let what = format!("{more} more datagrams of {}", stream.label);
            wait_until(SOON, &what, || stream.received() >= wanted);
        }
    }

    /// Ends it. The counts by stream, in order.
    pub(crate) fn stop(mut self) -> Vec<Count> {
        self.streams.iter_mut().map(Running::finish).collect()
    }

    /// Ends it. All streams together; the lines say which one lost what.
    pub(crate) fn total(mut self) -> Count {
        let mut total = Count::default();
        for running in &mut self.streams {
            let count = running.finish();
            if count.lost() > 0 {
                println!("{}: {count}", running.label);
            }
            total.sent += count.sent;
            total.received += count.received;
            total.longest_gap = total.longest_gap.max(count.longest_gap);
            total.span = total.span.max(count.span);
        }
        total
    }
}

// ===== impl Count =====

impl Count {
    pub(crate) fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// `numbers` that arrived of those that were sent at `times`.
    fn of(times: &[Instant], numbers: &[u64]) -> Self {
        let mut arrived = vec![false; times.len()];
        for number in numbers {
            let index = usize::try_from(*number).expect("a number that was sent");
            arrived[index] = true;
        }
        let mut count = Self {
            sent: times.len() as u64,
            ..Self::default()
        };
        let mut lost = (0..times.len()).filter(|index| !arrived[*index]);
        if let Some(first) = lost.next() {
            count.span = times[lost.next_back().unwrap_or(first)] - times[first];
        }
        count.received = arrived.iter().filter(|here| **here).count() as u64;
        // The ends count as if they had arrived.
        let mut from = 0;
        for index in 0..times.len() {
            let last = index + 1 == times.len();
            if arrived[index] || last {
                if index > from + 1 || (last && !arrived[index]) {
                    count.longest_gap = count.longest_gap.max(times[index] - times[from]);
                }
                from = index;
            }
        }
        count
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "sent {}, lost {}, longest gap {} ms, first to last {} ms",
            self.sent,
            self.lost(),
            self.longest_gap.as_millis(),
            self.span.as_millis()
        )
    }
}

// ===== impl Running =====

impl Running {
    fn start(stream: &Stream<'_>) -> Self {
        let destination: IpAddr = stream.destination.parse().expect("an address");
        let unspecified: IpAddr = match destination {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let bind = |address: SocketAddr| UdpSocket::bind(address).expect("a socket");
        let inbox = stream.to.inside(|| bind((destination, PORT).into()));
        // A failure leaves the system's own size.
        let _ = setsockopt(&inbox, sockopt::RcvBufForce, &BUFFER);
        let poll = Some(Duration::from_millis(20));
        inbox.set_read_timeout(poll).expect("a timeout");
        let outlets: Vec<UdpSocket> = stream.from.inside(|| {
            let each = (0..stream.flows).map(|_| bind((unspecified, 0).into()));
            each.collect()
        });
        let shared = Arc::new(Shared::default());
        *shared.knocked.lock().expect("flows") = vec![false; stream.flows];
        let (to_send, to_receive) = (Arc::clone(&shared), Arc::clone(&shared));
        let to = SocketAddr::from((destination, PORT));
        Self {
            label: format!("{} to {destination}", stream.from.label()),
            sender: Some(std::thread::spawn(move || send(&outlets, to, &to_send))),
            receiver: Some(std::thread::spawn(move || receive(&inbox, &to_receive))),
            shared,
        }
    }

    /// Whether all flows got through once.
    fn counts(&self) -> bool {
        self.shared.open()
    }

    fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    fn finish(&mut self) -> Count {
        self.shared.stop_sending.store(true, Ordering::Relaxed);
        let times = join(&mut self.sender);
        let (mut last, mut news) = (self.received(), Instant::now());
        while last < times.len() as u64 && news.elapsed() < LATE {
            sleep(PACE);
            if self.received() != last {
                (last, news) = (self.received(), Instant::now());
            }
        }
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        Count::of(&times, &join(&mut self.receiver))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop_sending.store(true, Ordering::Relaxed);
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        drop(self.sender.take().map(JoinHandle::join));
        drop(self.receiver.take().map(JoinHandle::join));
    }
}

impl Shared {
    fn open(&self) -> bool {
        self.knocked
            .lock()
            .expect("flows")
            .iter()
            .all(|heard| *heard)
    }
}

fn join<T>(thread: &mut Option<JoinHandle<T>>) -> T {
    let thread = thread.take().expect("a stream is finished once");
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

// ===== the threads =====

fn send(outlets: &[UdpSocket], to: SocketAddr, shared: &Shared) -> Vec<Instant> {
    let stopped = || shared.stop_sending.load(Ordering::Relaxed);
    while !shared.open() && !stopped() {
        for (outlet, number) in outlets.iter().zip(KNOCK..) {
            // Not everything is there yet.
            let _ = outlet.send_to(&number.to_be_bytes(), to);
        }
        sleep(10 * PACE);
    }
    let mut times = Vec::new();
    let mut due = Instant::now();
    let mut turn = outlets.iter().cycle();
    while !stopped() {
        // After a pause what is missing is sent at once, so that the count is
        // that of the time that went by.
        while due <= Instant::now() {
            let number = times.len() as u64;
            times.push(Instant::now());
            let outlet = turn.next().expect("a flow");
            // What cannot be sent does not arrive, and is counted so.
            let _ = outlet.send_to(&number.to_be_bytes(), to);
            due += PACE;
        }
        sleep(due.saturating_duration_since(Instant::now()));
    }
    times
}

fn receive(inbox: &UdpSocket, shared: &Shared) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut datagram = [0; 8];
    while !shared.stop_receiving.load(Ordering::Relaxed) {
        match inbox.recv(&mut datagram) {
            Ok(8) => {}
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => panic!("a receiver: {error}"),
        }
        let number = u64::from_be_bytes(datagram);
        match number.checked_sub(KNOCK) {
            Some(flow) => {
                let flow = usize::try_from(flow).expect("the number of a flow");
                shared.knocked.lock().expect("flows")[flow] = true;
            }
            None => {
                numbers.push(number);
                shared.received.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    numbers
}
