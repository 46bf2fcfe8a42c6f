# The guard of a private PostgreSQL cluster: makes its directory, runs its server, and takes both
# away when standard input ends. That is what a pipe does when the process holding its other end
# is gone, however it went: nothing is left behind even by `kill -9`.
#
# Arguments: the directory of PostgreSQL's programs, the directory to make, which may be there and
# empty, then what is passed to the server. It answers one line when it is ready, and one to every command it reads:
#
#   init         make the cluster               ok
#   copy PORT    make it a replica of another   ok
#   start PORT   start the server               its process id, at once
#   stop         shut it down, clients or not   ok
#   kill         kill -9 all of it              ok
#
# Any other answer is an error message.

bin=$1
root=$2
shift 2

# There may be nobody left to read an answer. That must not be the end of the guard.
trap '' PIPE
umask 022
if [ ! -d "$root" ]; then
    mkdir "$root" 2>&1 || exit 1
fi
cd "$root" 2>&1 || exit 1
exec 2>guard.log
echo ok

server=

# Sends the server a signal and waits for its end.
finish() {
    [ -n "$server" ] || return 0
    # The server's own processes each lead a session: no process group reaches them.
    children=
    [ "$1" = KILL ] && read -r children <"/proc/$server/task/$server/children"
    # Again and again, because a shell's background processes ignore signals until they want
    # them: one that comes while the server is starting is lost.
    # shellcheck disable=SC2086 # the list of children is meant to be split
    while kill -s "$1" "$server" $children; do sleep 0.1; done &
    sender=$!
    wait "$server"
    server=
    kill "$sender"
    wait "$sender"
}

while read -r command port; do
    case $command in
    init)
        if "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
            >initdb.log 2>&1 </dev/null; then
            echo ok
        else
            echo "initdb failed"
        fi
        ;;
    copy)
        # Where only the server's programs are linked to, the others lie beside what they are. What a newer one than the
        # server writes of the connection (-R), the server may not understand.
        if "$(dirname "$(readlink -f "$bin/postgres")")/pg_basebackup" -D data -h 127.0.0.1 -p "$port" -U postgres -c fast --no-sync \
            >initdb.log 2>&1 </dev/null; then
            echo "primary_conninfo = 'host=127.0.0.1 port=$port user=postgres'" >>data/postgresql.auto.conf
            : >data/standby.signal
            echo ok
        else
            echo "pg_basebackup failed"
        fi
        ;;
    start)
        "$bin/postgres" -D "$root/data" -k "$root" -p "$port" "$@" >>postgres.log 2>&1 </dev/null &
        server=$!
        echo "$server"
        ;;
    stop)
        finish INT
        echo ok
        ;;
    kill)
        finish KILL
        echo ok
        ;;
    esac
done

# An immediate shutdown: what it leaves unwritten is about to be removed.
finish QUIT
# A server that was killed has not given back its shared memory. Its id is on the seventh line.
if [ -f data/postmaster.pid ]; then
    ipcrm -m "$(sed -n '7s/.* //p' data/postmaster.pid)"
fi
cd /
# Processes that outlive a killed server by a moment may still write.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$root" && break
    sleep 0.2
done
