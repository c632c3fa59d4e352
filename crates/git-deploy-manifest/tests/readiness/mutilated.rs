//! Objects of which nothing is certain.

use git_deploy_manifest::readiness::{Patience, judge, ready_of_wanted};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::recorded::{id, in_words, recorded};
use crate::table::TABLE;

/// Where values of a tree are.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(mapping) => {
            for (key, inner) in mapping {
                pointers(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn hurt(value: &mut Value, wounds: &[(prop::sample::Index, Value)]) {
    for (where_, what) in wounds {
        let mut found = Vec::new();
        pointers(value, "", &mut found);
        if let Some(place) = value.pointer_mut(where_.get::<String>(&found)) {
            *place = what.clone();
        }
    }
}

fn wounds() -> impl Strategy<Value = Vec<(prop::sample::Index, Value)>> {
    let what = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{}])),
        Just(json!("")),
        Just(json!("Unschedulable\u{1b}[2J\n")),
        Just(json!(true)),
        Just(json!(i64::MIN)),
        Just(json!(i64::MAX)),
        Just(json!(u64::MAX)),
        Just(json!(1.5)),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), what), 1..6)
}

proptest! {
    #[test]
    fn no_object_however_mutilated_stops_the_judge(
        which in any::<prop::sample::Index>(),
        seconds in prop_oneof![Just(0_u64), Just(20), Just(3600), Just(u64::MAX)],
        object in wounds(), at_apply in wounds(), around in wounds(),
    ) {
        let mut scene = recorded(which.get(TABLE).0).for_seconds(seconds);
        let id = id(&scene.object);
        hurt(&mut scene.object, &object);
        hurt(&mut scene.at_apply, &at_apply);
        hurt(&mut scene.around, &around);
        let words = in_words(judge(&id, &scene.object, &scene.at_apply, &scene, &Patience::default()));
        prop_assert!(!words.contains(char::is_control), "{words:?}");
        let _ = ready_of_wanted(&id, &scene.object);
    }
}
