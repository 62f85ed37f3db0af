#compdef breakerctl
# SPDX-License-Identifier: Apache-2.0
# Completion of breakerctl for zsh. What may follow, breakerctl knows itself.
_breakerctl() {
    local line candidate told
    local -a before plain open
    before=("${(@Q)words[2,CURRENT-1]}")
    for line in "${(@f)$(${(Q)words[1]} completion words -- "${before[@]}" "$PREFIX" 2>/dev/null)}"; do
        candidate=${line%%$'\t'*}
        told=${line#*$'\t'}
        case $candidate in
        '') ;;
        '*files') _files ;;
        '*directories') _files -/ ;;
        '*commands') _command_names ;;
        *=) open+=("${candidate//:/\\:}:$told") ;;
        *) plain+=("${candidate//:/\\:}:$told") ;;
        esac
    done
    (( ${#plain} )) && _describe breakerctl plain
    (( ${#open} )) && _describe breakerctl open -S ''
    return 0
}
if [[ ${funcstack[1]} == _breakerctl ]]; then
    _breakerctl "$@"
else
    compdef _breakerctl breakerctl
fi
