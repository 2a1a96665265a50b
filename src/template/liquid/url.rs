//! The places of values in URLs and headers.
//!
//! In a URL, all but unreserved characters of a value are percent-encoded: it stays one segment of the path, or one value
//! behind the `?`. No value may stand before the path: a row must not choose where its data goes.

use super::reader::Fault;
use super::syntax::{Node, Place};

/// Finds the places of a URL's values.
///
/// # Errors
/// Values before the path.
pub(super) fn find(nodes: &mut [Node]) -> Result<(), Vec<Fault>> {
    let mut walk = Walk { seen: String::new(), faults: Vec::new() };
    walk.nodes(nodes);
    if walk.faults.is_empty() { Ok(()) } else { Err(walk.faults) }
}

/// Gives all values the place of a header.
pub(super) fn header(nodes: &mut [Node]) {
    each(nodes, &mut |_, _| Place::Header, &mut |_| {});
}

/// # Errors
/// When a segment would be taken for a way up, and the URL lead elsewhere.
pub(super) fn check(url: &str) -> Result<(), String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    match path.split('/').any(dots) {
        true => Err("a segment of the URL's path is `.` or `..`, and the URL would lead elsewhere".to_owned()),
        false => Ok(()),
    }
}

struct Walk {
    /// The template's own text so far, with a mark for each value.
    seen: String,
    faults: Vec<Fault>,
}

impl Walk {
    fn nodes(&mut self, nodes: &mut [Node]) {
        let (seen, faults) = (std::cell::RefCell::new(&mut self.seen), &mut self.faults);
        each(
            nodes,
            &mut |at, encoded| {
                let mut seen = seen.borrow_mut();
                let place = place(&seen);
                seen.push('x');
                match place {
                    None => {
                        let hint = "write scheme and host out: a row must not choose where its data is sent";
                        faults.push(Fault::new(at, "a value stands before the path of the URL").hint(hint));
                        Place::Path
                    }
                    Some(_) if encoded => Place::Plain,
                    Some(place) => place,
                }
            },
            &mut |text| seen.borrow_mut().push_str(text),
        );
    }
}

/// The place behind this much of a URL; none before its path.
fn place(seen: &str) -> Option<Place> {
    let path = match seen.find("://") {
        Some(scheme) => scheme + 3 + seen[scheme + 3..].find(['/', '?', '#'])?,
        // A reference such as `/orgs`, which begins with its path.
        None if seen.starts_with('/') && !seen.starts_with("//") => 0,
        None => return None,
    };
    Some(if seen[path..].contains(['?', '#']) { Place::Query } else { Place::Path })
}

/// Visits what prints, and the text between, in the order of the template. `visit` gets the offset and whether the last
/// filter has encoded the value already.
fn each(nodes: &mut [Node], visit: &mut dyn FnMut(usize, bool) -> Place, text: &mut dyn FnMut(&str)) {
    for node in nodes {
        match node {
            Node::Text { text: own, .. } => text(own),
            Node::Print { value, place } => {
                let encoded =
                    value.filters.last().is_some_and(|call| ["url_encode", "cgi_escape"].contains(&call.filter.name));
                *place = visit(value.at, encoded);
            }
            Node::Count { place, at, .. } | Node::Cycle { place, at, .. } => *place = visit(*at, false),
            Node::If { branches, otherwise } => {
                for branch in branches {
                    each(&mut branch.body, visit, text);
                }
                each(otherwise, visit, text);
            }
            Node::Group(nodes) => each(nodes, visit, text),
            Node::Case(case) => {
                for (_, body) in &mut case.branches {
                    each(body, visit, text);
                }
                each(&mut case.otherwise, visit, text);
            }
            Node::For(looped) => {
                each(&mut looped.body, visit, text);
                each(&mut looped.otherwise, visit, text);
            }
            // What is captured is encoded where it is printed.
            Node::Capture { .. } | Node::Assign { .. } | Node::Break | Node::Continue => {}
        }
    }
}
