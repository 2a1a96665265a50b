# Completions of nightmark for fish. What it does not know is a file.
function __nightmark_complete
    set --local current (commandline --current-token)
    set --local found (_NIGHTMARK_COMPLETE=fish nightmark -- (commandline --current-process --tokenize --cut-at-cursor) "$current" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete --command nightmark --no-files --keep-order --arguments '(__nightmark_complete)'
