#!/usr/bin/env bash
# Submits a sentence and follows the run to its end with curl and jq, over server-sent events.
# A connection that breaks is made again from the last event.
#
#     LIFEOS_TOKEN=… examples/follow.sh "plan groceries for 3 people"
set -euo pipefail

intent=${1:?usage: follow.sh "what you want done"}
token=${LIFEOS_TOKEN:?set it to the token that “lifeos serve” printed}
url=${LIFEOS_URL:-http://127.0.0.1:8000}/graphql

ask() { # DOCUMENT VARIABLES MEDIA-TYPE: the answer to an operation
    jq --null-input --arg query "$1" --argjson variables "$2" '{$query, $variables}' |
        # The token goes in by a file, as everybody on this machine can read the command line.
        curl --silent --show-error --no-buffer --config <(printf 'header = "Authorization: Bearer %s"' "$token") \
            --header "Content-Type: application/json" --header "Accept: $3" --data @- "$url"
}

fail() {
    echo "$1" >&2
    exit 1
}

submitted=$(ask 'mutation($input: SubmitWorkflowInput!) { submitWorkflow(input: $input) { run { id } errors { message } } }' \
    "$(jq --null-input --arg intent "$intent" '{input: {$intent}}')" application/json) || fail "no answer from $url"
fault=$(jq --raw-output '[.errors // [], .data.submitWorkflow.errors // []] | add | map(.message) | join("; ")' <<<"$submitted")
[[ -z $fault ]] || fail "$fault"
run=$(jq --raw-output .data.submitWorkflow.run.id <<<"$submitted")

after=null # the cursor of the last event, as JSON
tries=0
while ((tries++ < 60)); do
    ended=
    while IFS= read -r line || [[ -n $line ]]; do
        case $line in
        'event: complete') ended=yes ;;
        'data: {'* | '{'*)
            answer=${line#data: }
            refused=$(jq --raw-output '.errors[0] // empty | select(.extensions.code != "UNAVAILABLE") | .message' <<<"$answer")
            [[ -z $refused ]] || fail "$refused"
            jq --raw-output '.data.timeline // empty | "\(.seq)  \(.type)  \(.message)"' <<<"$answer"
            after=$(jq --argjson last "$after" '.data.timeline.cursor // $last' <<<"$answer")
            tries=0
            ;;
        esac
    done < <(ask 'subscription($run: ID!, $after: String) { timeline(runId: $run, after: $after) { cursor seq type message } }' \
        "$(jq --null-input --arg run "$run" --argjson after "$after" '{$run, $after}')" text/event-stream)
    [[ -z $ended ]] || exit 0
    echo "… connecting again" >&2
    sleep 1
done
fail "no answer from $url for a minute"
