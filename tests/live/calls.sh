# tests/live/calls.sh - calls as RFC 3665 draws them, through the program, with SIPp on both sides. Each also proves
# that no Call-ID, tag, branch or address of one side is seen on the other.
# shellcheck shell=bash

# SIPp's own caller ignores Contact; its own callee knows no OPTIONS, hence `probe: off`.
live_builtin_call() {
	local port
	POOL_EXTRA='probe: off'
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" builtin
	sbc_start
	caller_run caller builtin -m 1 || fail "the call"
	sides_apart caller callee
	callee_end callee
	sbc_end
}

live_demo_call() {
	local port
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" demo
	sbc_start
	caller_run caller demo -m 1 || fail "the call"
	sides_apart caller callee
}

live_cancel() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		<- CANCEL
		-> 200
		-> 487
		<- ACK
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		-- 200
		-> CANCEL
		<- 200 has=CSeq:_1_CANCEL
		<- 487 has=CSeq:_1_INVITE
		-> ACK
	.
	one_call
}

# Nothing is sent to a callee that has said nothing yet: RFC 3261 section 9.1. So the CANCEL waits for the 100.
live_cancel_at_once() {
	SETTLE=0.8
	scenario callee callee <<-'.'
		<- INVITE
		-- 300
		-> 100
		<- CANCEL
		-> 200
		-> 487
		<- ACK
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100
		-> CANCEL
		<- 200
		<- 487
		-> ACK
	.
	one_call
}

live_busy() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 486
		<- ACK
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 486
		-> ACK
	.
	one_call
}

# A foreign 503 leaves as 500 (RFC 3261 section 16.7 item 6).
live_only_destination_says_503() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 503
		<- ACK
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 500
		-> ACK
	.
	one_call
}

live_reinvite_by_caller() {
	scenario callee callee <<-'.'
		<- INVITE has=m=audio
		-> 180
		-> 200 sdp
		<- ACK
		<- INVITE has=o=caller_1_2
		-> 200 sdp
		<- ACK
		<- INVITE
		-> 488
		<- ACK
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200 has=o=callee_1_1
		-> ACK
		-- 100
		-> INVITE sdp
		<- 100?
		<- 200 has=o=callee_1_2
		-> ACK
		-- 100
		-> INVITE sdp
		<- 100?
		<- 488
		-> ACK
		-- 100
		-> BYE
		<- 200
	.
	one_call
}

live_reinvite_by_callee() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 200 sdp
		<- ACK
		-- 200
		-> INVITE sdp
		<- 100?
		<- 200 has=o=caller_1_2
		-> ACK
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 200
		-> ACK
		<- INVITE has=o=callee_1_2
		-> 200 sdp
		<- ACK
		-- 100
		-> BYE
		<- 200
	.
	one_call
}

# The offer is in the 200, the answer in the ACK: the far ACK must wait for the near one (DECISIONS 11).
live_late_offer() {
	scenario callee callee <<-'.'
		<- INVITE hasnt=m=audio
		-> 180
		-> 200 sdp
		<- ACK has=m=audio
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE
		<- 100?
		<- 180
		<- 200 has=m=audio
		-> ACK sdp
		-- 100
		-> BYE
		<- 200
	.
	one_call
}

live_bye_by_callee() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		-- 200
		-> BYE
		<- 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		<- BYE
		-> 200
	.
	one_call
}

live_requests_by_caller() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- INFO has=X-Dtmf:_?5
		-> 200
		<- UPDATE
		-> 200
		<- MESSAGE
		-> 202
		<- OPTIONS
		-> 200
		<- NOTIFY
		-> 489
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-> INFO hdr=X-Dtmf:_5
		<- 200
		-> UPDATE
		<- 200
		-> MESSAGE
		<- 202
		-> OPTIONS
		<- 200
		-> NOTIFY hdr=Event:_dialog
		<- 489
		-> BYE
		<- 200
	.
	one_call
}

live_requests_by_callee() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		-- 100
		-> INFO
		<- 200
		-> UPDATE
		<- 200
		-> MESSAGE hdr=X-From:_callee
		<- 202
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		<- INFO
		-> 200
		<- UPDATE
		-> 200
		<- MESSAGE has=X-From:_callee
		-> 202
		-- 100
		-> BYE
		<- 200
	.
	one_call
}

# 180, 183 and 200 back to back arrive in that order, whatever the number of workers (DECISIONS 13).
order_with() {
	local port
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 183 sdp
		-> 200 sdp
		<- ACK
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 183
		<- 200
		-> ACK
		-> BYE
		<- 200
	.
	WORKERS=$1
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" callee
	sbc_start
	caller_run caller caller -m 400 -r 100 || fail "$(stat_of caller 'FailedCall(C)') of 400 calls: $(head -c 300 caller.errors)"
	callee_end callee
	sbc_end
}
live_order_1_worker() { order_with 1; }
live_order_2_workers() { order_with 2; }
live_order_8_workers() { order_with 8; }

# OPTIONS to our own address is ours to answer (DECISIONS 18).
live_options_to_us() {
	local port
	port_take port
	destination app-1 "$port"
	sbc_start
	sed 's/\[service\]@//g' >us.awk <"$LIVE/scenario.awk"
	awk -f us.awk -v role=caller >caller.xml <<-'.'
		-> OPTIONS
		<- 200
	.
	caller_run caller caller -m 1 || fail "OPTIONS got no 200"
}

live_message_out_of_call() {
	local port
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" demo
	sbc_start
	scenario caller caller <<-'.'
		-> MESSAGE
		<- 200
	.
	caller_run caller caller -m 5 || fail "MESSAGE got no 200"
	[[ $(count_in callee.messages '^MESSAGE ') == 5 ]] || fail "the server saw $(count_in callee.messages '^MESSAGE ') of 5"
}

# The dialog of a request that nobody knows.
live_unknown_dialog() {
	local port
	port_take port
	destination app-1 "$port"
	sbc_start
	sed 's/To: <sip:\[service\]@example.com>/&;tag=nobody/' <"$LIVE/scenario.awk" >unknown.awk
	awk -f unknown.awk -v role=caller >caller.xml <<-'.'
		-> BYE
		<- 481
	.
	caller_run caller caller -m 1 || fail "BYE without a dialog got no 481"
}
