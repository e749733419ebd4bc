# tests/live/control.sh - what an operator does: check, start, reload, stop, and sbcctl's verbs.
# shellcheck shell=bash

one_app() { # a demo server, and the SBC in front of it
	port_take PORT
	destination app-1 "$PORT"
	callee_start app "$PORT" demo
	sbc_start
}

# A caller that holds its call until the far side or somebody else ends it: HOLD is its process.
hold_calls() { # hold_calls NUMBER
	scenario caller hold <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		== 60000
		<- BYE
		-> 200
	.
	caller_run held hold -m "$1" -r 50 &
	HOLD=$!
	wait_until 10 holds "$1" || fail "the SBC does not hold $1 calls: $(ctl status)"
}

holds() { # holds NUMBER: that many calls
	[[ $(ctl calls | grep -cE 'answered|up|confirmed|talk') == "$1" ]]
}

live_version_and_help() {
	"$SBC" --version | grep -qE '^sbc [0-9]+\.[0-9]+' || fail "--version: $("$SBC" --version 2>&1)"
	"$SBC" --help | grep -q -- '--check' || fail "--help"
	! "$SBC" --nonsense >out 2>&1 || fail "an unknown option is taken"
	! "$SBC" -c /nowhere/sbc.yaml >out 2>&1 || fail "a missing file is taken"
	grep -q '/nowhere/sbc.yaml' out || fail "the missing file is not named: $(cat out)"
	(($(wc -l <out) == 1)) || fail "more than one line: $(cat out)"
}

live_check_good() {
	destination app-1 5081
	conf_write
	"$SBC" -c sbc.yaml --check >out 2>&1 || fail "--check of a good file: $(cat out)"
	grep -q 'app-1' out || fail "the summary does not name the destination: $(cat out)"
}

live_check_shipped_files() {
	local file
	cd "$ROOT" || exit 1
	for file in conf/*.yaml; do
		PWD=$ROOT "$SBC" -c "$file" --check >"$T/out" 2>&1 || fail "$file: $(head -n 5 "$T/out")"
	done
}

# All problems at once, each with FILE:line:col.
live_check_bad() {
	destination app-1 5081
	conf_write
	sed -i 's/^workers: .*/workers: many/; s/listen: \["udp/lisen: ["udp/; s/reject: 404/reject: 4044/' sbc.yaml
	! "$SBC" -c sbc.yaml --check >out 2>&1 || fail "a bad file passes"
	grep -qE '^sbc\.yaml:2:[0-9]+: .*workers' out || fail "workers: $(cat out)"
	grep -qE '^sbc\.yaml:[0-9]+:[0-9]+: .*listen' out || fail "no suggestion for lisen: $(cat out)"
	grep -qE '^sbc\.yaml:[0-9]+:[0-9]+: .*reject' out || fail "reject: $(cat out)"
	! "$SBC" -c sbc.yaml >out 2>&1 || fail "it starts with a bad file"
}

live_port_in_use() {
	local port rc=0
	port_take port
	destination app-1 "$port"
	conf_write
	child other.log sipp -sn uas -i 127.0.0.1 -p "$PUB" -nostdin
	wait_until 5 eval "! port_is_free $PUB"
	timeout 10 "$SBC" -c sbc.yaml >out 2>&1 || rc=$?
	[[ $rc == 1 ]] || fail "ended with $rc"
	grep -q "$PUB" out || fail "the port is not named: $(cat out)"
	[[ ! -e ctl.sock ]] || fail "the control socket is there"
}

reloads() { # reloads COMMAND...: a second destination gets calls after it
	local two
	port_take two
	one_app
	callee_start two "$two" demo
	caller_run before demo -m 2 || fail "calls before the reload"
	[[ $(count_in two.messages '^INVITE ') == 0 ]] || fail "a call went where none should"
	destination app-2 "$two"
	conf_write
	"$@" || fail "$*"
	wait_until 5 eval 'ctl pools | grep -q app-2' || fail "the reload did nothing: $(ctl pools)"
	caller_run after demo -m 4 -r 10 || fail "calls after the reload"
	(($(count_in two.messages '^INVITE ') >= 1)) || fail "the new destination gets no calls"
}
live_reload_by_signal() { reloads eval 'kill -HUP $SBC_PID'; }
live_reload_by_sbcctl() { reloads ctl reload; }

# A bad file changes nothing, says what is wrong, and does not stand in the way of the next reload.
live_reload_bad() {
	one_app
	cp sbc.yaml good.yaml
	sed -i 's/reject: 404/reject: 4044/' sbc.yaml
	! ctl reload >out 2>&1 || fail "a bad file was taken"
	grep -q 'sbc\.yaml:[0-9]*:[0-9]*: ' out || fail "not said what is wrong: $(cat out)"
	kill -HUP "$SBC_PID"
	sleep 0.3
	caller_run caller demo -m 2 || fail "calls after a bad reload"
	cp good.yaml sbc.yaml
	ctl reload || fail "a good file after a bad one"
	caller_run again demo -m 2 || fail "calls after a good reload"
}

# Calls go on over a reload.
live_reload_keeps_calls() {
	one_app
	hold_calls 5
	ctl reload || fail "reload"
	holds 5 || fail "calls were lost: $(ctl calls)"
	ctl calls | awk '/call|[0-9a-v]{20}/ { print $1 }' >/dev/null
	kill "$HOLD" 2>/dev/null
	wait "$HOLD"
}

# SIGTERM: no new calls, those there are go on to their end, then 0.
live_sigterm_waits_for_calls() {
	local started
	one_app
	scenario caller long <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- 3000
		-> BYE
		<- 200
	.
	scenario caller refused <<-'.'
		-> INVITE sdp
		<- 100?
		<- 503
		-> ACK
	.
	caller_run long long -m 1 &
	started=$!
	wait_until 5 eval "grep -q '^ACK' app.messages"
	kill -TERM "$SBC_PID"
	sleep 0.3
	sbc_has_ended && fail "it did not wait for the call"
	caller_run refused refused -m 1 || fail "a new call was not refused with 503"
	wait "$started" || fail "the call did not come to its end"
	wait_until 5 sbc_has_ended || fail "still there after its last call"
	wait "$SBC_PID" || fail "ended with $?"
	[[ ! -e ctl.sock ]] || fail "the control socket is left behind"
}

live_sbcctl_shows() {
	one_app
	ctl status >out || fail "status"
	ctl status --json | grep -q '^{' || fail "status --json: $(ctl status --json)"
	ctl pools | grep -q app-1 || fail "pools: $(ctl pools)"
	ctl pools --json | grep -q '"app-1"' || fail "pools --json: $(ctl pools --json)"
	ctl calls >out || fail "calls"
	ctl route public 192.0.2.1 INVITE sip:bob@127.0.0.1 >out || fail "route"
	grep -qE ' yes .*pool apps' out || fail "route: $(cat out)"
	! ctl route nowhere 192.0.2.1 INVITE sip:bob@127.0.0.1 >out 2>&1 || fail "route from a zone that is none"
	ctl check sbc.yaml >out 2>&1 || fail "check: $(cat out)"
	! ctl nonsense >out 2>&1 || fail "an unknown verb is taken"
	! "$SBCCTL" -s nowhere.sock status >out 2>&1 || fail "a missing socket is no failure"
	grep -q nowhere.sock out || fail "the missing socket is not named: $(cat out)"
}

call_ids() {
	ctl calls --json | grep -oE '"id": ?"[^"]+"' | cut -d'"' -f4
}

live_sbcctl_hangup() {
	local id
	one_app
	hold_calls 2
	[[ $(call_ids | wc -l) == 2 ]] || fail "calls --json: $(ctl calls --json)"
	for id in $(call_ids); do
		ctl call "$id" >call.out || fail "call $id"
		grep -q "$id" call.out || fail "call $id shows: $(cat call.out)"
		ctl hangup "$id" || fail "hangup $id"
	done
	wait "$HOLD" || fail "the caller got no BYE"
	! ctl hangup no-such-call >out 2>&1 || fail "hanging up nothing succeeds"
	wait_until 5 eval '[[ -z $(call_ids) ]]' || fail "still there: $(ctl calls)"
	(($(count_in app.messages '^BYE ') == 2)) || fail "the server got $(count_in app.messages '^BYE ') BYEs"
}

# drained VERB BACK: VERB takes app-1 out for new calls, BACK brings it back; the calls it has go on.
drained() {
	local two before
	port_take two
	destination app-2 "$two"
	callee_start two "$two" demo
	one_app # as second destination
	hold_calls 4
	ctl "$1" apps/app-1 || fail "$1"
	ctl pools | grep app-1 | grep -qE 'drain|disabled' || fail "$1 does not show: $(ctl pools)"
	holds 4 || fail "$1 ended calls: $(ctl calls)"
	before=$(count_in app.messages '^INVITE ')
	caller_run during demo -m 6 -r 20 || fail "calls during $1"
	[[ $(count_in app.messages '^INVITE ') == "$before" ]] || fail "a new call went to it after $1"
	ctl "$2" apps/app-1 || fail "$2"
	caller_run after demo -m 6 -r 20 || fail "calls after $2"
	(($(count_in app.messages '^INVITE ') > before)) || fail "no call went to it after $2"
	kill "$HOLD" 2>/dev/null
	! ctl "$1" apps/nobody >out 2>&1 || fail "$1 of nobody succeeds"
}
live_sbcctl_drain() { drained drain undrain; }
live_sbcctl_disable() { drained disable enable; }

# One line per call, written by itself.
live_cdr() {
	one_app
	caller_run caller demo -m 3 || fail "the calls"
	wait_until 3 eval '[[ $(grep -c . state/cdr.jsonl) == 3 ]]' || fail "CDRs: $(cat state/cdr.jsonl)"
	! grep -vqE '^\{.*\}$' state/cdr.jsonl || fail "not JSON: $(head -n 1 state/cdr.jsonl)"
}

live_without_admin() {
	port_take PORT
	destination app-1 "$PORT"
	callee_start app "$PORT" demo
	conf_write
	sed -i '/^admin:/d' sbc.yaml
	child sbc.log "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 5 eval "! port_is_free $PUB" || fail "does not listen"
	caller_run caller demo -m 1 || fail "the call"
	[[ ! -e ctl.sock ]] || fail "a control socket nobody asked for"
	sbc_end
}

# Listeners, zones and workers cannot change in a running process: said so, and nothing else of the file is taken.
live_reload_refuses_new_listener() {
	local other
	port_take other
	one_app
	sed -i "s/udp:127.0.0.1:$PUB/udp:127.0.0.1:$other/; s/app-1/app-9/" sbc.yaml
	! ctl reload >out 2>&1 || fail "a new listener was taken: $(cat out)"
	grep -q 'listen' out || fail "not said what cannot change: $(cat out)"
	ctl pools | grep -q app-1 || fail "half of the file was taken: $(ctl pools)"
	caller_run caller demo -m 1 || fail "the call"
}

live_too_few_descriptors() {
	local rc=0
	destination app-1 5081
	WORKERS=8
	conf_write
	(ulimit -n 20 && exec timeout 10 "$SBC" -c sbc.yaml) >out 2>&1 || rc=$?
	[[ $rc == 1 ]] || fail "ended with $rc: $(cat out)"
	grep -qiE 'descriptor|open files|nofile' out || fail "not said what is missing: $(cat out)"
}

# The log costs lines, never a call: a full disk, and a reader that stopped.
live_log_to_full_disk() {
	[[ -c /dev/full ]] || skip "no /dev/full"
	EXTRA='log: { file: /dev/full, level: debug }'
	port_take PORT
	destination app-1 "$PORT"
	callee_start app "$PORT" demo
	conf_write
	child sbc.log "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 10 eval '[[ -S ctl.sock ]]' || fail "it does not start"
	caller_run caller demo -m 20 -r 20 || fail "calls were lost with the log"
	callee_end app
	sbc_end
}

live_log_reader_stopped() {
	EXTRA='log: { level: debug }'
	port_take PORT
	destination app-1 "$PORT"
	callee_start app "$PORT" demo
	conf_write
	mkfifo log.pipe
	exec {reader}<>log.pipe # open, and never read
	child log.pipe "$SBC" -c sbc.yaml
	SBC_PID=$CHILD
	wait_until 10 eval '[[ -S ctl.sock ]]' || fail "it does not start"
	timeout 1 dd if=/dev/zero of=log.pipe bs=4096 oflag=nonblock 2>/dev/null # full
	caller_run caller demo -m 300 -r 100 || fail "calls were lost with the log"
	ctl status >/dev/null || fail "status"
	callee_end app
	sbc_end
	exec {reader}>&-
}

# A name is looked up while the request is parked.
live_destination_by_name() {
	getent ahostsv4 localhost >/dev/null || skip "localhost has no address"
	port_take PORT
	destination app-1 "$PORT" "" localhost
	callee_start app "$PORT" demo
	sbc_start
	caller_run caller demo -m 3 || fail "calls to a destination that is a name: $(ctl pools)"
}

live_second_sigterm() {
	one_app
	hold_calls 1
	kill -TERM "$SBC_PID"
	sleep 0.5
	sbc_has_ended && fail "it did not wait for the call"
	kill -TERM "$SBC_PID"
	wait_until 3 sbc_has_ended || fail "a second SIGTERM does not end it"
	kill "$HOLD" 2>/dev/null
}
