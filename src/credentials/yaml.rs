//! Nested YAML names: `camunda:` / `client:` / `auth:` / `client-id: x` is `camunda.client.auth.client-id`.

/// The mappings that are open, outermost first. Only block mappings of scalars are understood, which is what
/// compose files, Kubernetes secrets and Spring configurations are made of.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    open: Vec<(usize, String)>,
}

impl Nesting {
    /// Takes in a line `name: value`. Answers the whole name of a value, nothing where a mapping begins.
    pub(super) fn enter(&mut self, line: &str, name: &str, value: &str) -> Option<String> {
        let indent = line.len() - line.trim_start().len();
        self.open.retain(|(outer, _)| *outer < indent);
        if value.is_empty() || value.starts_with('#') {
            self.open.push((indent, name.to_owned()));
            return None;
        }
        let outer = self.open.iter().map(|(_, name)| format!("{name}."));
        Some(outer.chain([name.to_owned()]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_together_from_the_open_mappings() {
        let mut nesting = Nesting::default();
        assert_eq!(nesting.enter("a:", "a", ""), None);
        assert_eq!(nesting.enter("  b:", "b", "# comment"), None);
        assert_eq!(nesting.enter("    c: 1", "c", "1").as_deref(), Some("a.b.c"));
        assert_eq!(nesting.enter("  d: 1", "d", "1").as_deref(), Some("a.d"));
        assert_eq!(nesting.enter("e: 1", "e", "1").as_deref(), Some("e"));
    }
}
