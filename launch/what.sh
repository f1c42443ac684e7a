# Sourced by the launchers: `what RECIPE SOURCE RUN [flags]` puts the arguments of `alexnet train` into WHAT,
# those that go on with RUN where it exists.
# shellcheck shell=bash disable=SC2034
what() {
    if (($# < 3)); then
        echo "usage: $0 RECIPE SOURCE RUN [flags of alexnet train]" >&2
        exit 2
    fi
    local recipe=$1 source=$2 run=$3
    shift 3
    if [[ -e $run/config.json ]]; then
        local parallel=()
        while (($#)); do
            if [[ $1 == --parallel ]]; then parallel=("$1" "${2-}"); fi
            if [[ $1 == --parallel=* ]]; then parallel=("$1"); fi
            shift
        done
        WHAT=(--resume "$run" "${parallel[@]}")
    else
        WHAT=("$recipe" --data "$source" --out "$run" "$@")
    fi
}
