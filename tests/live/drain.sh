# tests/live/drain.sh - drains: what is shown, waited for, ended; and the figures of docs/pools.md, small (the bench runs them whole).
# shellcheck shell=bash

# Two destinations; calls held by app-1 and app-2 for MIN-MAX milliseconds.
plain_scenarios() { # plain_scenarios PAUSE
	scenario callee plain <<-'.'
		== 120000
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- BYE
		-> 200
	.
	scenario caller talk <<-.
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- $1
		-> BYE
		<- 200
	.
}

# apps_start N: destinations app-1 to app-N, in the background until app_stop; PORT_OF[i].
apps_start() {
	local i port
	PORT_OF=()
	for ((i = 1; i <= $1; i++)); do
		port_take port
		PORT_OF[i]=$port
		destination "app-$i" "$port"
		app_start "$i"
	done
}

app_start() {
	local media
	media_take media
	child "app-$1.out" sipp -sf plain.xml -i 127.0.0.1 -p "${PORT_OF[$1]}" -mp "$media" -nostdin -buff_size 4194304 -trace_err \
		-error_file "$T/app-$1.errors" -trace_stat -stf "$T/app-$1.csv"
	PID_OF[$1]=$CHILD
	wait_until 10 eval "! port_is_free ${PORT_OF[$1]}" || fail "app-$1 does not listen"
}

app_kill() { # app_kill N SIGNAL
	kill "-$2" "${PID_OF[$1]}"
	wait "${PID_OF[$1]}" 2>/dev/null
}

# callers_start CALLS RATE: in the background, TALK is its process.
callers_start() {
	port_take FROM
	media_take MEDIA
	child talk.out sipp -sf talk.xml -i 127.0.0.2 -p "$FROM" -mp "$MEDIA" -nostdin -s bob -m "$1" -r "$2" -l 50000 \
		-buff_size 8388608 -timeout 900 -timeout_error -trace_err -error_file "$T/talk.errors" -trace_stat -fd 1 -stf "$T/talk.csv" \
		"127.0.0.1:$PUB"
	TALK=$CHILD
}

callers_end() { # every call of theirs went as written
	wait "$TALK" || fail "$(stat_of talk 'FailedCall(C)') calls failed: $(head -c 400 talk.errors)"
	[[ $(stat_of talk 'FailedCall(C)') == 0 ]] || fail "$(stat_of talk 'FailedCall(C)') calls failed"
	CALLS=$(stat_of talk 'SuccessfulCall(C)')
}

field() { # field KEY <<<JSON: its value
	grep -oE "\"$1\": ?(\"[^\"]*\"|[^,}]*)" | head -n 1 | sed 's/^[^:]*: *//; s/"//g'
}

of_app() { # of_app NAME KEY: from `pools --json`
	ctl pools --json | grep -E "\"name\": ?\"$1\"" | field "$2"
}

live_drain_shows_who_why_and_when() {
	plain_scenarios 2500
	apps_start 2
	sbc_start
	callers_start 20 50
	wait_until 5 eval '[[ $(of_app app-1 calls) -ge 10 ]]' || fail "no calls at app-1: $(ctl pools)"
	ctl drain apps/app-1 --reason "upgrade to 4.2" >out || fail "drain"
	grep -qE '^apps/app-1: draining; 1[0-9] calls left, oldest ' out || fail "it says: $(cat out)"
	[[ $(of_app app-1 state) == draining ]] || fail "state: $(ctl pools)"
	[[ $(of_app app-1 reason) == "upgrade to 4.2" ]] || fail "reason: $(ctl pools)"
	[[ $(of_app app-1 by) == "$(id -un)" ]] || fail "by: $(ctl pools)"
	[[ $(of_app app-1 since_ms) -lt 5000 ]] || fail "since: $(ctl pools)"
	[[ $(of_app app-1 oldest_ms) -gt 100 ]] || fail "oldest: $(ctl pools)"
	callers_end
	wait_until 3 grep -q 'event=destination.empty .*name=app-1' sbc.log || fail "the log does not say that it is empty"
	ctl undrain apps/app-1 || fail "undrain"
	[[ $(of_app app-1 state) == up ]] || fail "not back: $(ctl pools)"
	[[ $(of_app app-1 reason) == null ]] || fail "the reason of the drain is still there: $(ctl pools)"
	ctl metrics | grep -qE 'destination_in_service\{[^}]*app-1[^}]*\} 1' || fail "metrics: $(ctl metrics | grep in_service)"
}

# --wait ends with the last call, not before; Ctrl-C leaves the drain.
live_drain_waits() {
	local start took waiter
	plain_scenarios 3000-6000
	apps_start 2
	sbc_start
	callers_start 20 50
	wait_until 5 eval '[[ $(of_app app-1 calls) == 10 && $(of_app app-2 calls) == 10 ]]' || fail "calls: $(ctl pools)"
	child waiter.out "$SBCCTL" -s ctl.sock drain apps/app-1 --wait
	waiter=$CHILD
	sleep 0.5
	kill -INT "$waiter" # not a Ctrl-C of the terminal: bash ignores that one for children in the background
	kill -TERM "$waiter" 2>/dev/null
	wait "$waiter" 2>/dev/null
	[[ $(of_app app-1 state) == draining ]] || fail "the drain went with its waiter: $(ctl pools)"
	start=$(now_ms)
	ctl drain apps/app-1 --wait >out || fail "--wait: $(cat out)"
	took=$(($(now_ms) - start))
	((took > 1000 && took < 7000)) || fail "it took $took ms: $(cat out)"
	[[ $(of_app app-1 calls) == 0 ]] || fail "not empty: $(ctl pools)"
	grep -qE 'calls? left, oldest' out || fail "no progress: $(cat out)"
	grep -qE '^apps/app-1: empty after' out || fail "no end: $(cat out)"
	callers_end
}

live_drain_undrained_while_waited_for() {
	local waiter rc=0
	plain_scenarios 3000
	apps_start 2
	sbc_start
	callers_start 10 50
	wait_until 5 eval '[[ $(of_app app-1 calls) == 5 ]]' || fail "calls: $(ctl pools)"
	child waiter.out "$SBCCTL" -s ctl.sock drain apps/app-1 --wait
	waiter=$CHILD
	sleep 0.3
	ctl undrain apps/app-1 || fail "undrain"
	wait "$waiter" || rc=$?
	[[ $rc == 1 ]] || fail "it ended with $rc: $(cat waiter.out)"
	grep -q 'back in service' waiter.out || fail "it says: $(cat waiter.out)"
	callers_end
}

# Both sides of every straggler get BYE with a Reason, by the SBC itself, and not all of them in one instant.
live_drain_deadline() {
	local first last
	scenario callee plain <<-'.'
		== 60000
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- BYE has=Reason:.*drain-deadline
		-> 200
	.
	scenario caller talk <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		== 60000
		<- BYE has=Reason:.*drain-deadline
		-> 200
	.
	POOL_EXTRA='probe: off'
	apps_start 2
	sbc_start
	ctl drain apps/app-2 || fail "drain of app-2"
	callers_start 60 200
	wait_until 5 eval '[[ $(of_app app-1 calls) == 60 ]]' || fail "calls: $(ctl pools)"
	ctl undrain apps/app-2 || fail "undrain"
	ctl drain apps/app-1 --deadline 1s --then hangup >out || fail "drain: $(cat out)"
	[[ $(of_app app-1 deadline_ms) -le 1000 ]] || fail "the deadline is not shown: $(ctl pools)"
	ctl --json drain apps/app-1 >out || fail "drain of what is drained: $(cat out)"
	grep -q '"calls": *60' out || fail "as JSON it says: $(cat out)"
	[[ $(of_app app-1 deadline_ms) -le 1000 ]] || fail "asked again, the deadline went: $(ctl pools)"
	sleep 0.5
	[[ $(of_app app-1 calls) == 60 ]] || fail "calls ended before the deadline: $(ctl pools)"
	wait_until 15 eval '[[ $(of_app app-1 calls) == 0 ]]' || fail "still there: $(ctl pools)"
	callers_end
	first=$(grep -m1 'event=drain.deadline' sbc.log | grep -oE 'calls_ended=[0-9]+')
	last=$(grep -c 'event=drain.deadline' sbc.log)
	((last > 10 && ${first#*=} <= 6)) || fail "all at once: $last steps, first $first"
}

# What is left at the deadline goes on at the other one: the caller gets a re-INVITE, its answer in the ACK, and hangs up himself.
live_drain_moves() {
	plain_scenarios 1000
	scenario caller talk <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		== 60000
		<- INVITE hasnt=m=audio
		-> 200 sdp
		<- ACK has=m=audio
		-- 3000
		-> BYE
		<- 200
	.
	POOL_EXTRA='probe: off'
	apps_start 2
	sbc_start
	ctl drain apps/app-2 || fail "drain of app-2"
	callers_start 60 200
	wait_until 5 eval '[[ $(of_app app-1 calls) == 60 ]]' || fail "calls: $(ctl pools)"
	ctl undrain apps/app-2 || fail "undrain"
	ctl drain apps/app-1 --deadline 1s --then move --wait >out || fail "drain: $(cat out)"
	[[ $(of_app app-2 calls) -gt 0 ]] || fail "nothing is at the other one: $(ctl pools)"
	callers_end
	wait_until 5 eval '[[ $(grep -c "\"moves\":1" state/cdr.jsonl) == 60 ]]' || fail "call records: $(tail -n 3 state/cdr.jsonl)"
	[[ $(grep -c 'event=call.moved' sbc.log) == 60 ]] || fail "the log: $(grep -m3 event=call sbc.log)"
	[[ $(ctl metrics | awk '/^sbc_calls_moved_total/ { n += $2 } END { print n }') == 60 ]] || fail "metrics: $(ctl metrics | grep moved)"
}

live_drain_of_the_last() {
	plain_scenarios 1000
	apps_start 2
	sbc_start
	ctl drain apps/app-1 || fail "drain of the first"
	! ctl drain apps/app-2 >out 2>&1 || fail "the last was drained unasked"
	grep -q -- '--force' out && grep -q 503 out || fail "it says: $(cat out)"
	! ctl disable apps/app-2 >out 2>&1 || fail "the last was disabled unasked"
	[[ $(of_app app-2 state) == up ]] || fail "it was drained all the same: $(ctl pools)"
	ctl drain apps/app-2 --force || fail "--force"
	[[ $(of_app app-2 state) == draining ]] || fail "not drained: $(ctl pools)"
}

live_drain_bad_input() {
	local rc words
	plain_scenarios 1000
	apps_start 2
	sbc_start
	for words in "apps/app-9" "nowhere/app-1" "" "apps/app-1 --deadline 5s" "apps/app-1 --then hangup" "apps/app-1 --deadline 5 --then hangup" \
		"apps/app-1 --deadline 5s --then fly" "apps/app-1 apps/app-2" "apps/app-1 --nonsense" "apps/app-1 --reason"; do
		rc=0
		# shellcheck disable=SC2086
		ctl drain $words >out 2>&1 || rc=$?
		[[ $rc == 2 ]] || fail "drain $words ended with $rc: $(cat out)"
		[[ -s out ]] || fail "drain $words says nothing"
	done
	ctl drain aps/app-1 >out 2>&1
	grep -q 'apps/app-1' out || fail "the nearest name is not said: $(cat out)"
	ctl pools aps >out 2>&1
	grep -q 'nearest name is apps' out || fail "the nearest pool is not said: $(cat out)"
	rc=0
	ctl undrain apps/app-1 --wait >out 2>&1 || rc=$?
	[[ $rc == 2 ]] || fail "undrain --wait ended with $rc"
	[[ $(ctl pools --json | grep -c '"state": *"up"') == 2 ]] || fail "something changed: $(ctl pools)"
}

# A restart, a reload, and a configuration without it for a while.
live_drain_survives() {
	plain_scenarios 1000
	apps_start 2
	sbc_start
	ctl drain apps/app-1 --reason "bad disk" || fail "drain"
	ctl reload || fail "reload"
	[[ $(of_app app-1 state) == draining ]] || fail "a reload ended it: $(ctl pools)"
	sbc_end
	sbc_start
	[[ $(of_app app-1 state) == draining && $(of_app app-1 reason) == "bad disk" ]] || fail "a restart ended it: $(ctl pools)"
	cp sbc.yaml with.yaml
	sed -i '/app-1/d' sbc.yaml
	ctl reload || fail "reload without it"
	wait_until 5 eval '[[ -z $(of_app app-1 state) ]]' || fail "still there: $(ctl pools)"
	sleep 0.7 # it is written when it is noticed
	kill -9 "$SBC_PID"
	wait "$SBC_PID" 2>/dev/null
	rm -f ctl.sock
	cp with.yaml sbc.yaml
	: >sbc.log
	sbc_start
	[[ $(of_app app-1 state) == draining && $(of_app app-1 by) == "$(id -un)" ]] || fail "an absence ended it: $(ctl pools)"
}

# Whoever was removed goes with his last call: it is told when that will be.
live_drain_of_who_was_removed() {
	plain_scenarios 2000
	apps_start 2
	sbc_start
	callers_start 80 40
	wait "$TALK" || fail "calls before"
	callers_start 40 40
	wait_until 5 eval '[[ $(of_app app-1 calls) -ge 10 ]]' || fail "calls: $(ctl pools)"
	[[ $(of_app app-1 empty_in_ms) == null ]] || fail "it is not drained, and is told to be empty: $(ctl pools)"
	ctl remove apps/app-1 >out 2>&1 || fail "remove: $(cat out)"
	[[ $(of_app app-1 state) == leaving ]] || fail "state: $(ctl pools)"
	[[ $(of_app app-1 empty_in_ms) =~ ^[12]?[0-9]{3}$ ]] || fail "not told when it is empty: $(ctl pools)"
	callers_end
	wait_until 5 eval '[[ -z $(of_app app-1 state) ]]' || fail "still there: $(ctl pools)"
}

# Figures ----------------------------------------------------------------------------------------------------------------

# drain_under_load DESTINATIONS RATE MIN MAX: calls of MIN to MAX milliseconds; one destination is drained while they go on. No call is
# lost, none begins there, and what is told when half of its calls have ended is right within 20 %.
drain_under_load() {
	local max_s=$((($4 + 999) / 1000)) before after at half_at half_eta=-1 eta calls first=0 end error line
	plain_scenarios "$3-$4"
	WORKERS=2
	POOL_EXTRA='probe: { every: 5s }'
	apps_start "$1"
	sbc_start
	callers_start $(($2 * (2 * max_s + 8))) "$2"
	sleep $((max_s + 2)) # as many end as begin
	child waiter.out "$SBCCTL" -s ctl.sock --json drain apps/app-1 --wait
	sleep 0.2
	before=$(of_app app-1 total)
	tail -n +1 -f --pid="$CHILD" waiter.out | while read -r line; do echo "$(now_ms) $line"; done >waiter.times
	wait "$CHILD" || fail "drain --wait: $(tail -n 1 waiter.out)"
	while read -r at line; do
		calls=$(field calls <<<"$line") eta=$(field empty_in_ms <<<"$line")
		((first)) || first=$calls
		((half_eta >= 0 || calls > first / 2)) || half_at=$at half_eta=$eta
		end=$at
	done <waiter.times
	after=$(of_app app-1 total)
	callers_end
	((first >= 10 && half_eta > 0)) || fail "no estimate: $(cat waiter.times)"
	error=$(((half_eta - (end - half_at)) * 100 / (end - half_at)))
	echo "figure drain $CALLS $((after - before)) $first $half_eta $((end - half_at)) ${error#-}" # for bench/run
	echo "drain of 1 of $1 destinations at $2 calls/s of $3 to $4 ms: $CALLS calls, 0 lost, $((after - before)) new ones at the one drained"
	echo "  $first calls when it began; when half had ended: empty in $half_eta ms, really $((end - half_at)) ms: $error %"
	[[ $after == "$before" ]] || fail "$((after - before)) new calls went to the one drained"
	((error <= 20 && error >= -20)) || fail "the estimate was wrong by $error %: $(cat waiter.times)"
	sbc_end
}

# rolling_upgrade DESTINATIONS RESTARTED RATE: one after the other is drained, restarted, and back; calls of 2 to 8 seconds go on.
rolling_upgrade() {
	local i start
	plain_scenarios 2000-8000
	WORKERS=2
	POOL_EXTRA='probe: { every: 2s }'
	apps_start "$1"
	sbc_start
	start=$(now_ms)
	callers_start 100000 "$3"
	sleep 4
	for ((i = 1; i <= $2; i++)); do
		ctl drain "apps/app-$i" --wait >"drain-$i.out" || fail "drain of app-$i: $(tail -n 1 "drain-$i.out")"
		app_kill "$i" KILL
		app_start "$i"
		ctl undrain "apps/app-$i" >/dev/null || fail "undrain of app-$i"
	done
	sleep 1
	kill -USR1 "$TALK" # no new calls; those there go on to their end
	callers_end
	echo "figure rolling $CALLS $(($(now_ms) - start))"
	echo "rolling upgrade of $2 of $1 destinations at $3 calls/s of 2 to 8 s: $CALLS calls in $(seconds $(($(now_ms) - start))) s, 0 failed"
	sbc_end
}

# dies_without_warning RATE KILL|STOP: what is begun at a dead destination goes to another; the time until it is known to be down.
dies_without_warning() {
	local start took bound
	plain_scenarios 200-400
	WORKERS=2
	POOL_EXTRA='probe: { every: 1s, timeout: 500ms, down-after: 3, up-after: 1 }'
	apps_start 5
	conf_write
	bound=$("$SBC" -c sbc.yaml --check | grep -oE 'noticed after at most [0-9]+m?s' | head -n 1 | grep -oE '[0-9]+m?s')
	[[ $bound ]] || fail "--check does not say how soon a death is noticed: $("$SBC" -c sbc.yaml --check)"
	case $bound in *ms) bound=${bound%ms} ;; *) bound=$((${bound%s} * 1000)) ;; esac
	sbc_start
	callers_start $(($1 * 10)) "$1"
	sleep 3
	start=$(now_ms)
	kill "-$2" "${PID_OF[2]}" # KILL: its port is closed, and the system says so; STOP: silence
	wait_until 15 eval '[[ $(of_app app-2 state) == down ]]' || fail "its death was not noticed: $(ctl pools)"
	took=$(($(now_ms) - start))
	callers_end
	echo "figure dead $CALLS $took $bound"
	echo "1 of 5 destinations dead (SIG$2) at $1 calls/s: $CALLS calls, 0 failed; noticed after $took ms, --check says $bound"
	((took <= bound)) || fail "noticed after $took ms, --check says $bound"
	sbc_end
}

live_load_drain() {
	if [[ ${FIGURES:-} == all ]]; then
		drain_under_load 25 200 5000 60000
	else
		drain_under_load 5 60 2000 10000
	fi
}

live_load_rolling_upgrade() {
	if [[ ${FIGURES:-} == all ]]; then
		rolling_upgrade 25 25 200
	else
		rolling_upgrade 5 3 60
	fi
}

live_load_killed_destination() { dies_without_warning 100 KILL; }
live_load_silent_destination() { dies_without_warning 100 STOP; }
