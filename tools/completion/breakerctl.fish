# SPDX-License-Identifier: Apache-2.0
# Completion of breakerctl for fish. What may follow, breakerctl knows itself.
function __breakerctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] completion words -- $before[2..-1] "$current" 2>/dev/null)
        switch $line
            case '\*files' '\*directories' '\*commands'
                # What fish would offer behind any word.
                complete -C "true $current"
            case '*'
                echo $line
        end
    end
end
complete -c breakerctl -f -a '(__breakerctl_complete)'
