#!/usr/bin/env bash
# Two iterations on one GPU, by the stages' commands in their order, with two learning rates side by side.
#
#     bash docs/real_model/run.sh ../qwen ../gsm8k ../mgsm ../runs
#
# ../qwen is what prepare.py wrote; ../gsm8k holds en.jsonl, es.jsonl and de.jsonl ({"id", "question", "answer"}, the same
# ids in each), ../mgsm MGSM's published files. The arms share what m1 is made of. No DVC and no MLflow takes part.
# Each arm's folder is a project of its own afterwards: `lidr compare --show --only mgsm` says what was gained, and with
# X-AlpacaEval's prompts in data/sources/x-alpacaeval-prompts, `lidr score m1 && lidr audit m1` what it was trained on.
set -euo pipefail
model=$(realpath "$1") prompts=$(realpath "$2") mgsm=$(realpath "$3")
mkdir -p "$4"; runs=$(realpath "$4")
here=$(realpath "$(dirname "$0")")
export LIDR_TRACKING=off HF_HUB_OFFLINE=1 TQDM_DISABLE=1

stage() {  # its output, and how long it took
  local began=$SECONDS
  lidr "$@"
  echo "[$SECONDS s] $(basename "$PWD"): lidr $* took $((SECONDS - began)) s"
}

iterate() {  # the rest of an arm whose m1 has its pairs
  cd "$1"
  stage train m1
  stage mgsm m1 & local evaluation=$!
  stage generate m2; stage translate m2; stage pairs m2; stage train m2; stage mgsm m2
  wait "$evaluation"
}

mkdir -p "$runs/3e-5/data/sources"; cd "$runs/3e-5"
cp -r "$prompts" data/sources/gsm8k; cp -r "$mgsm" data/sources/mgsm; cp -r "$here/../../profiles" .
sed "s#MODEL#$model#" "$here/params.yaml" > params.yaml
stage base; stage prompts m1; stage prompts m2
stage mgsm m0 & evaluation=$!
stage generate m1; stage translate m1; stage pairs m1
wait "$evaluation"

# Links, not copies, of what both arms have: a stage writes its outputs anew.
cp -rl "$runs/3e-5" "$runs/1e-4"; cd "$runs/1e-4"; rm -rf .lidr params.yaml
sed "s#MODEL#$model#; s/learning_rate: 3.0e-5/learning_rate: 1.0e-4/" "$here/params.yaml" > params.yaml
iterate "$runs/3e-5" & first=$!
iterate "$runs/1e-4" & second=$!
wait "$first"; wait "$second"
