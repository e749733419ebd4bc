# tools/lib.sh - what tools/test and tools/check share: counting, and running CTest so that test cases are counted,
# not programs. Sourced, never run. A suite writes its cases to $TALLY as "ok|fail|skip<TAB>name".
# shellcheck shell=bash

readonly ROOT=${ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
RUN_DIR=
TALLY=
SUITE_NOW=
CTEST=(ctest)

tally_open() { # tally_open NAME: a fresh place for logs, build/NAME/
	RUN_DIR=$ROOT/build/$1-logs
	rm -rf "$RUN_DIR"
	mkdir -p "$RUN_DIR"
	TALLY=$RUN_DIR/tally
	: >"$TALLY"
	export TALLY_OF=$TALLY RUN_DIR_OF=$RUN_DIR
}

tally() { # tally ok|fail|skip NAME
	printf '%s\t%s\n' "$1" "$2" >>"$TALLY"
}

tally_count() {
	awk -F'\t' -v kind="$1" '$1 == kind { n++ } END { print n + 0 }' "$TALLY"
}

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

seconds() { # seconds MS -> 1.2
	printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# suite NAME COMMAND...: runs it with its output in a log, says how it went. A command that fails without having
# counted a failure counts as one; so does one that counted nothing at all.
suite() {
	local name=$1 log=$RUN_DIR/$1.log before_ok before_fail ok fail start rc
	shift
	SUITE_NOW=$name
	before_ok=$(tally_count ok) before_fail=$(tally_count fail)
	printf '%-12s ...' "$name"
	start=$(now_ms)
	"$@" >"$log" 2>&1
	rc=$?
	ok=$(($(tally_count ok) - before_ok)) fail=$(($(tally_count fail) - before_fail))
	if ((fail == 0 && (rc != 0 || ok == 0))); then
		tally fail "$name: $([[ $rc == 0 ]] && echo 'no case was run' || echo "ended with $rc")"
		fail=1
	fi
	SUITE_MS=$(($(now_ms) - start))
	printf '\r%-12s %5d passed %4d failed %8s s\n' "$name" "$ok" "$fail" "$(seconds "$SUITE_MS")"
	((fail == 0)) || suite_complain "$log"
}

suite_complain() {
	echo "--- $1 (its end)"
	tail -n 60 "$1"
	echo "---"
}

# The environment hands these to a script that calls itself: each case is counted where it runs.
if [[ ${TALLY_OF:-} ]]; then TALLY=$TALLY_OF RUN_DIR=$RUN_DIR_OF; fi

# tally_close: what failed or was left out, then the one line that counts.
tally_close() {
	awk -F'\t' '$1 == "skip" { print "left out: " $2 } $1 == "fail" { print "failed: " $2 }' "$TALLY"
	printf '%d passed, %d failed\n' "$(tally_count ok)" "$(tally_count fail)"
	(($(tally_count fail) == 0))
}

# run_step COMMAND...: one command is one case, named after the suite.
run_step() {
	if "$@"; then tally ok "$SUITE_NOW"; else tally fail "$SUITE_NOW"; return 1; fi
}

# run_ctest DIR CTEST-ARGUMENTS...: every cmocka case of the chosen tests is a case. A program announces how many
# cases it has ("Running N test(s)"): those it did not finish well failed, also when it crashed or left early. A
# program that fails all the same, or says nothing, is one failure.
run_ctest() {
	local dir=$1 log
	shift
	log=$RUN_DIR/$SUITE_NOW.ctest
	"${CTEST[@]}" --test-dir "$dir" -V -j "$(nproc)" "$@" >"$log" 2>&1
	local rc=$?
	awk -f "$ROOT/tools/ctest-cases.awk" "$log" >"$log.cases"
	cat "$log.cases" >>"$TALLY"
	if ((rc)) || grep -q '^fail' "$log.cases"; then
		grep '^fail' "$log.cases" # then what those programs said
		awk -f "$ROOT/tools/ctest-cases.awk" -v complain=1 "$log"
	fi
	return $rc
}

# --- ports and children ---------------------------------------------------------------------------------------------

# port_sockets PORT: inodes of the sockets that hold it, UDP or listening TCP, any address.
port_sockets() {
	local hex
	printf -v hex '%04X' "$1"
	awk -v port=":$hex" 'FNR > 1 && substr($2, length($2) - 4) == port && (FILENAME ~ /udp/ || $4 == "0A") { print $10 }' \
		/proc/net/udp /proc/net/udp6 /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

port_is_free() {
	[[ -z $(port_sockets "$1") ]]
}

# port_holder PORT: "name (pid 123)", as far as /proc shows it to us.
port_holder() {
	local inode fd pid
	for inode in $(port_sockets "$1"); do
		for fd in /proc/[0-9]*/fd/*; do
			if [[ $(readlink "$fd" 2>/dev/null) == "socket:[$inode]" ]]; then
				pid=${fd#/proc/}
				pid=${pid%%/*}
				echo "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)(pid $pid)"
				return
			fi
		done
	done
	echo "a process of another user"
}

CHILDREN=()

# child LOG COMMAND...: in the background, remembered; CHILD is its pid.
child() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	CHILD=$!
	CHILDREN+=("$CHILD")
}

# Ends the children in reverse order: politely, and after three seconds not.
children_end() {
	local i pid try
	for ((i = ${#CHILDREN[@]} - 1; i >= 0; i--)); do kill -TERM "${CHILDREN[i]}" 2>/dev/null; done
	for pid in "${CHILDREN[@]}"; do
		for ((try = 0; try < 30; try++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	CHILDREN=()
}

# wait_until SECONDS COMMAND...: asks twenty times a second.
wait_until() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		(($(now_ms) < end)) || return 1
		sleep 0.05
	done
}
