#!/usr/bin/env bash
# Two iterations on one GPU, by the stages' commands in their order, with two learning rates side by side.
#
#     bash docs/real_model/run.sh ../qwen ../gsm8k ../mgsm ../run
#
# ../qwen is what prepare.py wrote; ../gsm8k holds en.jsonl, es.jsonl and de.jsonl ({"id", "question", "answer"}, the same
# ids in each), ../mgsm MGSM's published files. Both arms begin on the same data. No DVC and no MLflow takes part.
# ../run is a project afterwards: `lidr compare --show --only mgsm` says what was gained and by which arm, and with
# X-AlpacaEval's prompts in data/sources/x-alpacaeval-prompts, `lidr score m1 && lidr audit m1` what it was trained on.
set -euo pipefail
model=$(realpath "$1") prompts=$(realpath "$2") mgsm=$(realpath "$3")
here=$(realpath "$(dirname "$0")")
export LIDR_TRACKING=off HF_HUB_OFFLINE=1 TQDM_DISABLE=1

stage() {  # its output, and how long it took
  local began=$SECONDS
  lidr "$@"
  echo "[$SECONDS s] lidr $* took $((SECONDS - began)) s"
}

arm() {  # first iteration, data of the second, second iteration; the first one's pairs are there
  stage train "$1"
  stage mgsm "$1" & local evaluation=$!
  stage generate "$2"; stage translate "$2"; stage pairs "$3"; stage train "$3"; stage mgsm "$3"
  wait "$evaluation"
}

mkdir -p "$4/data/sources"; cd "$4"
cp -r "$prompts" data/sources/gsm8k; cp -r "$mgsm" data/sources/mgsm; cp -r "$here/../../profiles" .
sed "s#MODEL#$model#" "$here/params.yaml" > params.yaml
stage base
for data in m1 m2 m2-fast; do stage prompts "$data"; done
stage mgsm m0 & evaluation=$!
stage generate m1; stage translate m1; stage pairs m1; stage pairs m2
wait "$evaluation"

arm m1 m2 m3 & first=$!
arm m2 m2-fast m4 & second=$!
wait "$first"; wait "$second"
