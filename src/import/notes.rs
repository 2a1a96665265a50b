//! What the reader of an imported job has to know.

/// Notes in the order in which they came up. None of them holds a value that may be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Environment variables to set, and what belongs in each.
    pub environment: Vec<(String, String)>,
    /// What is left to do before the job does what the sync did.
    pub todo: Vec<String>,
    /// What is carried over, but not as it was.
    pub changed: Vec<String>,
    /// What is not carried over.
    pub lost: Vec<String>,
}

impl Notes {
    pub(super) fn todo(&mut self, note: impl Into<String>) {
        self.todo.push(note.into());
    }

    pub(super) fn changed(&mut self, note: impl Into<String>) {
        self.changed.push(note.into());
    }

    pub(super) fn lost(&mut self, note: impl Into<String>) {
        self.lost.push(note.into());
    }

    /// The name to refer to a secret by. The same secret has one name; another of that name gets a number.
    pub(super) fn environment(&mut self, name: &str, what: &str) -> String {
        let name = (1..).map(|n| if n == 1 { name.to_owned() } else { format!("{name}_{n}") }).find(|name| {
            let taken = self.environment.iter().find(|(taken, _)| taken == name);
            taken.is_none_or(|(_, of)| of == what)
        });
        let name = name.unwrap_or_default();
        if !self.environment.iter().any(|(taken, _)| *taken == name) {
            self.environment.push((name.clone(), what.to_owned()));
        }
        name
    }

    /// Headings and their lines, those without lines left out.
    pub fn sections(&self) -> Vec<(&'static str, Vec<String>)> {
        let environment = self.environment.iter().map(|(name, what)| format!("set {name}: {what}")).collect();
        let sections = [
            ("Environment variables", environment),
            ("To do", self.todo.clone()),
            ("Carried over differently", self.changed.clone()),
            ("Not carried over", self.lost.clone()),
        ];
        sections.into_iter().filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty()).collect()
    }
}
