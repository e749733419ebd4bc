# tests/live/pools.sh - destinations that change while calls go on: by sbcctl, by a file, by a name; and many changes at once.
# shellcheck shell=bash

two_apps() { # app-1 in the file, app-2 only listening
	port_take ONE TWO
	destination app-1 "$ONE"
	callee_start one "$ONE" demo
	callee_start two "$TWO" demo
	sbc_start
}

calls_of() { # calls_of CALLEE: INVITEs it has seen
	count_in "$1.messages" '^INVITE '
}

live_pools_by_hand() {
	two_apps
	ctl add apps app-2 "sip:127.0.0.1:$TWO" 3 >out || fail "add: $(cat out)"
	grep -q '^apps/app-2: added' out || fail "not said what was done: $(cat out)"
	wait_until 5 eval 'ctl pools | grep -q app-2' || fail "not there: $(ctl pools)"
	caller_run more demo -m 4 -r 10 || fail "calls after add"
	(($(calls_of two) >= 1)) || fail "the added destination gets no calls"
	ctl remove apps/app-1 >out || fail "remove: $(cat out)"
	caller_run only demo -m 4 -r 10 || fail "calls after remove"
	[[ $(calls_of one) == 2 ]] || fail "calls at the removed one: $(calls_of one)"
	sbc_end
	sbc_start
	ctl pools >out
	if grep -q app-1 out || ! grep -q app-2 out; then fail "a restart forgets the changes: $(cat out)"; fi
	! ctl remove apps/app-2 >out 2>&1 || fail "the last one was removed"
	grep -q 'at least one' out || fail "not said why: $(cat out)"
	ctl forget apps/app-1 >out || fail "forget: $(cat out)"
	[[ $(ctl changes | wc -l) == 2 ]] || fail "changes: $(ctl changes)"
	ctl remove apps/ap-2 >out 2>&1 && fail "an unknown name is taken"
	[[ $? == 2 ]] || fail "an unknown name: exit code"
	grep -q 'nearest name is apps/app-2' out || fail "no hint: $(cat out)"
}

live_pools_by_file() {
	port_take ONE TWO
	echo "app-1 sip:127.0.0.1:$ONE" >list
	POOL_EXTRA='destinations-file: list'
	conf_write
	sed -i '/destinations:$/,/^routes/ { /destinations:$/d; /^ *- *$/d; }' sbc.yaml
	callee_start one "$ONE" demo
	callee_start two "$TWO" demo
	sbc_start
	caller_run first demo -m 1 || fail "a call by the file"
	echo "app-2 sip:127.0.0.1:$TWO" >list.new
	mv list.new list
	wait_until 5 eval 'ctl pools | grep -q app-2' || fail "the new file is not read: $(ctl pools)"
	caller_run second demo -m 2 || fail "calls by the new file"
	[[ $(calls_of two) == 2 ]] || fail "calls at the new one: $(calls_of two)"
	echo "app-2 127.0.0.1" >list.new
	mv list.new list
	wait_until 5 grep -q 'pools.rejected' sbc.log || fail "a bad file is not said: $(tail -n 3 sbc.log)"
	caller_run third demo -m 2 || fail "calls after a bad file"
}

# localhost is a name, and 127.0.0.1 one of its addresses.
live_pools_by_name() {
	port_take ONE
	DESTINATIONS=("{ name: app, uri: \"sip:localhost:$ONE\", each-address: on }")
	conf_write
	callee_start one "$ONE" demo
	sbc_start
	wait_until 10 eval "ctl pools | grep -q 'app/127.0.0.1:$ONE'" || fail "the name has no addresses: $(ctl pools)"
	caller_run calls demo -m 3 -r 10 || fail "calls"
	[[ $(calls_of one) == 3 ]] || fail "calls there: $(calls_of one)"
	ctl drain "apps/app/127.0.0.1:$ONE" --force >out || fail "drain of an address: $(cat out)"
}

# Reloads and changes from eight sides at once, while calls go on: each is done whole, or told to try again; no call notices.
live_pools_all_at_once() {
	local side i pids=() pid
	two_apps
	ctl add apps app-2 "sip:127.0.0.1:$TWO" >/dev/null || fail "add"
	for side in 1 2 3 4 5 6 7 8; do
		(
			for ((i = 0; i < 12; i++)); do
				case $((side % 4)) in
				0) ctl reload ;;
				1) ctl weight apps/app-2 $((i + 1)) ;;
				2) ctl add apps "x-$side-$i" "sip:127.0.0.1:9" 0 ;;
				3) kill -HUP "$SBC_PID" ;;
				esac
			done >"side-$side.out" 2>&1
		) &
		pids+=($!)
	done
	caller_run calls demo -m 60 -r 60 || fail "calls while all of that went on"
	for pid in "${pids[@]}"; do wait "$pid"; done
	sbc_is_up || fail "the SBC is gone: $(tail -n 3 sbc.log)"
	if grep -hvE 'kept|changed|added|taken|done|destinations:|try again|warning|^$' side-*.out; then fail "answers nobody expects"; fi
	caller_run after demo -m 4 -r 10 || fail "calls afterwards"
	[[ $(ctl pools | grep -c '^apps *app-[12] ') == 2 ]] || fail "the destinations: $(ctl pools)"
}

# RFC 3261 21.5.4: who answers 503 with Retry-After gets no calls until then; those he refused go on to the next.
live_pools_rest() {
	port_take ONE TWO
	destination app-1 "$ONE"
	destination app-2 "$TWO"
	scenario callee busy <<-'.'
		<- INVITE
		-> 503 hdr=Retry-After:_4
		<- ACK
	.
	callee_start one "$ONE" busy
	callee_start two "$TWO" demo
	sbc_start
	caller_run first demo -m 2 -r 10 || fail "a call that met the busy one"
	[[ $(calls_of one) == 1 ]] || fail "calls at the busy one: $(calls_of one)"
	ctl pools | grep -q 'app-1 .* resting ' || fail "not shown: $(ctl pools)"
	caller_run more demo -m 6 -r 20 || fail "calls while it rests"
	[[ $(calls_of one) == 1 ]] || fail "calls at the one that rests: $(calls_of one)"
	wait_until 8 eval "ctl pools | grep -q 'app-1 .* up '" || fail "the rest does not end: $(ctl pools)"
	caller_run again demo -m 2 -r 10 || fail "calls afterwards"
	[[ $(calls_of one) == 2 ]] || fail "no calls after the rest: $(calls_of one)"
}

# Calls of one user meet, whichever worker they are on; sbcctl shows where, and what it forgets begins anew.
live_pools_sticky() {
	local where
	port_take ONE TWO
	destination app-1 "$ONE"
	destination app-2 "$TWO"
	callee_start one "$ONE" demo
	callee_start two "$TWO" demo
	WORKERS=3 POOL_EXTRA='sticky: { by: to-user, ttl: 1h }' conf_write
	sbc_start
	caller_run many demo -m 5 -r 20 || fail "calls of one key"
	[[ $(calls_of one)/$(calls_of two) == @(0/5|5/0) ]] || fail "one key went to both: $(calls_of one) and $(calls_of two)"
	[[ $(calls_of one) == 5 ]] && where=app-1 || where=app-2
	[[ $(ctl sticky apps | wc -l) == 2 ]] || fail "sticky: $(ctl sticky apps)"
	KEY=$(ctl sticky apps | awk 'NR == 2 { print $1 }')
	ctl --json sticky apps "$KEY" | grep -q "\"destination\":\"apps/$where\",\"calls\":0" || fail "--json: $(ctl --json sticky apps "$KEY")"
	ctl metrics | awk '/^sbc_sticky_entries/ { n += $2 } END { exit n != 1 }' || fail "metrics: $(ctl metrics | grep sticky)"
	ctl sticky apps nobody >out 2>&1
	[[ $? == 1 ]] && grep -q 'pool apps has no key nobody' out || fail "a key that is not there: $(cat out)"
	ctl sticky aps >out 2>&1
	[[ $? == 2 ]] && grep -q 'no pool aps; the nearest name is apps' out || fail "a pool that is not there: $(cat out)"
	ctl sticky apps --forget >out 2>&1 && fail "all were forgotten"
	ctl sticky apps "$KEY" --forget | grep -q "$KEY: forgotten" || fail "forget"
	[[ $(ctl sticky apps | wc -l) == 1 ]] || fail "it is still there: $(ctl sticky apps)"
	sbc_end
}
