//! Jobs that would begin each other for ever.

use std::collections::{BTreeMap, VecDeque};

/// Each name from which `after` leads back to it, with the shortest such way: itself, whom it runs after, and so on to itself again.
pub fn circles(after: &BTreeMap<&str, &[String]>) -> BTreeMap<String, Vec<String>> {
    let found = after.keys().filter_map(|name| Some(((*name).to_owned(), circle(after, name)?)));
    found.collect()
}

fn circle(after: &BTreeMap<&str, &[String]>, start: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(name) = next.pop_front() {
        for other in after.get(name).copied().unwrap_or_default() {
            if other == start {
                let back = std::iter::successors(Some(name), |at| came_from.get(at).copied());
                let mut way: Vec<String> = std::iter::once(start).chain(back).map(str::to_owned).collect();
                way.reverse();
                return Some(way);
            }
            if let Some((&known, _)) = after.get_key_value(other.as_str())
                && !came_from.contains_key(known)
            {
                came_from.insert(known, name);
                next.push_back(known);
            }
        }
    }
    None
}

/// What is said of it.
pub fn told(way: &[String]) -> String {
    let steps: Vec<String> = way.windows(2).map(|two| format!("`{}` runs after `{}`", two[0], two[1])).collect();
    format!("the job would begin itself: {}", steps.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_back_is_found() {
        let written: [(&str, &[&str]); 7] = [
            ("a", &["b"]),
            ("b", &["d", "c"]),
            ("c", &["a"]),
            ("d", &[]),
            ("e", &["a", "gone"]),
            ("f", &["f"]),
            ("g", &["e"]),
        ];
        let owned: Vec<(&str, Vec<String>)> =
            written.iter().map(|(name, after)| (*name, after.iter().map(|&one| one.to_owned()).collect())).collect();
        let after = owned.iter().map(|(name, after)| (*name, after.as_slice())).collect();
        let found = circles(&after);
        let ways: Vec<String> = found.values().map(|way| way.join(" ")).collect();
        assert_eq!(ways, ["a b c a", "b c a b", "c a b c", "f f"]);
        assert_eq!(
            told(&found["c"]),
            "the job would begin itself: `c` runs after `a`, `a` runs after `b`, `b` runs after `c`"
        );
    }
}
