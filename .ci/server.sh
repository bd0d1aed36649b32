# Sourced by .ci/test: the server under test, on a free port, ended by its process id.

pids=$logs/pids

free_port() {
    node -e 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# start_server FLAG ...: starts the release build on a free port, waits until it answers, sets $port.
start_server() {
    port=$(free_port)
    start_program "$port" "$root/target/release/tethered" --listen "127.0.0.1:$port" "$@"
}

# start_program PORT COMMAND ...: starts it and waits until something answers on the port.
start_program() {
    local on=$1 pid i
    shift
    echo "+ ${1##*/} ${*:2}"
    "$@" >>"$logs/server.log" 2>&1 &
    pid=$!
    echo "$pid" >>"$pids"
    for ((i = 0; i < 100; i++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$on") 2>/dev/null; then return 0; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "${1##*/} did not come up; the last lines:"
    tail -n 20 "$logs/server.log"
    return 1
}

# Ends what start_server started: first with time to say goodbye, then without.
stop_servers() {
    local pid i
    [ -f "$pids" ] || return 0
    while read -r pid; do
        kill "$pid" 2>/dev/null || continue
        for ((i = 0; i < 50; i++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done <"$pids"
    rm -f "$pids"
}
