//! Places for connections: so many in all, and so many for each caller, as far as connections can be told apart.
//!
//! Who has no place left is told so, over a connection that ends soon after. Only so many are told at a time: in a flood
//! the rest are closed at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::handover::Peer;
use crate::metrics;
use crate::trouble::Trouble;

/// So many connections at once are told that their caller has no place left.
const TOLD: usize = 64;

/// All places.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    each: usize,
    taken: Mutex<HashMap<Who, usize>>,
    told: AtomicUsize,
    trouble: Trouble,
}

/// Whom a connection counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// An address, or the network of IPv6 addresses that one host may have.
    Address(IpAddr),
    /// A user of this machine.
    User(u32),
    /// A `[[caller]]` of this name.
    Caller(Box<str>),
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// `None` for whom cannot be told from others.
    who: Option<Who>,
    kind: Kind,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counted,
    /// Its caller has none left.
    Told,
}

impl Places {
    /// So many in all, and so many for each caller.
    pub fn new(all: usize, each: usize) -> Places {
        Places {
            all: Arc::new(Semaphore::new(all)),
            each,
            taken: Mutex::default(),
            told: AtomicUsize::new(0),
            trouble: Trouble::default(),
        }
    }

    /// Waits for one of all places.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Whether every place is taken.
    pub(super) fn are_taken(&self) -> bool {
        self.all.available_permits() == 0
    }

    /// A place for this connection; `None` when it is to be closed at once.
    pub(super) fn seat(self: &Arc<Places>, peer: &Peer, permit: OwnedSemaphorePermit) -> Option<Place> {
        if self.trouble.is_over() {
            tracing::info!(target: "listener", "every caller has places for its connections again");
        }
        let mut place = Place { places: Arc::clone(self), who: None, kind: Kind::Counted, _permit: permit };
        (who(peer).is_none_or(|who| place.count_for(who)) || place.tell()).then_some(place)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Who, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, who: &Who) {
        if let Entry::Occupied(mut taken) = self.taken().entry(who.clone()) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

impl Place {
    /// The caller is known by name now: one address may be that of many. False when that caller has no place left.
    pub(super) fn is_of(&mut self, caller: &str) -> bool {
        self.kind == Kind::Counted
            && (self.count_for(Who::Caller(caller.into())) || {
                self.tell();
                false
            })
    }

    /// Whether the connection ends as soon as it was told that its caller has no place left.
    pub(super) fn is_told(&self) -> bool {
        self.kind == Kind::Told
    }

    fn count_for(&mut self, who: Who) -> bool {
        let mut all = self.places.taken();
        let taken = all.entry(who.clone()).or_default();
        if *taken >= self.places.each {
            drop(all);
            metrics::connection_refused();
            if self.places.trouble.begins() {
                let limit = self.places.each;
                tracing::warn!(
                    target: "listener", limit, from = %who,
                    "a caller has as many connections open as it may (limits.connections_per_caller): more are refused"
                );
            }
            return false;
        }
        *taken += 1;
        drop(all);
        if let Some(before) = self.who.replace(who) {
            self.places.leave(&before);
        }
        true
    }

    /// False when too many are being told already.
    fn tell(&mut self) -> bool {
        let told = self.places.told.fetch_add(1, Relaxed) + 1;
        self.kind = Kind::Told;
        told <= TOLD
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(who) = &self.who {
            self.places.leave(who);
        }
        if self.kind == Kind::Told {
            self.places.told.fetch_sub(1, Relaxed);
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Address(address) => address.fmt(f),
            Who::User(uid) => write!(f, "uid {uid}"),
            Who::Caller(name) => f.write_str(name),
        }
    }
}

/// Whom a connection comes from. Everybody on this machine has the same address.
fn who(peer: &Peer) -> Option<Who> {
    match peer {
        Peer::Tcp(_, from) => network(from.ip().to_canonical()).map(Who::Address),
        Peer::Unix(_, uid) => uid.map(Who::User),
    }
}

fn network(address: IpAddr) -> Option<IpAddr> {
    match address {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        // The smallest network that is handed out: a host in it has all of its addresses.
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some([a, b, c, d, 0, 0, 0, 0].into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    async fn seat(places: &Arc<Places>) -> Option<Place> {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let permit = places.free().await.unwrap();
        places.seat(&Peer::Unix(ours, Some(7)), permit)
    }

    #[tokio::test]
    async fn a_caller_has_so_many_places_and_some_more_are_told_so() {
        let places = Arc::new(Places::new(1000, 3));
        let mut seats = Vec::new();
        for n in 0..3 + TOLD {
            let seat = seat(&places).await.unwrap();
            assert_eq!(seat.is_told(), n >= 3, "{n}");
            seats.push(seat);
        }
        assert!(seat(&places).await.is_none(), "closed at once");
        assert!(!places.are_taken());
        seats.remove(0);
        seats.pop();
        assert!(!seat(&places).await.unwrap().is_told());
        drop(seats);
        assert!(places.taken().is_empty() && places.told.load(Relaxed) == 0);
        assert_eq!(places.all.available_permits(), 1000);
    }

    #[tokio::test]
    async fn who_turns_out_to_have_a_name_counts_for_that_name() {
        let places = Arc::new(Places::new(1000, 2));
        let mut seats = Vec::new();
        for _ in 0..2 {
            let mut seat = seat(&places).await.unwrap();
            assert!(seat.is_of("pods"));
            seats.push(seat);
        }
        // The user has its places back, the name has none left.
        let mut more = seat(&places).await.unwrap();
        assert!(!more.is_told() && !more.is_of("pods") && more.is_told());
        drop((seats, more));
        assert!(places.taken().is_empty());
    }

    #[test]
    fn addresses_that_one_host_may_have_are_one_and_this_machines_are_nobodys() {
        for (address, counts_as) in [
            ("127.0.0.1", None),
            ("127.9.9.9", None),
            ("::1", None),
            ("192.0.2.7", Some("192.0.2.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::")),
        ] {
            let expected = counts_as.map(|text| text.parse().unwrap());
            assert_eq!(network(address.parse().unwrap()), expected, "{address}");
        }
    }
}
