#!/usr/bin/env bash
# Tools: @baloise/spectral-rules 1.5.0 (Zalando's guidelines as a ruleset) under @stoplight/spectral-cli 6.16.3
# Behaviour: a null anywhere below `paths`, also within an example, ends the two rules on dates with an exception
#   ("Cannot read properties of null"): their filter ?(@.type === 'string' …) is tried on every value, and JSONPath
#   gives it the null too. Spectral catches it, prints it, exits with 2 and reports nothing of that rule, while the
#   findings of all others stand as if all had run.
# Why one guesses otherwise: a null in an example is what a nullable member needs, the rules speak of schemas alone,
#   and the linter's other filters do not meet examples.
# What it costs: a document with honest examples cannot be linted by this ruleset; without the nulls all is well.
# Do instead: state the rules again with `@ &&` before the first member.
# Output seen (this script fails when it changes):
#> without null: exit 0
#> with null in an example: exit 2, says Cannot read properties of null (reading 'type')
#> rule stated again with "@ &&": exit 0
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"name": "t", "version": "1.0.0", "private": true}' >package.json
npm install --silent --no-audit --no-fund @stoplight/spectral-cli@6.16.3 @baloise/spectral-rules@1.5.0 >/dev/null 2>&1
rule=must-use-standard-formats-for-date-and-time-properties-utc
cat >rules.yaml <<YAML
extends: [["./node_modules/@baloise/spectral-rules/zalando.yml", "off"]]
rules: {$rule: true}
YAML
cat >again.yaml <<YAML
rules:
  $rule:
    given: "\$.paths..[?(@ && @.type === 'string' && @.format === 'date-time')]"
    then: {field: example, function: pattern, functionOptions: {match: "Z\$"}}
YAML
document() {
  echo "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"t\", \"version\": \"1\"}, \"paths\": {\"/r\": {\"get\": {\"responses\": {\"200\":
  {\"description\": \"d\", \"content\": {\"application/json\": {\"example\": {\"next\": $1}}}}}}}}}"
}
document '"a"' >whole.json
document null >null.json
lint() { local code=0; node_modules/.bin/spectral lint "$2" --ruleset "$1" --fail-severity error >said 2>&1 || code=$?; echo "exit $code"; }
{
  echo "without null: $(lint rules.yaml whole.json)"
  code=$(lint rules.yaml null.json)
  echo "with null in an example: $code, says $(grep -o "Cannot read properties of null (reading '[a-z]*')" said | head -1)"
  echo "rule stated again with \"@ &&\": $(lint again.yaml null.json)"
} >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
