//! How often: requests of one key, and bad keys from one address.
//!
//! A request's key is looked up first, whoever sends it, and a request with a good key is never refused for the bad keys of its
//! neighbours: many senders share one address behind a NAT or a CDP. A bad key from an address that has sent too many is
//! answered 429 instead of 401, the same for unknown, revoked and expired keys and wrong secrets. What that leaves to whoever guesses: a guess that is
//! right is answered as right at any time. So what keeps a key from being guessed is its 256 random bits; the limit keeps noise out of the
//! logs, tells a sender with a mistake to slow down, and keeps 401s and 429s from telling what is wrong with a key.

use super::answer::Refusal;
use crate::server::block;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Calls after which a limit forgets keys or addresses that are as good as new, at least and at most: between them as many as it
/// remembers, so that forgetting costs each call next to nothing.
const CALLS: (usize, usize) = (1024, 4096);
/// Addresses that are remembered at most, however many send bad keys.
const MOST_ADDRESSES: usize = 65_536;
/// What all further addresses count as.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// One quota for each of many.
struct Keyed<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    /// Calls until it is time to forget.
    calls_left: Mutex<usize>,
}

/// The limits of a receiver.
pub(super) struct RateLimits<C: Clock = DefaultClock> {
    clock: C,
    rate: Option<NonZeroU32>,
    /// By their rate, of which there are few: each key's own, or the setting's.
    keys: Mutex<HashMap<NonZeroU32, Arc<Keyed<String, C>>>>,
    bad_keys: Option<Keyed<IpAddr, C>>,
}

impl RateLimits {
    /// `rate`: requests a second with one key that has no rate of its own. `bad_keys`: those of one address in a minute. `None`: no limit.
    pub(super) fn new(rate: Option<NonZeroU32>, bad_keys: Option<NonZeroU32>) -> RateLimits {
        RateLimits::with_clock(rate, bad_keys, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(rate: Option<NonZeroU32>, bad_keys: Option<NonZeroU32>, clock: C) -> RateLimits<C> {
        let bad_keys = bad_keys.map(|number| Keyed::new(Quota::per_minute(number), clock.clone()));
        RateLimits { clock, rate, keys: Mutex::default(), bad_keys }
    }

    /// One request with a key that is good. `own`: the key's rate, if it has one.
    ///
    /// # Errors
    /// 429 beyond the rate.
    pub(super) fn key(&self, id: &str, own: Option<u32>) -> Result<(), Refusal> {
        // A key cannot have the rate 0; if it says so, it goes by the setting.
        let Some(rate) = own.and_then(NonZeroU32::new).or(self.rate) else { return Ok(()) };
        let keyed = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let keyed =
                keys.entry(rate).or_insert_with(|| Arc::new(Keyed::new(Quota::per_second(rate), self.clock.clone())));
            Arc::clone(keyed)
        };
        keyed.forget();
        keyed.check(&id.to_owned(), &self.clock).map_err(Refusal::TooManyRequests)
    }

    /// What a request with a bad key or secret is answered: 401, or 429 beyond the limit.
    pub(super) fn bad_key(&self, address: IpAddr) -> Refusal {
        let Some(keyed) = &self.bad_keys else { return Refusal::Unauthorized };
        let remembered = keyed.forget();
        let address = if remembered < MOST_ADDRESSES { block(address) } else { ELSEWHERE };
        match keyed.check(&address, &self.clock) {
            Ok(()) => Refusal::Unauthorized,
            Err(wait) => Refusal::TooManyRequests(wait),
        }
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Keyed<K, C> {
    fn new(quota: Quota, clock: C) -> Keyed<K, C> {
        Keyed { limiter: RateLimiter::hashmap_with_clock(quota, clock), calls_left: Mutex::new(CALLS.0) }
    }

    /// How long to wait, if it is too much.
    fn check(&self, key: &K, clock: &C) -> Result<(), Duration> {
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(clock.now()))
    }

    /// Forgets whoever is as good as new, from time to time. How many are remembered.
    fn forget(&self) -> usize {
        let mut calls_left = self.calls_left.lock().unwrap_or_else(PoisonError::into_inner);
        *calls_left = calls_left.saturating_sub(1);
        if *calls_left == 0 {
            self.limiter.retain_recent();
            *calls_left = self.limiter.len().clamp(CALLS.0, CALLS.1);
        }
        self.limiter.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    type Limits = RateLimits<FakeRelativeClock>;

    fn limits(rate: u32, bad_keys: u32) -> (Limits, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (RateLimits::with_clock(NonZeroU32::new(rate), NonZeroU32::new(bad_keys), clock.clone()), clock)
    }

    fn passed(times: usize, mut one: impl FnMut() -> Result<(), Refusal>) -> usize {
        (0..times).filter(|_| one().is_ok()).count()
    }

    #[test]
    fn a_key_has_its_rate() {
        let (limits, clock) = limits(100, 10);
        assert_eq!(passed(150, || limits.key("a", None)), 100);
        assert_eq!(passed(150, || limits.key("b", None)), 100, "each key for itself");
        assert_eq!(passed(150, || limits.key("c", Some(7))), 7, "its own");
        let Err(Refusal::TooManyRequests(wait)) = limits.key("c", Some(7)) else { panic!("beyond its rate") };
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(143), "{wait:?}");
        clock.advance(wait);
        assert_eq!(passed(3, || limits.key("c", Some(7))), 1, "one more after the wait");
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(150, || limits.key("a", None)), 100);
        assert_eq!(passed(3000, || limits.key("c", Some(2000))), 2000, "a new rate counts at once");
    }

    #[test]
    fn bad_keys_are_counted_by_address() {
        let (limits, clock) = limits(100, 10);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let told = |from: &str| limits.bad_key(address(from));
        for _ in 0..10 {
            assert_eq!(told("10.0.0.1"), Refusal::Unauthorized);
        }
        let Refusal::TooManyRequests(wait) = told("10.0.0.1") else { panic!("beyond the limit") };
        assert!(wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(told("10.0.0.2"), Refusal::Unauthorized);
        clock.advance(Duration::from_secs(6));
        assert_eq!(told("10.0.0.1"), Refusal::Unauthorized);
        assert!(matches!(told("::ffff:10.0.0.1"), Refusal::TooManyRequests(_)), "the same address");
        for host in 0..10 {
            assert_eq!(told(&format!("2001:db8::{host}")), Refusal::Unauthorized);
        }
        assert!(matches!(told("2001:db8::ff"), Refusal::TooManyRequests(_)), "one network");
        assert_eq!(told("2001:db8:0:1::1"), Refusal::Unauthorized, "another");
    }

    #[test]
    fn no_limit() {
        let (limits, _) = limits(0, 0);
        assert_eq!(passed(5000, || limits.key("a", None)), 5000);
        assert_eq!(passed(50, || limits.key("a", Some(5))), 5, "the key's own");
        assert!((0..500).all(|_| limits.bad_key(ELSEWHERE) == Refusal::Unauthorized));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (limits, clock) = limits(100, 10);
        let bad_keys = limits.bad_keys.as_ref().expect("limited");
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
        for number in 1..=200_000 {
            limits.bad_key(address(number));
        }
        assert!(bad_keys.limiter.len() <= MOST_ADDRESSES + 1, "{}", bad_keys.limiter.len());
        assert!(matches!(limits.bad_key(address(300_000)), Refusal::TooManyRequests(_)), "the rest count as one");
        clock.advance(Duration::from_secs(61));
        assert_eq!(limits.bad_key(address(300_000)), Refusal::Unauthorized);
        for number in 1..=6000 {
            limits.bad_key(address(number));
            clock.advance(Duration::from_secs(61));
        }
        assert!(bad_keys.limiter.len() <= 2 * CALLS.0, "{}", bad_keys.limiter.len());
        for number in 0..5000 {
            assert_eq!(limits.key(&number.to_string(), None), Ok(()));
            clock.advance(Duration::from_secs(1));
        }
        let keys = limits.keys.lock().expect("not poisoned");
        let keyed = &keys[&NonZeroU32::new(100).expect("not 0")];
        assert!(keyed.limiter.len() <= 2 * CALLS.0, "{}", keyed.limiter.len());
    }
}
