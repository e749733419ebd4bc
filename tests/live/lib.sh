# tests/live/lib.sh - what the live tests share. A test is a function live_NAME in tests/live/*.sh; it runs in a
# shell and a directory ($T) of its own, with ports nobody else has, and ends 0 (ok), 77 (left out) or otherwise.
# What it started ends with it.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
export TERM=dumb

readonly SBC=${SBC:-$ROOT/build/sbc} SBCCTL=${SBCCTL:-$ROOT/build/sbcctl}
readonly LIVE=$ROOT/tests/live
readonly PORT_FIRST=20000 PORTS=12000 # below the range the kernel takes ephemeral ones from

fail() {
	echo "FAILED: $*"
	exit 1
}

skip() {
	echo "left out: $*"
	exit 77
}

# expect WHAT COMMAND...: the test ends here if it fails.
expect() {
	local what=$1
	shift
	"$@" || fail "$what: $*"
}

# port_take NAME...: gives each a free port that no other test running now takes.
port_take() {
	local variable_ port_ # names that no caller's variable has
	for variable_; do
		while :; do
			port_=$((PORT_FIRST + RANDOM % PORTS))
			mkdir "$PORT_LOCKS/$port_" 2>/dev/null || continue
			port_is_free "$port_" && break
		done
		printf -v "$variable_" '%s' "$port_"
	done
}

# media_take NAME...: SIPp takes this one and the one after the next, too; from a range of its own.
media_take() {
	local variable_ port_
	for variable_; do
		while :; do
			port_=$((10000 + RANDOM % 1000 * 10))
			mkdir "$PORT_LOCKS/$port_" 2>/dev/null || continue
			port_is_free "$port_" && port_is_free $((port_ + 2)) && break
		done
		printf -v "$variable_" '%s' "$port_"
	done
}

# A fresh $T and ports PUB and CORE for the SBC's zones.
live_begin() {
	mkdir -p "$T"
	cd "$T" || exit 1
	trap live_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	port_take PUB CORE
	NEAR=127.0.0.1 FAR=127.0.0.1 # the SBC's addresses in the zones
	WORKERS=2
	DESTINATIONS=()
	EXTRA=
	POOL_EXTRA='probe: { every: 1s, timeout: 500ms, down-after: 2, up-after: 1 }'
}

live_end() {
	local rc=$?
	children_end
	exit $rc
}

host_port() { # host_port ADDRESS PORT: brackets for IPv6
	if [[ $1 == *:* ]]; then echo "[$1]:$2"; else echo "$1:$2"; fi
}

# destination NAME PORT [URI-PARAMETERS [ADDRESS]]: one more for conf_write.
destination() {
	DESTINATIONS+=("{ name: $1, uri: \"sip:$(host_port "${4:-$FAR}" "$2")${3:-}\" }")
}

conf_write() {
	local near far
	near=$(host_port $NEAR "$PUB") far=$(host_port $FAR "$CORE")
	{
		echo "node: live"
		echo "workers: $WORKERS"
		echo "zones:"
		echo "  public:"
		echo "    listen: [\"udp:$near\", \"tcp:$near\"]"
		echo "    domains: [example.com]"
		echo "  core:"
		echo "    listen: [\"udp:$far\", \"tcp:$far\"]"
		echo "    trust: [\"127.0.0.0/8\", \"::1\"]"
		echo "pools:"
		echo "  apps:"
		echo "    zone: core"
		echo "    $POOL_EXTRA"
		echo "    destinations:"
		printf '      - %s\n' "${DESTINATIONS[@]}"
		echo "routes:"
		echo "  - { when: { zone: public, caller: any }, to: { pool: apps } }"
		echo "  - { to: { reject: 404 } }"
		echo "state: state"
		echo "shutdown: { grace: 10s }"
		echo "admin: { socket: ctl.sock }"
		printf '%s\n' "$EXTRA"
	} >sbc.yaml
	mkdir -p state
}

sbc_is_ready() {
	grep -q 'event=sbc.ready' sbc.log || sbc_has_ended
}

sbc_start() {
	[[ -f sbc.yaml ]] || conf_write
	child sbc.log "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 10 sbc_is_ready
	sbc_is_up || fail "the SBC does not start: $(tail -n 3 sbc.log)"
}

sbc_is_up() {
	kill -0 "$SBC_PID" 2>/dev/null
}

sbc_has_ended() {
	! kill -0 "$SBC_PID" 2>/dev/null
}

ctl() {
	"$SBCCTL" -s ctl.sock "$@"
}

# scenario ROLE NAME <<flow: writes NAME.xml; see scenario.awk.
scenario() {
	awk -f "$LIVE/scenario.awk" -v role="$1" >"$2.xml" || fail "scenario $2"
}

transport_option() { # udp|tcp -> what SIPp calls it: one socket, or one per call
	case $1 in tcp) echo t1 ;; *) echo u1 ;; esac
}

# callee_start NAME PORT SCENARIO [SIPP-ARGUMENTS...]: SCENARIO is a file without .xml, `demo`, or `builtin`.
callee_start() {
	local name=$1 port=$2 scenario=(-sf "$3.xml") media
	shift 3
	case ${scenario[1]} in
	demo.xml) scenario=(-sf "$ROOT/conf/demo/server.xml") ;;
	builtin.xml) scenario=(-sn uas) ;;
	esac
	media_take media
	child "$name.out" sipp "${scenario[@]}" -i "$FAR" -p "$port" -mp "$media" -nostdin \
		-trace_msg -message_file "$T/$name.messages" -trace_err -error_file "$T/$name.errors" "$@"
	eval "PID_$name=$CHILD"
	wait_until 5 eval "! port_is_free $port" || fail "$name does not listen"
}

# caller_run NAME SCENARIO [SIPP-ARGUMENTS...]: to the SBC's public side; its exit status.
caller_run() {
	local name=$1 scenario=(-sf "$2.xml") port media from
	shift 2
	case ${scenario[1]} in
	demo.xml) scenario=(-sf "$ROOT/conf/demo/caller.xml") ;;
	builtin.xml) scenario=(-sn uac) ;;
	esac
	[[ $NEAR == *:* ]] && from=$NEAR || from=127.0.0.2
	port_take port
	media_take media
	sipp "${scenario[@]}" -i "$from" -p "$port" -mp "$media" -nostdin -s bob -timeout 60 -timeout_error \
		-trace_msg -message_file "$T/$name.messages" -trace_err -error_file "$T/$name.errors" \
		-trace_stat -stf "$T/$name.csv" "$@" "$(host_port $NEAR "$PUB")" >"$name.out" 2>&1 </dev/null
}

# stat_of NAME COLUMN: the last value of a column of SIPp's statistics, such as "FailedCall(C)".
stat_of() {
	awk -F';' -v want="$2" 'FNR == 1 { for (i = 1; i <= NF; i++) if ($i == want) column = i; next } { v = $column } END { print v }' \
		"$1.csv"
}

# One side must not be seen on the other; wants NAME.messages of both.
sides_apart() {
	awk -f "$ROOT/tools/sides.awk" -v never_far="$([[ $NEAR == *:* ]] || echo 127.0.0.2)" \
		near=1 "$1.messages" near=0 "$2.messages" || fail "a side was seen on the other"
}

# sbc_end: SIGTERM with no call left is obeyed at once, and well.
sbc_end() {
	kill -TERM "$SBC_PID"
	wait_until 5 sbc_has_ended || fail "the SBC does not end on SIGTERM"
	wait "$SBC_PID" || fail "the SBC ended with $? ($(tail -n 3 sbc.log))"
}

# callee_end NAME: lets it finish the calls it has; fails if one of them went wrong.
callee_end() {
	local pid="PID_$1"
	kill -USR1 "${!pid}" 2>/dev/null
	wait_until 15 eval "! kill -0 ${!pid} 2>/dev/null" || fail "a call at $1 did not end; see $T/$1.messages"
	wait "${!pid}" || fail "$1: $(head -c 300 "$1.errors")"
}

# one_call [SIPP-ARGUMENTS...]: caller.xml through the SBC to callee.xml; both have to go as written, without either
# being seen on the other side.
one_call() {
	local port
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" callee
	sbc_start
	caller_run caller caller -m 1 "$@" || fail "the caller's side: $(head -c 300 caller.errors 2>/dev/null || tail -n 3 caller.out)"
	sleep "${SETTLE:-0.1}" # what is still on its way to the callee
	sides_apart caller callee
	callee_end callee
	sbc_end
}

count_in() { # count_in FILE REGEX: lines
	grep -cE -- "$2" "$1" 2>/dev/null || true
}

# --- network namespaces, as root ------------------------------------------------------------------------------------

# lab_open NAME WHERE...: network namespaces $LAB-WHERE, which end with the test, as do those of tests of that name that were killed.
lab_open() {
	local where
	[[ $(id -u) == 0 ]] || skip "not root"
	lab_sweep "live-$1"
	LAB=live-$1-$$
	trap lab_end EXIT
	shift
	for where; do
		expect "a network namespace" ip netns add "$LAB-$where"
		ip -n "$LAB-$where" link set lo up
	done
}

lab_in() { # lab_in WHERE COMMAND...: there
	local where=$1
	shift
	ip netns exec "$LAB-$where" "$@"
}

lab_address() { # lab_address WHERE LINK ADDRESS/LEN: usable at once
	local more=()
	[[ $3 == *:* ]] && more=(nodad)
	expect "an address" ip -n "$LAB-$1" addr add "$3" dev "$2" "${more[@]}"
}

# lab_link NAME WHERE ADDRESS... -- WHERE ADDRESS...: a link of that name between the two, each ADDRESS with its prefix length.
lab_link() {
	local link=$1 near=$2 where=$2 far=$*
	shift 2
	far=${far##*-- }
	far=${far%% *}
	expect "a link" ip link add "$link" netns "$LAB-$near" type veth peer name "$link" netns "$LAB-$far"
	while (($#)); do
		if [[ $1 == -- ]]; then where=$far && shift; else lab_address "$where" "$link" "$1"; fi
		shift
	done
	for where in "$near" "$far"; do ip -n "$LAB-$where" link set "$link" up; done
}

lab_remove() { # lab_remove PREFIX: with all that runs there
	local name
	for name in $(ip netns list 2>/dev/null | grep -oE "^$1-[a-z]+"); do
		ip netns pids "$name" | xargs -r kill -KILL 2>/dev/null
		ip netns del "$name"
		rm -rf "/etc/netns/$name"
	done
}

lab_end() {
	local rc=$?
	children_end
	lab_remove "$LAB"
	exit $rc
}

lab_sweep() { # lab_sweep PREFIX: those whose test runs no more
	local name
	for name in $(ip netns list 2>/dev/null | grep -oE "^$1-[0-9]+" | sort -u); do
		kill -0 "${name##*-}" 2>/dev/null || lab_remove "$name"
	done
}
