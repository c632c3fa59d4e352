//! What stays for a while: what a success makes of it, and how it is written.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(day: u8) -> Timestamp {
    time(&format!("2026-11-{day:02}T12:00:00Z"))
}

fn number(number: u64) -> DeploymentId {
    format!("deployment-{number:04}").parse().unwrap()
}

fn unwanted(kind: &str, name: &str, uid: &str) -> Unwanted {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    let id = ObjectId {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    };
    Unwanted { id, uid: uid.to_owned() }
}

/// The list after a success that followed the one before it.
fn after(old: &Kept, success: u64, unwanted: &[Unwanted], now: Timestamp) -> Kept {
    let (id, previous) = (number(success), number(success - 1));
    old.after(Success { id: &id, previous: Some(&previous) }, unwanted, |_| true, now)
}

fn told(kept: &Kept) -> Vec<(&str, Timestamp, Option<DeploymentId>)> {
    kept.objects.iter().map(|kept| (kept.name.as_str(), kept.since, kept.wanted_by.clone())).collect()
}

#[test]
fn the_time_begins_with_the_success_that_no_longer_wants_an_object_and_goes_on_with_the_next() {
    let old = unwanted("ConfigMap", "old", "1");
    let second = after(&Kept::default(), 2, std::slice::from_ref(&old), day(1));
    assert_eq!(told(&second), [("old", day(1), Some(number(1)))]);
    let older = unwanted("apps/Deployment", "older", "2");
    let third = after(&second, 3, &[older, old], day(2));
    assert_eq!(told(&third), [("old", day(1), Some(number(1))), ("older", day(2), Some(number(2)))]);
}

#[test]
fn what_is_wanted_again_or_made_anew_begins_anew() {
    let old = unwanted("ConfigMap", "old", "1");
    let second = after(&Kept::default(), 2, std::slice::from_ref(&old), day(1));
    let third = after(&second, 3, &[], day(2));
    assert_eq!(told(&third), []);
    assert_eq!(told(&after(&third, 4, &[old], day(3))), [("old", day(3), Some(number(3)))]);
    let anew = unwanted("ConfigMap", "old", "2");
    assert_eq!(told(&after(&second, 3, &[anew], day(2))), [("old", day(2), Some(number(2)))]);
}

#[test]
fn a_list_that_was_not_gone_on_with_says_nothing() {
    let old = unwanted("ConfigMap", "old", "1");
    let second = after(&Kept::default(), 2, std::slice::from_ref(&old), day(1));
    // Somebody without this list has deployed between: the object may have been wanted then.
    assert_eq!(
        told(&after(&second, 4, std::slice::from_ref(&old), day(3))),
        [("old", day(3), Some(number(3)))]
    );
    // Written down again for the same success, it is the same.
    assert_eq!(after(&second, 2, &[old], day(2)), second);
}

#[test]
fn a_list_that_could_not_be_written_any_more_holds_without_what_was_wanted_since() {
    let both = [unwanted("ConfigMap", "old", "1"), unwanted("ConfigMap", "older", "2")];
    let second = after(&Kept::default(), 2, &both, day(1));
    let carried = |id, previous, wanted: &str| {
        let (id, previous) = (number(id), number(previous));
        let carried =
            second.carried_to(Success { id: &id, previous: Some(&previous) }, |kept| kept.name == wanted);
        carried.objects().iter().map(|kept| kept.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(carried(2, 1, "old"), ["old", "older"]);
    assert_eq!(carried(3, 2, "old"), ["older"]);
    assert_eq!(carried(4, 3, ""), [""; 0]);
    let first = number(1);
    let none = Kept::default().carried_to(Success { id: &first, previous: None }, |_| false);
    assert_eq!(none.objects(), []);
}

#[test]
fn what_begins_in_the_future_counts_from_then() {
    let old = unwanted("ConfigMap", "old", "1");
    let second = after(&Kept::default(), 2, std::slice::from_ref(&old), day(9));
    assert_eq!(second.objects[0].until(DAY), day(10));
    assert_eq!(told(&after(&second, 3, &[old], day(2)))[0].1, day(9), "no clock shortens the time of others");
    assert_eq!(second.objects[0].until(Duration::MAX), Timestamp::MAX);
}

#[test]
fn a_list_comes_back_as_it_was_written() {
    let mut objects = vec![
        unwanted("ConfigMap", "old", "1"),
        unwanted("ConfigMap", "older", "2"),
        unwanted("rbac.authorization.k8s.io/ClusterRole", "system:old one", "3"),
    ];
    objects[2].id.namespace = None;
    let second = after(&Kept::default(), 2, &objects[..2], time("2026-11-01T12:00:00.5Z"));
    let third = after(&second, 3, &objects, day(2));
    let expected = "= deployment-0003\n\
                    @ 2026-11-01T12:00:00Z deployment-0001\n# ConfigMap shop\n1 old\n2 older\n\
                    @ 2026-11-02T12:00:00Z deployment-0002\n# ClusterRole.rbac.authorization.k8s.io -\n3 system:old one\n";
    assert_eq!(third.to_text(), expected);
    assert_eq!(Kept::parse(expected), third);
    assert_eq!(Kept::parse(&Kept::default().to_text()), Kept::default());
}

#[test]
fn what_cannot_be_read_is_not_listed() {
    let text = "= deployment-0003\n1 homeless\n@ once deployment-0001\n# ConfigMap shop\n2 timeless\n\
                @ 2026-11-01T12:00:00Z -\n3 placeless\n# ConfigMap shop\n4 old\nlonely\n";
    assert_eq!(told(&Kept::parse(text)), [("old", day(1), None)]);
}

#[test]
fn two_thousand_objects_fit_and_what_does_not_is_put_on_the_list_later() {
    let uid = |count: usize| format!("6f9619ff-8b86-4011-b42d-{count:012}");
    let some = |count: usize, length: usize| -> Vec<Unwanted> {
        let name = |at: usize| format!("{at:0length$}");
        (0..count).map(|at| unwanted("ConfigMap", &name(at), &uid(at))).collect()
    };
    // The longest names that there are.
    let many = after(&Kept::default(), 2, &some(2_000, 253), day(1));
    assert_eq!(many.clone().fitting(), (many, 0));
    let first = after(&Kept::default(), 2, &some(1_500, 253), day(1));
    let (fitting, left_out) = after(&first, 3, &some(3_000, 253), day(2)).fitting();
    assert!(left_out > 0 && fitting.to_text().len() <= LONGEST);
    assert_eq!(fitting.objects[..1_500], first.objects[..]);
}
