"""Checks what deploy/ says against itself and against the code, as far as that goes without Microsoft's compiler.

The grammar is tree-sitter's, so that this finds faults of syntax, names that nothing uses or nothing declares, and settings that the code
does not read; not wrong types or properties of resources. `az bicep build --file deploy/main.bicep` finds those.
"""

import json
import re
import sys
from pathlib import Path

import tree_sitter
import tree_sitter_bicep

ROOT = Path(__file__).resolve().parent.parent
# Settings that the host reads and asklake does not.
HOST = {
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
}

faults: list[str] = []


def require(condition: bool, fault: str) -> None:
    if not condition:
        faults.append(fault)


def read(file: str) -> str:
    return (ROOT / file).read_text()


def nodes(node: tree_sitter.Node):
    yield node
    for child in node.children:
        yield from nodes(child)


def check_names(file: str) -> set[str]:
    """Checks syntax and that whatever `file` declares is used. Returns its parameters."""
    text = read(file)
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language())).parse(text.encode())
    for node in nodes(tree.root_node):
        require(not (node.is_error or node.is_missing), f"{file}:{node.start_point[0] + 1}: not Bicep")
    used = [node.text.decode() for node in nodes(tree.root_node) if node.type == "identifier"]
    parameters = set(re.findall(r"^param (\w+)", text, re.M))
    for name in parameters | set(re.findall(r"^var (\w+)", text, re.M)):
        require(used.count(name) > 1, f"{file}: {name} is declared and not used")
    return parameters


main, resources = read("deploy/main.bicep"), read("deploy/resources.bicep")
parameters = {file: check_names(f"deploy/{file}") for file in ("main.bicep", "resources.bicep", "alerts.bicep")}

for file, text in (("main.bicep", main), ("resources.bicep", resources)):
    for module, path, given in re.findall(r"^module (\w+) '([^']+)' = \{\n.*?  params: \{\n(.*?)\n  \}", text, re.M | re.S):
        require(path in parameters, f"{file}: {module} is to be in {path}, which is not there")
        passed = set(re.findall(r"^    (\w+):", given, re.M))
        differ = passed ^ parameters.get(path, set())
        require(not differ, f"{file}: what it passes to {path} and what that takes differ by {differ}")
for output in re.findall(r"resources\.outputs\.(\w+)", main):
    require(f"\noutput {output} " in resources, f"resources.bicep: has no output {output}")

given = {name: value["value"] for name, value in json.loads(read("deploy/main.parameters.json"))["parameters"].items()}
require(set(given) <= parameters["main.bicep"], f"main.parameters.json: no parameters are {set(given) - parameters['main.bicep']}")
# azd ends a default at its first brace, so that an object has none there.
for name in re.findall(r"^param (\w+) object", main, re.M):
    require(bool(re.fullmatch(r"\$\{\w+\}", given.get(name, ""))), f"main.parameters.json: {name} is an object and not the whole of one variable, without a default")

variables = read("src/config/variables.rs")
known = set(re.findall(r'"((?:[A-Z]+_)+[A-Z]+|AzureWebJobsStorage\w*)"', variables)) | HOST
settings = re.findall(r"\b(AzureWebJobsStorage\w*|[A-Z]+(?:_[A-Z]+)+):", resources)
require(len(settings) >= 10, "resources.bicep: its settings are not found")
for setting in settings:
    require(setting in known, f"resources.bicep: neither asklake nor the host reads {setting}")
# A protection that cannot be set by `azd up` is taken away by it: what the portal was told is gone.
for setting in {"AUTH_REQUIRED", "AUTH_ADMIN_ROLE"} | {name for value in given.values() for name in re.findall(r"\w+", value) if name in known}:
    require(setting in settings, f"resources.bicep: does not set {setting}")
merged = re.search(r"properties: union\(([\w, ]+)\)", resources)
order = merged[1].split(", ") if merged else []
declared = set(re.findall(r"^var (\w+(?:Settings|Quotas)) =", resources, re.M))
require(declared == set(order), f"resources.bicep: the settings that it declares and those that it sets differ by {declared ^ set(order)}")
first = [name for name in order if not name.endswith("Quotas")][:1]
require(first == ["furtherSettings"], "resources.bicep: further settings are not before all but the quotas, so they win against what is fixed")
for quota, value in re.findall(r"\b(QUOTA_\w+): '(\w*)'", resources):
    require(value.isdigit() and int(value) > 0, f"resources.bicep: {quota} is {value}, which is no limit")
modes = re.search(r"is none of ([\w, ]+)\"", read("src/config/sign_in.rs"))
allowed = re.search(r"@allowed\(\[([^]]+)\]\)\nparam authMode ", main)
require(
    bool(modes and allowed) and set(re.findall(r"\w+", allowed[1])) == set(re.findall(r"\w+", modes[1])) - {"and"},
    "main.bicep: authMode does not allow the modes of src/config/sign_in.rs",
)

queue = re.search(r'const NAME: &str = "([^"]+)"', read("src/queue/mod.rs"))
require(bool(queue) and f"var wakes = '{queue[1]}'" in resources, "resources.bicep: the queue is not the one of src/queue/mod.rs")
for variable, name in (("COSMOS_DATABASE", "databaseName"), ("COSMOS_CONTAINER", "containerName")):
    default = re.search(rf'"{variable}", "(\w+)"', variables)
    require(bool(default) and f"var {name} = '{default[1]}'" in resources, f"resources.bicep: {name} is not the default of {variable}")

azure = read("azure.yaml")
service = re.search(r"^services:\n  (\w+):", azure, re.M)
require(bool(service) and f"'azd-service-name': '{service[1]}'" in resources, "azure.yaml: no resource bears the tag of the service")

# Prometheus has the names of metrics with underscores, their unit and, of counters, `_total`.
source = "".join(read(file) for file in ("src/telemetry/instruments.rs", "src/store/cosmos/charge.rs"))
names = {name.replace(".", "_") + "_seconds" for name in re.findall(r'seconds\(&meter, "([\w.]+)"', source)}
names |= {name.replace(".", "_") for name in re.findall(r'(?:up_down_counter|_histogram)\("([\w.]+)"', source)}
names |= {name.replace(".", "_") + "_total" for name in re.findall(r'u64_counter\("([\w.]+)"', source)}
require(len(names) >= 10, "instruments.rs: its metrics are not found")
expressions = [target["expr"] for panel in json.loads(read("deploy/dashboard.json"))["panels"] for target in panel["targets"]]
expressions += re.findall(r"expr: (?:>-\n)?((?:.|\n)+?)\n +for:", read("deploy/alerts.yaml"))
require(len(expressions) >= 10, "dashboard.json, alerts.yaml: their expressions are not found")
expression = re.sub(r"by \([^)]*\)", "", " ".join(expressions))
for metric in re.findall(r"\b(?:asklake|azure|db|gen_ai|http)_\w+(?=[\[{)\s])", expression):
    name = re.sub(r"_(bucket|count|sum)$", "", metric)
    require(name in names, f"dashboard.json, alerts.yaml: the code has no metric {metric}")
attributes = set(re.findall(r'KeyValue::new\("([\w.]+)"', source))
labels = {attribute.replace(".", "_") for attribute in attributes}
for label in re.findall(r'\b(\w+)(?:=|!=|=~|!~)"', expression):
    require(label in labels, f"dashboard.json, alerts.yaml: no metric of the code has a label {label}")

# Application Insights has the names as they are; its rules are those of Prometheus.
rules = read("deploy/alerts.bicep")
dotted = {name.removesuffix("_seconds").removesuffix("_total") for name in names}
queried = re.findall(r"\bname == '([\w.]+)'", rules)
for several in re.findall(r"\bname in \(([^)]*)\)", rules):
    queried += re.findall(r"'([\w.]+)'", several)
require(len(queried) >= 5, "alerts.bicep: its queries are not found")
for name in queried:
    require(name.replace(".", "_") in dotted, f"alerts.bicep: the code has no metric {name}")
for attribute in re.findall(r"customDimensions\['([\w.]+)'\]", rules):
    require(attribute in attributes, f"alerts.bicep: no metric of the code has an attribute {attribute}")
alerts = re.findall(r"- alert: (\w+)", read("deploy/alerts.yaml"))
require(re.findall(r"name: '(\w+)'\n    summary", rules) == alerts, "alerts.bicep: its rules are not those of alerts.yaml")
summaries = re.findall(r'summary: "([^"]+)"', read("deploy/alerts.yaml"))
require(re.findall(r"summary: '([^']+)'", rules) == summaries, "alerts.bicep: its rules say other things than those of alerts.yaml")
# A worker that is dead sends nothing that an alert could find too high: the requests that begin a turn are held against what comes of them.
begin = {"/api/chat/start", "/api/chat/{id}/messages"}
templates = set(re.findall(r'=> "(/[^"]*)"', read("src/http/route.rs")))
require(begin <= templates, "src/http/route.rs: has no longer the routes that begin a turn")
prometheus = read("deploy/alerts.yaml").split("- alert: ")[1:]
azure_monitor = rules.split("\n    query: ")[1:]
for file, parts, signs in (
    ("alerts.yaml", prometheus, ("asklake_wake_age_seconds_count", "asklake_turn_duration_seconds_count")),
    ("alerts.bicep", azure_monitor, ("asklake.wake.age", "asklake.turn.duration")),
):
    for sign in signs:
        require(any("202" in part and sign in part for part in parts), f"{file}: holds no questions that begin against {sign}")
for pattern in re.findall(r'http_route=~"([^"]+)"', expression):
    found = {template for template in templates if re.fullmatch(pattern, template)}
    require(found == begin, f"alerts.yaml: {pattern} is of {found}")
for several in re.findall(r"\['http\.route'\]\) in \(([^)]*)\)", rules):
    require(set(re.findall(r"'([^']+)'", several)) == begin, f"alerts.bicep: {several} are not the routes that begin a turn")
turn = re.search(r"turn: Duration::from_secs\((\d+) \* 60\)", read("src/conversation/retry.rs"))
require(bool(turn), "src/conversation/retry.rs: how long a turn may take is not found")
for file, text, wait in (("alerts.yaml", expression, r'"202"\}\[\w+\] offset (\d+)m'), ("alerts.bicep", rules, r"ago\((\d+)m\)")):
    waits = re.findall(wait, text)
    require(len(waits) == 1 and int(waits[0]) > int(turn[1] if turn else 0), f"{file}: a turn may take longer than the minutes {waits}")
for alert in alerts:
    require(f"\n| {alert} |" in read("docs/observability.md"), f"docs/observability.md: does not say what to do about {alert}")

# What a collector does not use it does not start: an extension that signs in, and that nothing names, protects nothing.
collector = read("deploy/collector.yaml")
sections = dict(re.findall(r"^(\w+):\n((?: .*\n|\n)*)", collector, re.M))
service_of = sections.pop("service", "")
require({"receivers", "exporters"} <= set(sections), "collector.yaml: its parts are not found")
for kind in {"extensions", *sections}:
    defined = set(re.findall(r"^  ([\w/]+):", sections.get(kind, ""), re.M))
    named = {name for names in re.findall(rf"\b{kind}: \[([^]]*)\]", service_of) for name in re.findall(r"[\w/]+", names)}
    require(defined == named, f"collector.yaml: the {kind} that it defines and those that its service uses differ by {defined ^ named}")
    for name in defined if kind == "extensions" else ():
        require("auth" not in name or f"authenticator: {name}" in collector, f"collector.yaml: nothing signs in by {name}")

sys.exit("\n".join(faults) or 0)
