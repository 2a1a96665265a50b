//! Whether the destination is worth an attempt at all: a circuit breaker. Pure.
//!
//! Closed: attempts pass and are counted. Open: nothing passes until a cool-down is over. Half open: exactly one attempt
//! passes, the probe; it closes the breaker or opens it for twice as long. An attempt that began in an earlier state is no
//! longer counted, however late it ends.

use super::window::Window;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(5 * 60);
const STEP: Duration = Duration::from_secs(5);
/// Fewer attempts say nothing.
const MIN_ATTEMPTS: u64 = 10;
/// It opens at so many failures in a hundred attempts.
const TRIP_PERCENT: u64 = 70;
const FIRST_COOL_DOWN: Duration = Duration::from_secs(30);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(5 * 60);
/// A cool-down is longer or shorter by up to this share, so that several senders do not probe together.
const JITTER_PERCENT: u32 = 10;

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Now; to be told how it ended with this number.
    Go(u64),
    /// Not before then.
    At(Duration),
    /// Not before the probe has ended.
    Probing,
}

/// The breaker has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deliver) struct Opened {
    /// Failures …
    pub(in crate::deliver) failures: u64,
    /// … of so many attempts.
    pub(in crate::deliver) attempts: u64,
    /// The end of this cool-down is further from the first opening than the patience given.
    pub(in crate::deliver) too_long: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Duration },
    HalfOpen,
}

pub(super) struct Breaker {
    state: State,
    /// Attempts and failures.
    window: Window,
    /// Grows with each change of state.
    era: u64,
    cool_down: Duration,
    /// When it first opened since it was last closed.
    down_since: Option<Duration>,
    opened: u64,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Breaker {
            state: State::Closed,
            window: Window::new(SPAN, STEP),
            era: 0,
            cool_down: FIRST_COOL_DOWN,
            down_since: None,
            opened: 0,
        }
    }

    /// Whether an attempt could begin; changes nothing.
    pub(super) fn check(&self, now: Duration) -> Pass {
        match self.state {
            State::Closed => Pass::Go(self.era),
            State::Open { until } if now < until => Pass::At(until),
            State::Open { .. } => Pass::Go(self.era + 1),
            State::HalfOpen => Pass::Probing,
        }
    }

    /// Lets an attempt begin, if it may.
    pub(super) fn admit(&mut self, now: Duration) -> Pass {
        let pass = self.check(now);
        if let (Pass::Go(_), State::Open { .. }) = (pass, self.state) {
            self.turn(State::HalfOpen);
        }
        pass
    }

    /// The attempt with number `era` has ended. `random`: any 128 random bits.
    pub(super) fn ended(
        &mut self,
        era: u64,
        failed: bool,
        now: Duration,
        patience: Duration,
        random: u128,
    ) -> Option<Opened> {
        if era != self.era {
            return None;
        }
        self.window.add(now, [1, u64::from(failed)]);
        let [attempts, failures] = self.window.sums(now);
        match self.state {
            State::HalfOpen if !failed => {
                self.turn(State::Closed);
                self.window.clear();
                (self.cool_down, self.down_since) = (FIRST_COOL_DOWN, None);
                return None;
            }
            State::HalfOpen => self.cool_down = (self.cool_down * 2).min(LONGEST_COOL_DOWN),
            _ if attempts < MIN_ATTEMPTS || failures * 100 < attempts * TRIP_PERCENT => return None,
            _ => {}
        }
        let until = now.saturating_add(jittered(self.cool_down, random));
        let since = *self.down_since.get_or_insert(now);
        self.turn(State::Open { until });
        self.opened += 1;
        Some(Opened { failures, attempts, too_long: until - since > patience })
    }

    /// The attempt with number `era` was broken off: another one may be the probe.
    pub(super) fn abandoned(&mut self, era: u64, now: Duration) {
        if era == self.era && self.state == State::HalfOpen {
            self.turn(State::Open { until: now });
        }
    }

    /// `closed`, `open` or `half_open`.
    pub(super) fn state(&self) -> &'static str {
        match self.state {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::HalfOpen => "half_open",
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How often it has opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}

fn jittered(time: Duration, random: u128) -> Duration {
    let range = time * JITTER_PERCENT * 2 / 100;
    let nanos = u64::try_from(range.as_nanos()).unwrap_or(u64::MAX);
    let drawn = ((random >> 64) * (u128::from(nanos) + 1)) >> 64;
    time - range / 2 + Duration::from_nanos(u64::try_from(drawn).unwrap_or(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5 * 60);
    /// The middle of the jitter.
    const MIDDLE: u128 = 1 << 127;

    fn attempt(breaker: &mut Breaker, failed: bool, now: Duration) -> Option<Opened> {
        let Pass::Go(era) = breaker.admit(now) else { panic!("{:?} at {now:?}", breaker.check(now)) };
        breaker.ended(era, failed, now, PATIENCE, MIDDLE)
    }

    #[test]
    fn it_opens_at_seventy_percent_of_ten_attempts_or_more() {
        for (failures, successes, opens) in
            [(9, 0, false), (10, 0, true), (7, 3, true), (6, 4, false), (69, 31, false), (70, 30, true)]
        {
            let mut breaker = Breaker::new();
            (0..successes).for_each(|_| assert_eq!(attempt(&mut breaker, false, SECOND), None));
            let last = (0..failures).map(|_| attempt(&mut breaker, true, SECOND)).last().flatten();
            assert_eq!(last.is_some(), opens, "{failures} failures, {successes} successes: {last:?}");
        }
    }

    #[test]
    fn what_is_older_than_five_minutes_does_not_count() {
        let mut breaker = Breaker::new();
        (0..9).for_each(|_| assert_eq!(attempt(&mut breaker, true, SECOND), None));
        assert_eq!(attempt(&mut breaker, true, SECOND + SPAN), None);
        assert_eq!(breaker.state(), "closed");
    }

    fn open() -> Breaker {
        let mut breaker = Breaker::new();
        let opened = (0..10).map(|_| attempt(&mut breaker, true, Duration::ZERO)).last().flatten();
        assert_eq!(opened, Some(Opened { failures: 10, attempts: 10, too_long: false }));
        breaker
    }

    #[test]
    fn one_probe_after_each_cool_down_which_doubles() {
        let mut breaker = open();
        let (mut now, mut too_long) = (Duration::ZERO, Vec::new());
        for seconds in [30, 60, 120, 240, 300, 300] {
            let until = now + SECOND * seconds;
            let Pass::At(found) = breaker.check(now) else { panic!("{:?}", breaker.check(now)) };
            assert!(found.abs_diff(until) < Duration::from_millis(1), "{found:?} {until:?}");
            now = found;
            let Pass::Go(era) = breaker.admit(now) else { panic!("{:?}", breaker.check(now)) };
            assert_eq!((breaker.admit(now), breaker.state()), (Pass::Probing, "half_open"));
            let opened = breaker.ended(era, true, now, PATIENCE, MIDDLE).unwrap();
            too_long.push(opened.too_long);
        }
        // Open for 30 + 60 + 120 seconds; with the next 240 it is longer than five minutes.
        assert_eq!(too_long, [false, false, true, true, true, true]);
        assert_eq!(breaker.opened(), 7);
    }

    #[test]
    fn a_probe_that_succeeds_starts_everything_anew() {
        let mut breaker = open();
        assert_eq!(attempt(&mut breaker, false, SECOND * 40), None);
        assert_eq!(breaker.state(), "closed");
        (0..9).for_each(|_| assert_eq!(attempt(&mut breaker, true, SECOND * 41), None));
        assert!(attempt(&mut breaker, true, SECOND * 41).is_some());
        let Pass::At(until) = breaker.check(SECOND * 41) else { panic!("{:?}", breaker.state()) };
        assert!(until <= SECOND * (41 + 33), "the first cool-down again: {until:?}");
    }

    #[test]
    fn attempts_of_an_earlier_state_change_nothing() {
        let mut breaker = Breaker::new();
        let Pass::Go(early) = breaker.admit(Duration::ZERO) else { panic!() };
        let opened = (0..10).map(|_| attempt(&mut breaker, true, Duration::ZERO)).last().flatten();
        assert!(opened.is_some());
        for failed in [false, true] {
            assert_eq!(breaker.ended(early, failed, SECOND, PATIENCE, 0), None);
            assert_eq!(breaker.state(), "open");
        }
    }

    #[test]
    fn a_probe_that_is_broken_off_makes_room_for_another() {
        let mut breaker = open();
        let Pass::Go(era) = breaker.admit(SECOND * 40) else { panic!() };
        breaker.abandoned(era, SECOND * 41);
        assert!(matches!(breaker.admit(SECOND * 41), Pass::Go(_)));
        assert_eq!(breaker.admit(SECOND * 41), Pass::Probing);
    }

    #[test]
    fn the_jitter_is_a_tenth() {
        assert_eq!(jittered(SECOND * 30, 0), SECOND * 27);
        assert_eq!(jittered(SECOND * 30, u128::MAX), SECOND * 33);
    }

    proptest! {
        #[test]
        fn nothing_passes_while_open_and_one_while_half_open(
            steps in prop::collection::vec((0u64..60, any::<bool>(), any::<u128>()), 0..300)
        ) {
            let mut breaker = Breaker::new();
            let (mut now, mut in_flight) = (Duration::ZERO, Vec::new());
            for (passed, failed, random) in steps {
                now += SECOND * u32::try_from(passed).unwrap();
                let before = breaker.state();
                match breaker.admit(now) {
                    Pass::Go(era) => in_flight.push(era),
                    Pass::At(at) => prop_assert!(before == "open" && at > now),
                    Pass::Probing => prop_assert_eq!(before, "half_open"),
                }
                let probes = in_flight.iter().filter(|era| **era == breaker.era).count();
                prop_assert!(breaker.state() != "half_open" || probes <= 1);
                let ends = if failed || passed % 3 == 0 { in_flight.pop() } else { None };
                if let Some(era) = ends {
                    breaker.ended(era, failed, now, PATIENCE, random);
                }
            }
        }
    }
}
