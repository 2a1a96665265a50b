# Completions of nightmark for bash. What it does not know is a file.
_nightmark() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <(_NIGHTMARK_COMPLETE=bash nightmark -- "${COMP_WORDS[@]:0:COMP_CWORD}" "$2" 2>/dev/null)
}
complete -o default -F _nightmark nightmark
