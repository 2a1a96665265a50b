#compdef nightmark
# Completions of nightmark for zsh. What it does not know is a file.
_nightmark() {
    local -a found
    found=("${(@f)$(_NIGHTMARK_COMPLETE=zsh nightmark -- "${(@)words[1,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    if [[ -n "$found[1]" ]]; then
        _describe -V nightmark found
    else
        _files
    fi
}
# Read from a folder of $fpath it is called; read by `source` it says what it completes.
if [[ "$funcstack[1]" == _nightmark ]]; then
    _nightmark "$@"
else
    compdef _nightmark nightmark
fi
