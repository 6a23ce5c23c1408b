//! Reads BPMN just enough: processes, and their tasks in the order in which the flow meets them.

use std::collections::{HashMap, HashSet};

/// A process of a BPMN file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Process {
    /// The BPMN process id.
    pub(in crate::sandbox) id: String,
    /// Its name, or the id.
    pub(in crate::sandbox) name: String,
    /// The tasks that an instance waits at.
    pub(in crate::sandbox) tasks: Vec<Task>,
}

/// A task at which an instance waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Task {
    /// The element's id.
    pub(in crate::sandbox) element: String,
    /// The element's name, or its id.
    pub(in crate::sandbox) name: String,
    /// The job's type; a user task has none.
    pub(in crate::sandbox) job_type: Option<String>,
    /// How often the job may fail.
    pub(in crate::sandbox) retries: i32,
    /// The task's headers.
    pub(in crate::sandbox) headers: Vec<(String, String)>,
}

/// The executable processes of a file, or why it is none.
pub(in crate::sandbox) fn parse(text: &str) -> Result<Vec<Process>, String> {
    let mut reader = Reader::default();
    for tag in tags(text)? {
        reader.take(tag);
    }
    match reader.processes.is_empty() {
        true => Err("Expected to find at least one process in the BPMN file, but found none".to_owned()),
        false => Ok(reader.processes),
    }
}

#[derive(Default)]
struct Reader {
    processes: Vec<Process>,
    current: Option<Draft>,
}

/// A process while it is read.
#[derive(Default)]
struct Draft {
    process: Process,
    start: Option<String>,
    flows: HashMap<String, String>,
    open_task: Option<Task>,
}

impl Reader {
    fn take(&mut self, tag: Tag) {
        if tag.name == "process" {
            if tag.opens {
                let id = tag.attribute("id").unwrap_or_default();
                let name = tag.attribute("name").unwrap_or_else(|| id.clone());
                self.current =
                    Some(Draft { process: Process { id, name, tasks: Vec::new() }, ..Draft::default() });
            }
            if tag.closes {
                self.processes
                    .extend(self.current.take().map(Draft::finish).filter(|process| !process.id.is_empty()));
            }
        } else if let Some(draft) = &mut self.current {
            draft.take(tag);
        }
    }
}

impl Draft {
    fn take(&mut self, tag: Tag) {
        match tag.name {
            "startEvent" if tag.opens => {
                self.start.get_or_insert(tag.attribute("id").unwrap_or_default());
            }
            "sequenceFlow" if tag.opens => {
                if let (Some(from), Some(to)) = (tag.attribute("sourceRef"), tag.attribute("targetRef")) {
                    // Of several ways out of a gateway the first is taken.
                    self.flows.entry(from).or_insert(to);
                }
            }
            "serviceTask" | "userTask" | "sendTask" | "scriptTask" | "businessRuleTask" => {
                if tag.opens {
                    let element = tag.attribute("id").unwrap_or_default();
                    let name = tag.attribute("name").unwrap_or_else(|| element.clone());
                    self.open_task = Some(Task { element, name, retries: 3, ..Task::default() });
                }
                if tag.closes
                    && let Some(task) = self.open_task.take()
                {
                    // A script or rule without a job type is evaluated by the engine, and done at once.
                    if task.job_type.is_some() || tag.name == "userTask" {
                        self.process.tasks.push(task);
                    }
                }
            }
            "taskDefinition" if tag.opens => {
                if let Some(task) = &mut self.open_task {
                    let text =
                        |value: String| value.trim_start_matches('=').trim().trim_matches('"').to_owned();
                    task.job_type = tag.attribute("type").map(text);
                    let retries = tag.attribute("retries").map(text);
                    task.retries = retries.and_then(|retries| retries.parse().ok()).unwrap_or(3);
                }
            }
            "header" if tag.opens => {
                if let (Some(task), Some(key)) = (&mut self.open_task, tag.attribute("key")) {
                    task.headers.push((key, tag.attribute("value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }

    /// Puts the tasks into the order of the flow; those it does not meet are never reached.
    fn finish(mut self) -> Process {
        let Some(mut at) = self.start.filter(|_| !self.flows.is_empty()) else { return self.process };
        let mut tasks: HashMap<String, Task> =
            self.process.tasks.drain(..).map(|task| (task.element.clone(), task)).collect();
        let mut met = HashSet::new();
        while met.insert(at.clone()) {
            self.process.tasks.extend(tasks.remove(&at));
            match self.flows.remove(&at) {
                Some(next) => at = next,
                None => break,
            }
        }
        self.process
    }
}

/// An XML tag without its namespace prefix.
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
    opens: bool,
    closes: bool,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        while let Some((key, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, left) = after[1..].split_once(quote)?;
            if key.trim() == name {
                return Some(unescaped(value));
            }
            rest = left;
        }
        None
    }
}

fn unescaped(value: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(value.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

fn tags(mut text: &str) -> Result<Vec<Tag<'_>>, String> {
    let broken = || "the resource is not well-formed XML".to_owned();
    let mut tags = Vec::new();
    let mut depth = 0_i32;
    while let Some(at) = text.find('<') {
        text = &text[at..];
        let end = match text {
            comment if comment.starts_with("<!--") => "-->",
            data if data.starts_with("<![CDATA[") => "]]>",
            instruction if instruction.starts_with("<?") => "?>",
            _ => ">",
        };
        let at = if end == ">" { end_of_tag(text) } else { text.find(end) }.ok_or_else(broken)?;
        let inside = &text[1..at];
        text = &text[at + end.len()..];
        if end != ">" || inside.starts_with('!') {
            continue;
        }
        let opens = !inside.starts_with('/');
        let closes = !opens || inside.ends_with('/');
        depth += i32::from(opens) - i32::from(closes);
        let inside = inside.trim_matches('/');
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let name = name.rsplit(':').next().unwrap_or(name);
        tags.push(Tag { name, attributes, opens, closes });
    }
    if depth == 0 && !tags.is_empty() { Ok(tags) } else { Err(broken()) }
}

/// Where a tag ends; a `>` within quotes does not end it.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, character)| {
        match (quote, character) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_in_the_order_of_the_flow() {
        let text = r#"<?xml version="1.0"?><!-- <process> --><bpmn:definitions xmlns:zeebe="z"><bpmn:process id="order" name="An &lt;order&gt;">
            <bpmn:serviceTask id="ship"><zeebe:taskDefinition type="=&quot;ship&quot;" retries="5"/></bpmn:serviceTask>
            <bpmn:serviceTask id="pay"><bpmn:extensionElements><zeebe:taskDefinition type="pay" />
              <zeebe:taskHeaders><zeebe:header key="a" value="1 > 0"/></zeebe:taskHeaders></bpmn:extensionElements></bpmn:serviceTask>
            <bpmn:startEvent id="start"/><bpmn:sequenceFlow id="1" sourceRef="start" targetRef="pay"/>
            <bpmn:sequenceFlow id="2" sourceRef="pay" targetRef="ship"/></bpmn:process></bpmn:definitions>"#;
        let processes = parse(text).expect("well-formed");
        assert_eq!(processes[0].name, "An <order>");
        let tasks = &processes[0].tasks;
        assert_eq!(
            tasks.iter().map(|task| task.job_type.as_deref()).collect::<Vec<_>>(),
            [Some("pay"), Some("ship")]
        );
        assert_eq!((tasks[0].retries, tasks[1].retries), (3, 5));
        assert_eq!(tasks[0].headers, [("a".to_owned(), "1 > 0".to_owned())]);
    }

    #[test]
    fn what_is_no_bpmn_is_refused() {
        for text in ["", "hello", "<process id='a'>", "<definitions/>"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
