//! Events on their way out. Bounded by what there is to tell about, not by time: a newer event
//! about the same thing takes the older one's place.

use std::collections::VecDeque;

use hashbrown::HashMap;
use ipnet::IpNet;
use tokio::sync::mpsc;

use crate::handle::{Event, Source, TrackKey};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    NextHop(TrackKey),
    Route(IpNet),
    KernelRoute(IpNet, Source),
    Interface(u32),
}

impl Subject {
    fn of(event: &Event) -> Self {
        match event {
            Event::NextHopChanged { key, .. } => Self::NextHop(*key),
            Event::RouteInstalled { prefix, .. }
            | Event::RouteRemoved(prefix)
            | Event::RouteFailed { prefix, .. } => Self::Route(*prefix),
            Event::KernelRoute { prefix, source, .. } => Self::KernelRoute(*prefix, *source),
            Event::InterfaceChanged(interface) => Self::Interface(interface.ifindex),
            Event::InterfaceRemoved { ifindex, .. } => Self::Interface(*ifindex),
        }
    }
}

/// The queue, and the channel it empties into.
#[derive(Debug)]
pub(crate) struct Outbox {
    channel: mpsc::Sender<Event>,
    order: VecDeque<Subject>,
    waiting: HashMap<Subject, Event>,
}

impl Outbox {
    pub(crate) fn new(channel: mpsc::Sender<Event>) -> Self {
        Self {
            channel,
            order: VecDeque::new(),
            waiting: HashMap::new(),
        }
    }

    /// Sends `event`, or keeps it until there is room.
    pub(crate) fn push(&mut self, event: Event) {
        let event = match self.order.is_empty().then(|| self.channel.try_reserve()) {
            Some(Ok(permit)) => return permit.send(event),
            _ => event,
        };
        let subject = Subject::of(&event);
        if self.waiting.insert(subject, event).is_none() {
            self.order.push_back(subject);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Waits for room, then sends what fits. With nobody left to tell, forgets all.
    pub(crate) async fn deliver(&mut self) {
        let Ok(permit) = self.channel.reserve().await else {
            self.order.clear();
            self.waiting.clear();
            return;
        };
        if let Some(event) = self.order.pop_front().and_then(|s| self.waiting.remove(&s)) {
            permit.send(event);
        }
        while !self.order.is_empty()
            && let Ok(permit) = self.channel.try_reserve()
            && let Some(event) = self.order.pop_front().and_then(|s| self.waiting.remove(&s))
        {
            permit.send(event);
        }
    }
}
