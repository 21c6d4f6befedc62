"""``accredit policy``: exit status, output forms, and case files that are refused by name."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from broker.cli.policy_cases import MAX_BYTES
from broker.policy.lint import RULES
from broker.policy.reader import MAX_CHARACTERS

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "policy-lint.md"
GOOD = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
WRONG = GOOD.replace("s3:GetObject", "iam:CreateUsr")
TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": %s, "Action": "sts:AssumeRole"}]}'
EVERYBODY = TRUST % '"*"'
FOREIGN = TRUST % '{"AWS": "444455556666"}'
SUGGESTED = GOOD.replace('"s3:GetObject"', '["s3:GetObject", "s3:*"]')


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, arguments)])


def _write(directory: Path, name: str, text: str) -> Path:
    (directory / name).write_text(text, encoding="utf-8")
    return directory / name


def _lint(directory: Path, text: str, *options: str) -> Result:
    return _run("lint", _write(directory, "policy.json", text), *options)


def test_a_good_policy_prints_nothing(tmp_path: Path) -> None:
    result = _lint(tmp_path, GOOD)
    assert (result.exit_code, result.output) == (0, "")


def test_a_line_names_file_line_and_column(tmp_path: Path) -> None:
    result = _lint(tmp_path, WRONG.replace('"iam', '\n  "iam'))
    assert result.exit_code == 1
    assert result.output.startswith(f"{tmp_path / 'policy.json'}:2:3: ERROR INVALID_ACTION The service iam has no")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (SUGGESTED, (), 0),
        (SUGGESTED, ("--fail-on", "suggestion"), 1),
        (SUGGESTED, ("--fail-on", "warning"), 0),
        (EVERYBODY, (), 1),
        (EVERYBODY, ("--fail-on", "error"), 0),
        (EVERYBODY, ("--fail-on", "suggestion"), 1),
        (WRONG, ("--fail-on", "error"), 1),
        ("{", ("--fail-on", "error"), 1),
        ("", (), 1),
        (" " * (MAX_CHARACTERS + 10), (), 1),
        (FOREIGN, (), 0),
        (FOREIGN, ("--account", "444455556666"), 0),
        (FOREIGN, ("--account", "111122223333"), 1),
        (EVERYBODY, ("--kind", "identity"), 1),
        (GOOD, ("--kind", "trust"), 1),
        (GOOD, ("--kind", "boundary"), 0),
    ],
)
def test_the_exit_status_follows_the_gravest_finding(
    tmp_path: Path, text: str, options: tuple[str, ...], status: int
) -> None:
    assert _lint(tmp_path, text, *options).exit_code == status


@pytest.mark.parametrize(
    "options",
    [("--account", "123"), ("--account", "11112222333x"), ("--kind", "scp"), ("--fail-on", "x"), ("--format", "x")],
)
def test_an_option_that_means_nothing_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = _lint(tmp_path, GOOD, *options)
    assert result.exit_code == 2
    assert options[0] in result.output


def test_files_are_needed() -> None:
    assert _run("lint").exit_code == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = _run("lint", tmp_path / "none.json")
    assert result.exit_code == 1
    assert "none.json" in result.output
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    result = _run("lint", tmp_path / "latin.json")
    assert result.exit_code == 1
    assert "latin.json: it is not UTF-8" in result.output


def test_json_has_the_findings_of_all_files(tmp_path: Path) -> None:
    files = [_write(tmp_path, "a.json", WRONG), _write(tmp_path, "b.json", EVERYBODY), _write(tmp_path, "c.json", GOOD)]
    result = _run("lint", *files, "--format", "json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert [(Path(each["file"]).name, each["issueCode"]) for each in found] == [
        ("a.json", "INVALID_ACTION"),
        ("b.json", "WILDCARD_PRINCIPAL"),
    ]


def _sarif(directory: Path, *texts: str) -> dict[str, Any]:
    files = [_write(directory, f"a {number}.json", text) for number, text in enumerate(texts)]
    log: dict[str, Any] = json.loads(_run("lint", *files, "--format", "sarif").output)
    return log


def test_sarif_has_what_the_schema_requires(tmp_path: Path) -> None:
    log = _sarif(tmp_path, WRONG, SUGGESTED, "{")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert [result["level"] for result in run["results"]] == ["error", "note", "error"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert len(result["locations"]) == 1
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uri"].startswith("file:///")
            assert " " not in place["artifactLocation"]["uri"]
            region = place["region"]
            assert 1 <= region["startLine"] <= region["endLine"]
            assert min(region["startColumn"], region["endColumn"]) >= 1


def test_sarif_regions_count_columns_from_one(tmp_path: Path) -> None:
    (result,) = _sarif(tmp_path, WRONG)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert WRONG[region["startColumn"] - 1 : region["endColumn"] - 1] == '"iam:CreateUsr"'


def test_sarif_of_good_policies_is_a_run_without_results(tmp_path: Path) -> None:
    (run,) = _sarif(tmp_path, GOOD)["runs"]
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []


def test_sarif_names_a_relative_file_relatively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, "a#b.json", WRONG)
    (result,) = json.loads(_run("lint", "a#b.json", "--format", "sarif").output)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%23b.json"


def test_the_documentation_has_a_row_for_every_code_with_its_type() -> None:
    rows = re.findall(r'^\| <a id="(\w+)"></a>`(\w+)` \| (\w+) \|', DOCUMENTATION.read_text(), re.MULTILINE)
    assert all(anchor == code.lower() for anchor, code, _ in rows)
    documented = [(code, type_) for _, code, type_ in rows]
    assert documented == [("MALFORMED_POLICY", "ERROR"), *((rule.code, rule.type.value) for rule in RULES)]


USER = "arn:aws:iam::111122223333:user/team/bob"
CASE = """
[[case]]
name = "read"
principal = "arn:aws:iam::111122223333:user/team/bob"
action = "s3:GetObject"
resource = "arn:aws:s3:::b/x"
expect = "allow"
policies.identity = "good.json"
"""
SESSION = "arn:aws:sts::111122223333:assumed-role/app/s"


def _test(directory: Path, cases: str, name: str = "cases.toml") -> Result:
    _write(directory, "good.json", GOOD)
    _write(directory, name, cases)
    return _run("test", directory)


def test_the_documented_example_passes(tmp_path: Path) -> None:
    found = re.findall(r"```(toml|json)\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    examples = dict(found)
    assert len(found) == len(examples) == 2
    _write(tmp_path, "deploy-trust.json", examples["json"])
    result = _test(tmp_path, examples["toml"])
    assert result.output.splitlines() == [
        "ok  cases.toml: main may deploy: allow because a resource-based policy allows the "
        "sts:AssumeRoleWithWebIdentity action",
        "ok  cases.toml: the deployer may not make users: deny because no identity-based policy allows the "
        "iam:CreateUser action",
        "2 cases, 0 wrong",
    ]
    assert result.exit_code == 0


def test_a_wrong_answer_says_why_and_fails(tmp_path: Path) -> None:
    result = _test(tmp_path, CASE + CASE.replace("GetObject", "PutObject"))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "ok  cases.toml: read: allow because an identity-based policy allows the s3:GetObject action",
        "WRONG  cases.toml: read: deny because no identity-based policy allows the s3:PutObject action",
        "2 cases, 1 wrong",
    ]


IDENTITY = 'policies.identity = {Statement = [{Effect = "Allow", Action = "s3:*", Resource = "*"%s}]}'


def _inline(condition: str = "") -> str:
    return CASE.replace('policies.identity = "good.json"', IDENTITY % condition)


@pytest.mark.parametrize(
    ("cases", "answer"),
    [
        (CASE, "allow"),
        (CASE.replace("arn:aws:s3:::b/x", "*"), "allow"),
        (CASE + 'policies.boundary = "good.json"', "allow"),
        (CASE + 'policies.boundary = {Statement = {Effect = "Allow", Action = "iam:*", Resource = "*"}}', "deny"),
        (CASE + 'policies.session = ["good.json", "good.json"]', "allow"),
        (CASE + 'policies.session = {Statement = {Effect = "Deny", Action = "*", Resource = "*"}}', "deny"),
        (CASE.replace(USER, SESSION), "allow"),
        (CASE.replace(USER, "arn:aws:iam::111122223333:role/path/app"), "allow"),
        (CASE.replace(USER, "arn:aws:sts::111122223333:federated-user/x"), "deny"),
        (CASE.replace(USER, "arn:aws:iam::111122223333:root"), "allow"),
        (CASE.replace(USER, "arn:aws:iam::111122223333:oidc-provider/idp.example.com"), "deny"),
        (CASE.replace("arn:aws:s3:::b/x", "arn:aws:iam::444455556666:role/x"), "deny"),
        (_inline(', Condition = {StringEquals = {"aws:username" = "bob"}}'), "allow"),
        (_inline(', Condition = {StringEquals = {"aws:username" = "eve"}}'), "deny"),
        (_inline(', Condition = {ArnEquals = {"aws:PrincipalArn" = "' + USER + '"}}'), "allow"),
        (_inline(', Condition = {Bool = {"aws:SecureTransport" = true}}'), "deny"),
        (
            _inline(', Condition = {Bool = {"aws:SecureTransport" = true}}') + "context.'aws:SecureTransport' = true",
            "allow",
        ),
        (_inline(', Condition = {NumericLessThan = {"x:n" = 3}}') + "context.'x:n' = 2", "allow"),
        (_inline(', Condition = {NumericLessThan = {"x:n" = 3}}') + "context.'x:n' = 3.5", "deny"),
        (
            _inline(', Condition = {DateLessThan = {"x:d" = "2030-01-01"}}') + "context.'x:d' = 2029-01-01T00:00:00Z",
            "allow",
        ),
        (_inline(', Condition = {Null = {"aws:userid" = false}}'), "deny"),
        (_inline(', Condition = {Null = {"aws:userid" = false}}') + "context.'aws:userid' = 'AIDAX'", "allow"),
        (
            _inline(
                ', Condition = {ArnEquals = {"aws:PrincipalArn" = "arn:aws:iam::111122223333:role/p/app"}}'
            ).replace(USER, SESSION)
            + "context.'AWS:principalarn' = 'arn:aws:iam::111122223333:role/p/app'",
            "allow",
        ),
        (
            _inline(', Condition = {"ForAllValues:StringEquals" = {"x:s" = ["a", "b"]}}')
            + "context.'x:s' = ['a', 'b']",
            "allow",
        ),
        (
            _inline(', Condition = {"ForAllValues:StringEquals" = {"x:s" = ["a", "b"]}}')
            + "context.'x:s' = ['a', 'c']",
            "deny",
        ),
    ],
)
def test_cases_are_decided_by_the_engine(tmp_path: Path, cases: str, answer: str) -> None:
    result = _test(tmp_path, cases.replace('expect = "allow"', f'expect = "{answer}"'))
    assert result.exit_code == 0, result.output
    assert f": read: {answer}" in result.output


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ("", "case is missing"),
        ("case = []", "not an empty one"),
        ("case = 1", "must be a list"),
        ("case = [1]", "case 1: a table is expected"),
        ("cases = []", "unknown key 'cases'"),
        ("case = ", "cases.toml: Invalid value"),
        ("case = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "1" * 5_000, "cases.toml: "),
        ("#" * (MAX_BYTES + 1), f"larger than {MAX_BYTES} bytes"),
        (CASE + 'expcet = "deny"', "case 1: unknown key 'expcet'"),
        (CASE + CASE + 'Name = "x"', "case 2: unknown key 'Name'"),
        (CASE.replace('name = "read"', ""), "name is missing"),
        (CASE.replace('"read"', "1"), "name must be printable text"),
        (CASE.replace('"read"', '"\\u001b[2J"'), "name must be printable text"),
        (CASE.replace('"allow"', '"Allow"'), "expect must be allow or deny"),
        (CASE.replace('"allow"', "true"), "expect must be printable text"),
        (CASE.replace("s3:GetObject", "s3:*"), "action must be one action"),
        (CASE.replace("s3:GetObject", "GetObject"), "action must be one action"),
        (CASE.replace("arn:aws:s3:::b/x", "b/x"), "b/x is invalid"),
        (CASE.replace(USER, "bob"), "principal 'bob' is no ARN"),
        (CASE.replace(USER, "arn:aws:iam::1:user/bob"), "is nobody who can ask"),
        (CASE.replace(USER, "arn:aws:iam::111122223333:group/bob"), "is nobody who can ask"),
        (CASE.replace(USER, "arn:aws:sts::111122223333:assumed-role/app"), "is nobody who can ask"),
        (CASE + "context = 1", "context must be a table"),
        (CASE + "context.a = {b = 1}", "context 'a' must be a value"),
        (CASE + "context.a = [[1]]", "context 'a' must be a value"),
        (CASE + "context.a = 1\ncontext.A = 1", "differ in case alone"),
        (CASE + 'policies.resource = "good.json"', "policies: unknown key 'resource'"),
        (CASE.replace('policies.identity = "good.json"', "policies = 1"), "policies: a table is expected"),
        (CASE.replace('"good.json"', '"none.json"'), "cannot read"),
        (CASE.replace('"good.json"', '"."'), "cannot read"),
        (CASE.replace('"good.json"', '"\\u0000"'), "cannot read"),
        (CASE.replace('"good.json"', '"cases.toml"'), "cases.toml: Syntax error"),
        (CASE.replace('"good.json"', "[]"), "identity is an empty list"),
        (CASE.replace('"good.json"', "7"), "identity policy: The policy must be an object"),
        (CASE.replace('"good.json"', "{Version = 2012-10-17}"), "identity must be the name of a file, or a policy"),
        (CASE.replace("policies.identity", "policies.identity" + ".a" * 50_000), "nested too deeply"),
        (CASE + 'policies.boundary = ["good.json", "good.json"]', "one boundary policy only"),
        (CASE + 'policies.trust = "good.json"', "good.json: Resource is not allowed in a trust policy"),
    ],
    ids=lambda value: value[-60:],
)
def test_a_case_file_that_is_wrong_is_refused_by_name(tmp_path: Path, cases: str, problem: str) -> None:
    result = _test(tmp_path, cases)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert problem in result.output
    assert "cases.toml" in result.output
    assert len(result.output) < 1_000


def test_a_directory_without_cases_is_refused(tmp_path: Path) -> None:
    result = _run("test", tmp_path)
    assert result.exit_code == 1
    assert "has no case files" in result.output
    assert _run("test", tmp_path / "none").exit_code == 2


def test_all_files_of_a_directory_are_run_in_order(tmp_path: Path) -> None:
    _write(tmp_path, "b.toml", CASE)
    result = _test(tmp_path, CASE, "a.toml")
    assert [line.split(":")[0] for line in result.output.splitlines()] == [
        "ok  a.toml",
        "ok  b.toml",
        "2 cases, 0 wrong",
    ]


def test_yaml_says_the_same(tmp_path: Path) -> None:
    result = _test(tmp_path, json.dumps(tomllib.loads(CASE), indent=1), "cases.yaml")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 cases, 0 wrong")


def test_a_version_in_yaml_needs_no_quotes(tmp_path: Path) -> None:
    case = tomllib.loads(CASE)
    case["case"][0]["policies"] = {"identity": json.loads(GOOD)}
    bare = json.dumps(case).replace('"2012-10-17"', "2012-10-17")
    result = _test(tmp_path, bare, "cases.yaml")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 cases, 0 wrong")


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ("case: [", "cases.yaml: "),
        ("case: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: &a [1]\ncase: [*a, *a]", "aliases are not allowed"),
        ("case: []\nmore: 1", "unknown key 'more'"),
        ("- 1", "a table is expected"),
        ("case: 1\n---\ncase: 2", "expected a single document"),
        ("case: " + "[" * 20_000, "cases.yaml: "),
        ("case: " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("case: []\ncase: [1]", "a key is given twice at line 1"),
        ("case: !!timestamp 2026-99-99", "cases.yaml: "),
        ("case: [{[a]: 1}]", "cases.yaml: "),
        ("\x00", "cases.yaml: "),
    ],
)
def test_yaml_that_is_wrong_is_refused_by_name(tmp_path: Path, cases: str, problem: str) -> None:
    result = _test(tmp_path, cases, "cases.yaml")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert problem in result.output
