//! Finds the line of a YAML file that a JSON pointer means. Owns nothing else: a pointer into a flow collection (`{…}`, `[…]`)
//! gives the line of the collection or of an entry before it, never a wrong block.

/// The line, from 1, of the value at `pointer` in the block-style `yaml`: the deepest part of the pointer that can be found.
pub fn line_of(yaml: &str, pointer: &str) -> Option<usize> {
    let lines: Vec<&str> = yaml.lines().collect();
    let mut found = None;
    let (mut from, mut to, mut indent) = (0, lines.len(), 0);
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let Some((line, child)) = find(&lines, from, to, indent, &segment) else { break };
        found = Some(line + 1);
        to = end_of(&lines, line, to, child);
        from = line;
        indent = child;
        // A block item starts on its dash's line; the value of a key starts below the key.
        if segment.parse::<usize>().is_err() {
            from = line + 1;
            indent = (from..to).find_map(|at| meaningful(lines.get(at)?)).unwrap_or(child + 1);
        }
    }
    found
}

/// The line of `segment` within `from..to`, and the indent of what is in it.
fn find(lines: &[&str], from: usize, to: usize, indent: usize, segment: &str) -> Option<(usize, usize)> {
    let wanted = segment.parse::<usize>().ok();
    let mut items = 0;
    for at in from..to {
        let line = lines.get(at)?;
        let Some(depth) = meaningful(line) else { continue };
        let text = line.trim_start();
        match wanted {
            Some(index) if depth == indent && text.starts_with("- ") => {
                if items == index {
                    return Some((at, depth + 2));
                }
                items += 1;
            }
            None if depth == indent && is_key(text, segment) => return Some((at, depth)),
            // The first key of a block item stands after its dash.
            None if depth + 2 == indent && text.strip_prefix("- ").is_some_and(|text| is_key(text.trim_start(), segment)) => {
                return Some((at, indent));
            }
            _ => {}
        }
    }
    None
}

/// The first line after `line` that belongs to something beside or above it.
fn end_of(lines: &[&str], line: usize, to: usize, indent: usize) -> usize {
    (line + 1..to)
        .find(|at| {
            lines.get(*at).is_some_and(|text| {
                meaningful(text).is_some_and(|depth| {
                    depth < indent || (depth == indent && !text.trim_start().starts_with("- ") && !starts_item(lines, line))
                })
            })
        })
        .unwrap_or(to)
}

fn starts_item(lines: &[&str], line: usize) -> bool {
    lines.get(line).is_some_and(|text| text.trim_start().starts_with("- "))
}

/// The indent of a line that holds more than a comment.
fn meaningful(line: &&str) -> Option<usize> {
    let text = line.trim_start();
    (!text.is_empty() && !text.starts_with('#')).then(|| line.len() - text.len())
}

fn is_key(text: &str, key: &str) -> bool {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_prefix(key).map(|rest| rest.strip_prefix('"').unwrap_or(rest)).is_some_and(|rest| rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::line_of;

    const YAML: &str = "name: x\n# note\ntables:\n  - name: a.b\n    columns:\n      - {name: c}\n      - name: d\n        type: int\n  - description: z\n    name: e.f\nrules:\n  - one\n  - two\n";

    #[test]
    fn a_pointer_leads_to_its_line() {
        for (pointer, line) in [
            ("/name", 1),
            ("/tables", 3),
            ("/tables/0", 4),
            ("/tables/0/name", 4),
            ("/tables/0/columns/0", 6),
            ("/tables/0/columns/0/name", 6),
            ("/tables/0/columns/1/type", 8),
            ("/tables/1", 9),
            ("/tables/1/name", 10),
            ("/rules/1", 13),
        ] {
            assert_eq!(line_of(YAML, pointer), Some(line), "{pointer}");
        }
        assert_eq!(line_of(YAML, "/nothing"), None);
    }
}
