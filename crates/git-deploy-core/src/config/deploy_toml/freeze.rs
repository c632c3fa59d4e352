//! `[[environment.<name>.freeze]]`: when nothing is deployed there. Which moments these are is a pure function of the clock.
//!
//! Time zones come from the tables that are built in, so that a window means the same in every clone, also in a container
//! that has no such tables of its own.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::check::{Checked, not_empty, refuse};
use super::error::{Locator, Problem};
use super::raw::{RawFreeze, Text};

/// The most windows that are followed from one into the next: there may be no end of it.
const MOST_IN_A_ROW: usize = 64;

/// When nothing is deployed to an environment: from its beginning on, and from its end on no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    window: Window,
    time_zone: TimeZone,
    /// Why.
    pub reason: Option<String>,
}

/// A moment at which nothing is deployed to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// When that is over; none where no end of it can be seen.
    pub until: Option<Timestamp>,
    /// Why it is so.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Again each week.
    Weekly { from: OfWeek, to: OfWeek },
    /// Once.
    Dated { from: DateTime, to: DateTime },
}

/// A moment of each week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OfWeek {
    day: Weekday,
    time: Time,
}

/// What stands at one end of a window.
#[derive(Debug, Clone, Copy)]
enum End {
    Weekly(OfWeek),
    Dated(DateTime),
}

/// Whether one of these windows is open, and until when: windows that follow each other without a gap are one.
pub(super) fn frozen(freezes: &[Freeze], now: Timestamp) -> Option<Frozen> {
    let open_at = |moment| freezes.iter().find_map(|freeze| Some((freeze, freeze.until(moment)?)));
    let (first, mut until) = open_at(now)?;
    let mut is_seen = false;
    for _ in 0..MOST_IN_A_ROW {
        match open_at(until) {
            Some((_, later)) => until = later,
            None => {
                is_seen = true;
                break;
            }
        }
    }
    Some(Frozen { until: is_seen.then_some(until), reason: first.reason.clone() })
}

impl Freeze {
    /// When it is over, if it is in force at a moment.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let open = |from: DateTime, to: DateTime| {
            let (from, to) = (self.moment(from), self.moment(to));
            (from <= now && now < to).then_some(to)
        };
        match self.window {
            Window::Dated { from, to } => open(from, to),
            Window::Weekly { from, to } => {
                let today = self.time_zone.to_datetime(now).date();
                // Days are told apart by the calendar, and moments by the clock: a week has not always as many hours.
                (0..=7).find_map(|ago| {
                    let begins = today.checked_sub(ago.days()).ok()?;
                    let begins = Some(begins).filter(|day| day.weekday() == from.day)?;
                    let ends = begins.checked_add(from.days_until(to).days()).ok()?;
                    open(begins.to_datetime(from.time), ends.to_datetime(to.time))
                })
            }
        }
    }

    /// The moment at which a clock of the time zone shows that. What it leaps over is later by what it leaps, and what it
    /// shows twice is the first of both.
    /// What comes after all moments is the last of them.
    fn moment(&self, shown: DateTime) -> Timestamp {
        let beyond = if shown.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.time_zone.to_ambiguous_timestamp(shown).compatible().unwrap_or(beyond)
    }
}

impl OfWeek {
    /// How many days later the next one of these is, counted from a day of this one.
    fn days_until(self, to: Self) -> i64 {
        match i64::from(self.day.until(to.day)) {
            0 if to.time <= self.time => 7,
            days => days,
        }
    }
}

pub(super) fn freeze(raw: RawFreeze, locator: &Locator<'_>) -> Checked<Freeze> {
    let (from, to) = (end("from", &raw.from, locator)?, end("to", &raw.to, locator)?);
    let contradiction = |why: &str| locator.error(raw.to.span(), Problem::Contradiction(why.to_owned()));
    let window = match (from, to) {
        (End::Weekly(from), End::Weekly(to)) if from != to => Window::Weekly { from, to },
        (End::Dated(from), End::Dated(to)) if from < to => Window::Dated { from, to },
        (End::Weekly(_), End::Dated(_)) | (End::Dated(_), End::Weekly(_)) => {
            return Err(contradiction("'from' and 'to' must be both days of the week, or both dates"));
        }
        (End::Weekly(_), End::Weekly(_)) => {
            return Err(contradiction("'to' is 'from': that would be for ever, or never"));
        }
        (End::Dated(_), End::Dated(_)) => return Err(contradiction("'to' must be later than 'from'")),
    };
    let reason = raw.reason.map(|reason| not_empty("reason", reason, locator)).transpose()?;
    Ok(Freeze { window, time_zone: time_zone(&raw.time_zone, locator)?, reason })
}

fn end(key: &str, text: &Text, locator: &Locator<'_>) -> Checked<End> {
    let written = text.get_ref().as_str();
    let weekly = || {
        let (day, time) = written.split_once(' ')?;
        Some(End::Weekly(OfWeek { day: weekday(day)?, time: Time::strptime("%H:%M", time).ok()? }))
    };
    let dated = || {
        let date = || Some(Date::strptime("%Y-%m-%d", written).ok()?.to_datetime(Time::midnight()));
        DateTime::strptime("%Y-%m-%dT%H:%M", written).ok().or_else(date).map(End::Dated)
    };
    weekly().or_else(dated).ok_or_else(|| {
        let why = "must be a time of the week such as 'Fri 16:00', or a date such as '2026-12-20' or '2026-12-20T18:00'";
        refuse(key, text, why, locator)
    })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

fn time_zone(text: &Text, locator: &Locator<'_>) -> Checked<TimeZone> {
    TimeZoneDatabase::bundled().get(text.get_ref()).map_err(|_| {
        refuse("time-zone", text, "must be a name of the IANA's, such as 'Europe/Berlin' or 'UTC'", locator)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::deploy_toml::DeployToml;

    /// A file with these windows: `from`, `to` and `time-zone` of each.
    fn parsed(windows: &[[&str; 3]]) -> Result<DeployToml, String> {
        let window = |[from, to, zone]: &[&str; 3]| {
            format!(
                "[[environment.production.freeze]]\nfrom = '{from}'\nto = '{to}'\ntime-zone = '{zone}'\nreason = 'from {from}'\n"
            )
        };
        let windows: String = windows.iter().map(window).collect();
        DeployToml::parse(&format!("[environment.production]\nkind = 'rendered'\n{windows}"))
            .map_err(|error| error.to_string())
    }

    /// Until when it is frozen at a moment: `no` if it is not.
    #[track_caller]
    fn until(windows: &[[&str; 3]], now: &str) -> String {
        let toml = parsed(windows).unwrap();
        match toml.landing_environment().frozen(now.parse().unwrap()) {
            None => "no".to_owned(),
            Some(Frozen { until: None, .. }) => "no end".to_owned(),
            Some(Frozen { until: Some(until), .. }) => until.to_string(),
        }
    }

    #[test]
    fn a_weekly_window_begins_on_the_minute_and_ends_on_the_minute() {
        let weekend = [["Fri 16:00", "Mon 08:00", "Europe/Berlin"]];
        // In winter the clocks of Berlin are an hour ahead.
        assert_eq!(until(&weekend, "2026-11-20T14:59:59Z"), "no");
        for inside in ["2026-11-20T15:00:00Z", "2026-11-21T12:00:00Z", "2026-11-23T06:59:59Z"] {
            assert_eq!(until(&weekend, inside), "2026-11-23T07:00:00Z", "{inside}");
        }
        assert_eq!(until(&weekend, "2026-11-23T07:00:00Z"), "no");
        // In summer they are two.
        assert_eq!(until(&weekend, "2026-07-03T14:00:00Z"), "2026-07-06T06:00:00Z");
    }

    #[test]
    fn a_weekly_window_may_last_from_one_day_to_the_same_one_of_the_next_week() {
        let nearly_all = [["Mon 10:00", "Mon 09:00", "UTC"]];
        assert_eq!(until(&nearly_all, "2026-11-23T08:59:59Z"), "2026-11-23T09:00:00Z");
        assert_eq!(until(&nearly_all, "2026-11-23T09:30:00Z"), "no");
        assert_eq!(until(&nearly_all, "2026-11-23T10:00:00Z"), "2026-11-30T09:00:00Z");
        let an_hour = [["Mon 09:00", "Mon 10:00", "UTC"]];
        assert_eq!(until(&an_hour, "2026-11-23T09:30:00Z"), "2026-11-23T10:00:00Z");
        assert_eq!(until(&an_hour, "2026-11-24T09:30:00Z"), "no");
    }

    #[test]
    fn a_dated_window_is_once_and_a_date_alone_is_its_midnight() {
        let holidays = [["2026-12-20T18:00", "2027-01-04", "America/New_York"]];
        assert_eq!(until(&holidays, "2026-12-20T22:59:59Z"), "no");
        assert_eq!(until(&holidays, "2026-12-20T23:00:00Z"), "2027-01-04T05:00:00Z");
        assert_eq!(until(&holidays, "2027-01-04T05:00:00Z"), "no");
        assert_eq!(until(&holidays, "2027-12-24T12:00:00Z"), "no");
        let for_ever = [["2026-12-20", "9999-12-31", "America/New_York"]];
        assert_eq!(until(&for_ever, "2026-12-21T00:00:00Z"), "9999-12-30T22:00:00.999999999Z");
    }

    #[test]
    fn an_end_that_the_clock_leaps_over_is_later_by_the_leap() {
        // On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00.
        let night = [["Sat 22:00", "Sun 02:30", "Europe/Berlin"]];
        assert_eq!(until(&night, "2026-03-29T01:29:59Z"), "2026-03-29T01:30:00Z");
        assert_eq!(until(&night, "2026-03-29T01:30:00Z"), "no");
        let leapt = [["Sun 02:30", "Sun 04:00", "Europe/Berlin"]];
        assert_eq!(until(&leapt, "2026-03-29T01:15:00Z"), "no");
        assert_eq!(until(&leapt, "2026-03-29T01:45:00Z"), "2026-03-29T02:00:00Z");
    }

    #[test]
    fn what_the_clock_shows_twice_is_the_first_of_both() {
        // On 2026-10-25 they go from 03:00 back to 02:00.
        let night = [["Sun 02:30", "Sun 12:00", "Europe/Berlin"]];
        assert_eq!(until(&night, "2026-10-25T00:29:59Z"), "no");
        assert_eq!(until(&night, "2026-10-25T00:30:00Z"), "2026-10-25T11:00:00Z");
        assert_eq!(until(&[["Sat 22:00", "Sun 02:30", "Europe/Berlin"]], "2026-10-25T00:45:00Z"), "no");
    }

    #[test]
    fn windows_without_a_gap_are_one_and_the_first_says_why() {
        let windows = [
            ["Fri 16:00", "Mon 08:00", "UTC"],
            ["2026-12-21", "2026-12-25", "UTC"],
            ["2026-12-24", "2027-01-01T12:00", "UTC"],
        ];
        let toml = parsed(&windows).unwrap();
        let frozen = toml.landing_environment().frozen("2026-12-19T00:00:00Z".parse().unwrap()).unwrap();
        // New Year is a Friday: at noon it is over until four.
        assert_eq!(frozen.until.unwrap().to_string(), "2027-01-01T12:00:00Z");
        assert_eq!(frozen.reason.as_deref(), Some("from Fri 16:00"));
        let always = [["Mon 00:00", "Thu 00:00", "UTC"], ["Thu 00:00", "Mon 00:00", "UTC"]];
        assert_eq!(until(&always, "2026-11-20T12:00:00Z"), "no end");
    }

    #[test]
    fn what_is_no_window_is_refused_with_its_place() {
        for ([from, to, zone], said) in [
            (["Friday 16:00", "Mon 08:00", "UTC"], "4:8: invalid from 'Friday 16:00': "),
            (["Fri 24:00", "Mon 08:00", "UTC"], "4:8: "),
            (["2026-02-30", "2026-03-01", "UTC"], "4:8: "),
            (["Fri 16:00", "2026-12-20", "UTC"], "5:6: 'from' and 'to' must be both"),
            (["Fri 16:00", "Fri 16:00", "UTC"], "5:6: 'to' is 'from'"),
            (["2026-12-20", "2026-12-20", "UTC"], "5:6: 'to' must be later than 'from'"),
            (["Fri 16:00", "Mon 08:00", "Europe/Berlinn"], "6:13: invalid time-zone 'Europe/Berlinn': "),
        ] {
            let error = parsed(&[[from, to, zone]]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
