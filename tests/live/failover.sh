# tests/live/failover.sh - a destination is closed, refuses, is silent, comes back.
# shellcheck shell=bash

# calls_all_succeed: ten calls, each has to go through, whatever the first destination does.
calls_all_succeed() {
	sbc_start
	caller_run caller demo -m 10 -r 10 "$@" || fail "$(stat_of caller 'FailedCall(C)') of 10 calls failed: $(head -c 300 caller.errors)"
	sides_apart caller good
}

live_failover_closed_port() {
	local good closed
	port_take good closed
	POOL_EXTRA='probe: off'
	destination app-1 "$closed"
	destination app-2 "$good"
	callee_start good "$good" demo
	calls_all_succeed
	[[ $(count_in good.messages '^INVITE ') == 10 ]] || fail "INVITEs: $(count_in good.messages '^INVITE ')"
}

live_failover_refused_tcp() {
	local good closed
	port_take good closed
	POOL_EXTRA='probe: off'
	destination app-1 "$closed" ";transport=tcp"
	destination app-2 "$good"
	callee_start good "$good" demo
	calls_all_succeed
}

live_failover_503() {
	local good bad
	port_take good bad
	scenario callee busy <<-'.'
		<- INVITE
		-> 503
		<- ACK
	.
	POOL_EXTRA='probe: off'
	destination app-1 "$bad"
	destination app-2 "$good"
	callee_start good "$good" demo
	callee_start bad "$bad" busy
	calls_all_succeed
	[[ $(count_in bad.messages '^INVITE ') -ge 1 ]] || fail "the one that refuses was never asked"
	! grep -q '^SIP/2.0 503' caller.messages || fail "its 503 reached the caller"
	callee_end bad
}

# No response at all for `failover: after`; the abandoned leg's CANCEL has to wait for a response (RFC 3261 9.1).
live_failover_silence() {
	local good silent
	port_take good silent
	scenario callee silent <<-'.'
		<- INVITE
		-- 60000
	.
	POOL_EXTRA='probe: off
    failover: { after: 300ms }'
	destination app-1 "$silent"
	destination app-2 "$good"
	callee_start good "$good" demo
	callee_start silent "$silent" silent
	calls_all_succeed
	[[ $(count_in silent.messages '^INVITE ') -ge 1 ]] || fail "the silent one was never asked"
}

# A 486 is an answer, not a failure of the destination.
live_no_failover_on_486() {
	local one two
	port_take one two
	scenario callee busy <<-'.'
		<- INVITE
		-> 486
		<- ACK
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 486
		-> ACK
	.
	POOL_EXTRA='probe: off'
	destination app-1 "$one"
	destination app-2 "$two"
	callee_start one "$one" busy
	callee_start two "$two" busy
	sbc_start
	caller_run caller caller -m 6 || fail "the calls"
	[[ $(($(count_in one.messages '^INVITE ') + $(count_in two.messages '^INVITE '))) == 6 ]] || fail "a 486 was taken for a failure"
}

destination_is() { # destination_is NAME STATE
	ctl pools | grep -E "(^|[ /])$1 " | grep -qw "$2"
}

live_probes_down_and_up() {
	local one two
	port_take one two
	destination app-1 "$one"
	destination app-2 "$two"
	callee_start one "$one" demo
	sbc_start
	wait_until 8 destination_is app-1 up || fail "app-1 is not up: $(ctl pools)"
	wait_until 8 destination_is app-2 down || fail "app-2 is not down: $(ctl pools)"
	caller_run caller demo -m 4 -r 20 || fail "calls while one is down"
	callee_start two "$two" demo
	wait_until 8 destination_is app-2 up || fail "app-2 did not come back: $(ctl pools)"
	caller_run again demo -m 4 -r 20 || fail "calls after it came back"
	[[ $(count_in two.messages '^INVITE ') -ge 1 ]] || fail "app-2 gets no calls"
}

# Probes alone never take the last one out.
live_last_destination_stays() {
	local port
	port_take port
	scenario callee mute <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- BYE
		-> 200
	.
	sed -i '/label id="probe"/,/<\/send>/d; s/ next="probe"/ next="over"/' mute.xml # answers no OPTIONS
	destination app-1 "$port"
	callee_start mute "$port" mute
	sbc_start
	sleep 4
	caller_run caller demo -m 3 || fail "no call to the only destination: $(ctl pools)"
}
