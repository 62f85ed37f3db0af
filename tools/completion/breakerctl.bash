# SPDX-License-Identifier: Apache-2.0
# Completion of breakerctl for bash. What may follow, breakerctl knows itself.
_breakerctl() {
    local line=${COMP_LINE:0:COMP_POINT} own=${COMP_WORDS[COMP_CWORD]}
    local -a words
    local candidate cur prefix
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cur=${words[-1]}
    # bash replaces only what stands behind the last ":" or "=".
    [[ $own == [:=] ]] && own=
    prefix=${cur%"$own"}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
        '*files')
            compopt -o filenames
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$own")
            ;;
        '*directories')
            compopt -o filenames
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$own")
            ;;
        '*commands')
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- "$own")
            ;;
        *)
            [[ $candidate == *= ]] && compopt -o nospace
            COMPREPLY+=("${candidate#"$prefix"}")
            ;;
        esac
    done < <("${words[0]}" completion words -- "${words[@]:1}" 2>/dev/null)
}
complete -F _breakerctl breakerctl
