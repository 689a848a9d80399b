# Guardian of one throw-away server. Its standard input is a pipe held by weir alone: when that closes, for whatever
# reason, the server is stopped hard and the directory removed. It obeys four words: start, stop, kill, end.
# Arguments: directory to remove, data directory, signal for a clean stop, signal for a quick one, then the server's
# command line.
dir=$1 data=$2 clean=$3 quick=$4
shift 4
pid=
# A trap, not an ignored signal: the server must not inherit an ignored one.
trap : HUP INT TERM PIPE

alive() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }

# gone TENTHS: wait so long for the server to end
gone() {
    n=0
    while alive && [ "$n" -lt "$1" ]; do
        sleep 0.05
        n=$((n + 1))
    done
    ! alive
}

# Stopped first, so that it can neither start nor reap a child while its children are listed.
hard() {
    if alive; then
        kill -STOP "$pid" 2>/dev/null
        children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
        kill -KILL "$pid" $children 2>/dev/null
        wait "$pid" 2>/dev/null
        n=0
        for child in $children; do
            while kill -0 "$child" 2>/dev/null && [ "$n" -lt 40 ]; do
                sleep 0.05
                n=$((n + 1))
            done
        done
    fi
    pid=
}

while read -r word; do
    case $word in
    start)
        "$@" </dev/null >>"$dir/log" 2>&1 &
        pid=$!
        echo "started $pid"
        ;;
    stop)
        code=137
        alive && kill -"$clean" "$pid"
        if gone 600; then
            wait $pid
            code=$?
        else
            hard
        fi
        pid=
        echo "stopped $code"
        ;;
    kill)
        hard
        echo killed
        ;;
    end) break ;;
    esac
done

if alive; then
    kill -"$quick" "$pid"
    gone 60
fi
hard
# A killed PostgreSQL leaves a System V segment; line 7 of its pid file names it.
segment=$(sed -n '7s/.* //p' "$data/postmaster.pid" 2>/dev/null)
[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
n=0
while [ -e "$dir" ] && [ "$n" -lt 40 ]; do
    rm -rf "$dir" 2>/dev/null
    [ -e "$dir" ] && sleep 0.05
    n=$((n + 1))
done
