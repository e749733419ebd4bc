# tests/live/load.sh - sustained load; run alone. A failed call or a retransmission is a failure.
# shellcheck shell=bash

# load WORKERS RATE SECONDS
load() {
	local port calls=$(($2 * $3)) column given
	WORKERS=$1
	port_take port
	destination app-1 "$port"
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- BYE
		-> 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- 500
		-> BYE
		<- 200
	.
	# No message trace: SIPp would be busy writing.
	media_take MEDIA
	child callee.out sipp -sf callee.xml -i 127.0.0.1 -p "$port" -mp "$MEDIA" -nostdin -buff_size 8388608
	wait_until 5 eval "! port_is_free $port"
	sbc_start
	port_take FROM
	media_take MEDIA
	sipp -sf caller.xml -i 127.0.0.2 -p "$FROM" -mp "$MEDIA" -nostdin -s bob -m "$calls" -r "$2" -l 20000 -buff_size 8388608 \
		-timeout $(($3 + 60)) -timeout_error -trace_stat -stf caller.csv "127.0.0.1:$PUB" >caller.out 2>&1 </dev/null ||
		fail "$(stat_of caller 'FailedCall(C)') of $calls calls failed: $(tail -n 3 caller.out)"
	for column in 'FailedCall(C)' 'Retransmissions(C)'; do
		[[ $(stat_of caller "$column") == 0 ]] || fail "$column: $(stat_of caller "$column")"
	done
	[[ $(stat_of caller 'SuccessfulCall(C)') == "$calls" ]] || fail "$(stat_of caller 'SuccessfulCall(C)') of $calls calls"
	# INVITEs and nothing else have to be handed over: all other messages of a call come to the worker that owns it.
	given=$(ctl metrics | awk '/^sbc_messages_handed_over_total/ { print $2 }')
	[[ $given && $given -le $calls ]] || fail "$given messages of $calls calls were handed over"
	echo "$calls calls at $2/s with $1 workers: none failed, nothing sent twice, $given messages handed over"
	sbc_end
}

live_load_1_worker() { load 1 500 10; }
live_load_2_workers() { load 2 500 10; }
live_load_8_workers() { load 8 500 10; }
